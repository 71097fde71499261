"""A PyTorch model where a graph is due: the same calls on pixels, the same answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from stawm._version import __version__
from stawm.arrays import to_numpy
from stawm.errors import InputError
from stawm.export.file.describing import plain
from stawm.export.file.metadata import GraphInfo
from stawm.export.graphs.fields import choose
from stawm.export.run.devices import INSTALL, DeviceError
from stawm.export.run.walk import Named
from stawm.export.serve.arguments import as_count
from stawm.export.serve.grouping import size_by_size
from stawm.export.serve.looking import Looked, Until, look, rule
from stawm.export.serve.pixels import Images, prepare
from stawm.export.serve.tensors import as_tensors
from stawm.heads.cued import Cues
from stawm.heads.output import Output
from stawm.models.evidence import HEAD
from stawm.models.model import Model, Stawm, evaluating
from stawm.models.pixels import to_unit
from stawm.models.states import State
from stawm.storage.hashing import check_stopping, weights_hash


class Stages:
    """Looks by the stages of a model; see `stawm.export.serve.looking.look`."""

    def __init__(self, model: Stawm, pixels: Tensor) -> None:
        like = next(model.parameters())
        units = to_unit(pixels.to(like.device)).to(torch.promote_types(like.dtype, torch.float32))
        self.model, self.images = model, model.normalise(units).to(like.dtype)
        self.state: State | None = None

    def begin(self, rows: np.ndarray) -> None:
        """Begin with all of the images; a memory with rows cannot take others in later."""

    def look(self, rows: np.ndarray, taken: np.ndarray) -> Named:
        """Take a glimpse of each image that is looked at; return logits and confidence as arrays."""
        seen = self.model.look(self.images, 1, state=self.state)
        recalled, self.state = self.model.remember(seen, {HEAD: (1,)}, self.state)
        logits = self.model.answer(seen, recalled).logits
        assert logits is not None
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return {"logits": to_numpy(logits), "confidence": to_numpy(logits.amax(dim=1).exp())}

    def keep(self, stay: np.ndarray) -> None:
        """Go on with some of those images only."""
        rows = torch.from_numpy(stay).to(self.images.device)
        self.images, self.state = pytree.tree_map_only(Tensor, lambda x: x[rows], (self.images, self.state))


class LiveModel:
    """A model that is used as an `OnnxModel` is: from pixels, in evaluation mode, without gradients.

    Attributes:
        info: What an export of the model would say of itself.
        batch_size: The most images in one run.
    """

    def __init__(self, model: Model, device: str = "cpu", *, batch_size: int = 256) -> None:
        """Wrap a model; it is moved to the device, and stays in the mode that it is in.

        Raises:
            DeviceError: There is no such device here.
            InputError: It is no device that PyTorch runs on, or the model's thresholds to stop by are of other weights.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device not in ("cpu", "cuda"):
            raise InputError(f"PyTorch runs a model on 'cpu' or 'cuda'; got {device!r}. Export it for {device!r}.")
        if device == "cuda" and not torch.cuda.is_available():
            raise DeviceError(f"device='cuda' needs an NVIDIA GPU that PyTorch sees. {INSTALL['cuda']}")
        check_stopping(model)
        self.model, self.device = model.to(device), device
        self.batch_size = as_count(batch_size, "batch_size")
        fields = choose(model, None)
        self.info = GraphInfo(
            kind="step" if isinstance(model, Stawm) else "rollout",
            part=None,
            glimpses=model.config.glimpses,
            precision="fp32",
            fields=fields,
            sample=False,
            inputs=("image",),
            outputs=fields,
            config=plain(model.config),
            weights=weights_hash(model),
            version=__version__,
            versions={},
            stopping=model.stopping,
        )

    @size_by_size
    def __call__(self, images: Images, *, cue: Cues | None = None) -> Output:
        """Look at images, as a graph does: what is random is the most probable.

        Args:
            images: As for `OnnxModel`.
            cue: What is asked, the same about all images, as for a call of the model.

        Raises:
            InputError: The images or the cue are not of the model's form.
        """
        return self._run(images, **({} if cue is None else {"cue": cue}))

    @size_by_size
    def look(self, images: Images, *, until: Until = None) -> Looked:
        """Look until the answer is certain enough, or the glimpses are spent: each image as long as it needs.

        Args:
            images: As for a call.
            until: As for `OnnxModel.look`.

        Raises:
            InputError: The model does not take glimpses or does not classify, or an argument is not legal.
        """
        n = self.model.config.glimpses
        if n is None or self.info.classes is None or not isinstance(self.model, Stawm):
            raise InputError("look needs a model that takes glimpses and classifies.")
        sure, pixels = rule(until, self.info.stopping), self._pixels(images)
        with evaluating(self.model):
            parts = pixels.split(self.batch_size)
            return as_tensors(Looked.join([look(Stages(self.model, part), len(part), n, sure) for part in parts]))

    def _run(self, images: Images, **options: Any) -> Output:
        pixels = self._pixels(images)
        found = [self.model.predict(part, **options) for part in pixels.split(self.batch_size)]
        return found[0] if len(found) == 1 else _joined(found)

    def _pixels(self, images: Images) -> Tensor:
        return torch.as_tensor(prepare(images, self.info))

    def _in_order(self, found: Sequence[Output], order: np.ndarray) -> Output:
        """Put what groups of images gave together, and into the order of the images."""
        return pytree.tree_map_only(Tensor, lambda x: x[order], _joined(found))


def _joined(found: Sequence[Output]) -> Output:
    """Put batches together, whatever fields there are."""
    return pytree.tree_map(lambda *parts: None if parts[0] is None else torch.cat(parts), *found)
