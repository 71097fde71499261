"""Less than float32 where it pays: convolutions, the RNNs' products, projections and the decoder.

Poses, grid, sampling, what x where, the memory with its reads, and the layers that make the outputs stay
in float32; so do the gates and cells of the RNNs.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from stawm.errors import ExportError
from stawm.heads.drawing import Sketcher
from stawm.models.baseline import Baseline
from stawm.models.draw import Draw
from stawm.models.model import Model, Stawm
from stawm.models.ram import Ram
from stawm.models.slots import Slots
from stawm.nn.precision import WideLinear
from stawm.nn.recurrent import LSTMCell


def lower(model: Model) -> Model:
    """Turn a copy of a model into one that computes in half precision where it pays.

    Args:
        model: A model of its own, in float32; it is changed.

    Returns:
        The same model. It takes and gives float32.
    """
    for part in _parts(model):
        part.half()
        for module in part.modules():
            if isinstance(module, WideLinear):
                module.float()
    for module in model.modules():
        if any(p.is_floating_point() for p in module.parameters(recurse=False)) and module is not model:
            module.register_forward_pre_hook(_as_the_weights)
    return model


def round_weights(model: Model) -> None:
    """Round every weight of a copy of a model to the nearest number of half precision.

    Raises:
        ExportError: A weight is too large for it.
    """
    for name, weight in model.named_parameters():
        rounded = weight.detach().half().to(weight.dtype)
        if not bool(rounded.isfinite().all()):
            raise ExportError(
                f"{name} holds {weight.abs().max().item():.3g}, which fp16 cannot store: use weights='fp32'."
            )
        weight.data.copy_(rounded)


def parts_of(model: Model) -> tuple[str, ...]:
    """Return the names of the parts of a model that may be computed in less than float32."""
    parts = {id(part) for part in _parts(model)}
    return tuple(name for name, module in model.named_modules() if id(module) in parts)


def _parts(model: Model) -> Iterator[nn.Module]:
    if isinstance(model, Stawm):
        loop = model.loop
        yield from (loop.context, loop.backbone, loop.context_down, loop.glimpse_down)
        yield from (loop.emission_rnn, loop.aggregator_rnn)
        for head in model.heads.values():
            yield from (part for name, part in head.named_children() if name in ("query", "cue"))
    elif isinstance(model, Ram):
        yield from (part for part in (model.loop.context, model.loop.context_down) if part is not None)
        yield from (model.loop.backbone, model.loop.cells)
    elif isinstance(model, Baseline):
        yield model.backbone
    elif isinstance(model, Slots):
        yield from (model.backbone, model.decoder)
    elif isinstance(model, Draw):
        yield from (model.reader.backbone, model.encoder)
        yield from () if model.painter is None else (model.painter.decoder,)
    for module in model.modules():
        if isinstance(module, Sketcher):
            yield from (module.expand, module.decoder)


def _as_the_weights(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Hand a layer its inputs in the type of its weights; of an RNN input and output, and not the cell."""
    dtype = next(module.parameters(recurse=False)).dtype
    count = 2 if isinstance(module, LSTMCell) else 1
    return tuple(_cast(x, dtype) if i < count else x for i, x in enumerate(given))


def _cast(x: Any, dtype: torch.dtype) -> Any:
    return x.to(dtype) if isinstance(x, torch.Tensor) and x.is_floating_point() else x
