"""A PyTorch model where a graph is due: the same calls on pixels, the same answers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stawm._version import __version__
from stawm.errors import InputError
from stawm.export.file.metadata import GraphInfo, plain, weights_hash
from stawm.export.graphs.fields import choose
from stawm.export.run.providers import INSTALL, DeviceError
from stawm.export.serve.arguments import as_count, check_until
from stawm.export.serve.grouping import size_by_size
from stawm.export.serve.looking import UNTIL, Looked
from stawm.export.serve.pixels import Images, prepare
from stawm.heads.output import Output
from stawm.models.model import Model


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
            InputError: It is no device that PyTorch runs on.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device not in ("cpu", "cuda"):
            raise InputError(f"PyTorch runs a model on 'cpu' or 'cuda'; got {device!r}. Export it for {device!r}.")
        if device == "cuda" and not torch.cuda.is_available():
            raise DeviceError(f"device='cuda' needs an NVIDIA GPU that PyTorch sees. {INSTALL['cuda']}")
        self.model, self.device = model.to(device), device
        self.batch_size = as_count(batch_size, "batch_size")
        fields = choose(model, None)
        self.info = GraphInfo(
            kind="rollout" if model.config.glimpses is None else "step",
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
        )

    @size_by_size
    def __call__(self, images: Images) -> Output:
        """Look at images, as a graph does: what is random is the most probable.

        Raises:
            InputError: The images are not of the model's form.
        """
        return self._run(images)

    @size_by_size
    def look(self, images: Images, *, until: float = UNTIL) -> Looked:
        """Answer by the first glimpse after which the answer is certain enough.

        Every glimpse is taken all the same: what a step graph would not have computed is only left out of the answer.

        Raises:
            InputError: The model does not take glimpses or does not classify, or an argument is not legal.
        """
        if self.info.glimpses is None or self.info.classes is None:
            raise InputError("look needs a model that takes glimpses and classifies.")
        certain = check_until(until)
        logits = torch.as_tensor(self._run(images, glimpse_logits=True).glimpse_logits)
        confidence = logits.exp().amax(dim=-1)
        done = confidence >= certain
        done[:, -1] = True
        first = done.int().argmax(dim=1)
        rows = torch.arange(len(first), device=first.device)
        return Looked(logits[rows, first].cpu(), confidence[rows, first].cpu(), (first + 1).cpu())

    def _run(self, images: Images, **options: Any) -> Output:
        pixels = prepare(images, self.info)
        found = [self.model.predict(part, **options) for part in pixels.split(self.batch_size)]
        return found[0] if len(found) == 1 else _joined(found)


def _joined(found: Sequence[Output]) -> Output:
    """Put batches together, of what is said of an image in a file."""
    fields: dict[str, Any] = {}
    for name in ("logits", "glimpse_logits", "canvas"):
        parts = [getattr(one, name) for one in found]
        if all(isinstance(part, Tensor) for part in parts):
            fields[name] = torch.cat(parts)
    return Output(**fields)
