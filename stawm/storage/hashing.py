"""What tells the weights of one model from those of another."""

import hashlib

import torch

from stawm.errors import InputError
from stawm.models.model import Model
from stawm.storage.fitting import former_names


def weights_hash(model: Model) -> str:
    """Return a hash over the names, types, shapes and values of a model's weights.

    A tensor that was renamed counts under its former name, so that graphs of the first version still verify.
    """
    digest, former = hashlib.sha256(), former_names(model)
    for name, tensor in sorted((former.get(name, name), tensor) for name, tensor in model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def check_stopping(model: Model) -> None:
    """Raise an InputError where a model has thresholds to stop by that were tuned for other weights."""
    if model.stopping is not None and model.stopping.weights != weights_hash(model):
        raise InputError(
            f"The thresholds in the stopping of {model.config.name} were tuned for a model with other weights: tune "
            "them again (stawm tune-stop), or set model.stopping = None."
        )
