"""The graphs that clients are tried with: ``python -m benchmarks.clients.cases FOLDER --data mnist:ROOT``.

A case is a folder of its own: ``graph.onnx``, ``case.json`` with the shapes of inputs and outputs, and for each of them
a file of raw float32, little-endian, which any language reads. One more case is a single GridSample that looks beside
its image, which a client may get wrong.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from stawm.export import inspect, to_onnx
from stawm.export.graphs.fields import flatten
from stawm.export.graphs.plan import Plan, count_glimpses
from stawm.export.graphs.prepared import example_inputs
from stawm.models.model import Model
from stawm.storage.pretrained import find_model
from stawm.training import data as sets

PRESETS = ("stawm-mnist-8", "stawm-mnist-sketchpad", "stawm-mnist-draw-6")
FORMS: Mapping[str, Mapping[str, Any]] = {
    "fp32": {},
    "fp16-weights": {"weights": "fp16"},
    "fp16": {"precision": "fp16"},
    "opset20": {"opset": 20},
}
IMAGES = 16


def write_case(folder: Path, model: Model, form: str, images: Tensor) -> None:
    """Export a model in a form, with images and what PyTorch gives for them."""
    folder.mkdir(parents=True, exist_ok=True)
    to_onnx(model, folder / "graph.onnx", **FORMS[form])
    with torch.no_grad():
        found = flatten(model.eval()(images))
    gives = {name: found[name] for name in inspect(folder / "graph.onnx").info.outputs}
    _write_arrays(folder, model.config.name, form, {"image": images}, gives)


def write_sampling(folder: Path) -> None:
    """Write the least graph that shows whether a client reads outside an image: there is nothing there but zeros."""
    folder.mkdir(parents=True, exist_ok=True)
    value = onnx.helper.make_tensor_value_info
    float32 = onnx.TensorProto.FLOAT
    shapes = {"image": ["b", 1, 4, 4], "grid": ["b", 2, 2, 2], "glimpse": ["b", 1, 2, 2]}
    image, grid, glimpse = (value(name, float32, shape) for name, shape in shapes.items())
    node = onnx.helper.make_node("GridSample", ["image", "grid"], ["glimpse"], mode="bilinear", padding_mode="zeros")
    graph = onnx.helper.make_graph([node], "sampling", [image, grid], [glimpse])
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(proto, folder / "graph.onnx")
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(IMAGES, 1, 4, 4, generator=generator) + 1
    grids = torch.tensor([[[-9.0, 0], [0, 9]], [[-1.1, -1.1], [0.3, 0.2]]]).expand(IMAGES, 2, 2, 2)
    seen = torch.nn.functional.grid_sample(images, grids, align_corners=False)
    _write_arrays(folder, "GridSample", "fp32", {"image": images, "grid": grids}, {"glimpse": seen})


def _write_arrays(folder: Path, name: str, form: str, given: Mapping[str, Tensor], gives: Mapping[str, Tensor]) -> None:
    for key, tensor in {**given, **gives}.items():
        tensor.contiguous().numpy().astype("<f4").tofile(folder / f"{key}.f32")
    inputs, outputs = ({key: list(tensor.shape) for key, tensor in some.items()} for some in (given, gives))
    said = {"preset": name, "form": form, "inputs": inputs, "outputs": outputs}
    (folder / "case.json").write_text(json.dumps(said, indent=2) + "\n")


def images_for(model: Model, data: str | None) -> Tensor:
    """Return normalised images: the first of a test set, or smooth noise."""
    if data is None:
        plan = Plan("rollout", count_glimpses(model, None), ("logits",), False)
        return example_inputs(model, plan, IMAGES, 0)["image"]
    held = sets.load(data, image=model.config.image).test.images[:IMAGES]
    return model.normalise(held.float() / 255)


def main() -> None:
    """Write the cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", help="whose test images are used; smooth noise where left out")
    parser.add_argument("--presets", nargs="+", default=PRESETS)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    args = parser.parse_args()
    write_sampling(args.folder / "sampling")
    for preset in args.presets:
        model = find_model(preset)
        for form in args.forms:
            write_case(args.folder / f"{preset}-{form}", model, form, images_for(model, args.data))
            print(preset, form, flush=True)


if __name__ == "__main__":
    main()
