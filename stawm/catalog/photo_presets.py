"""A preset for photographs of people's own, of any size."""

from stawm.catalog import recipes
from stawm.catalog.records import preset

PHOTO_PRESETS = preset(
    "stawm-photo",
    "Photographs of any size, in 6 glimpses of 64x64 at 3 scales.",
    {
        "image": (3, 256, 256),
        "glimpses": 6,
        "glimpse_size": 64,
        "memory_size": 256,
        "hidden_size": 512,
        "dropout": 0.2,
        "pose_limit": 1.0,
        "context": {"name": "conv", "layers": "32@3/2 64@3/2 128@3/2 128@3/2"},
        "context_size": 64,
        "backbone": "timm:mobilenetv2_100",
        "locator": {"name": "crop", "scales": 3, "antialias": True, "square": True},
        "memory": {"name": "hebb-rosenblatt", "constrained": True, "normalise": 0.9},
        "canvas": "addition",
        "heads": ("classification",),
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    },
    fast=recipes.PHOTOS,
)
