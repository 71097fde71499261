"""An ONNX file, used as the model is, but on pixels: with tensors of PyTorch."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor

from stawm.arrays import Array, alike
from stawm.errors import InputError
from stawm.export.file.files import GraphFile
from stawm.export.graphs.fields import OnnxOutput, unflatten
from stawm.export.run.host import HostRunner, Runner
from stawm.export.run.providers import Device, DeviceError, device_of
from stawm.export.run.runners import BoundRunner
from stawm.export.run.walk import Named
from stawm.export.serve.arrays import Session, open_file
from stawm.export.serve.asking import Remembered
from stawm.export.serve.looking import Looked, Until
from stawm.export.serve.pixels import Images, prepare
from stawm.export.serve.tensors import as_tensors, check_generator, check_noise
from stawm.heads import noise as noises
from stawm.heads.cued import Cues
from stawm.heads.output import Noise

BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class OnnxModel(Session):
    """A graph that `to_onnx` wrote: from pixels to the output of the model that it was made of.

    It normalises pixels itself, by what the file says. It may be called from several threads at once. Whatever it
    is given, its outputs are tensors on the CPU, or on the GPU where it was given tensors there.

    It can be pickled and copied, for worker processes say: what is kept are the path, made absolute, the arguments
    below, and the file's hash. The copy is opened from that path anew, and refuses a file that has become another.

    Attributes:
        info: What the graph says of itself.
        device: Where it runs: ``"cpu"``, ``"cuda"`` or ``"tensorrt"``.

    Examples:
        >>> import stawm, tempfile, torch
        >>> model, pixels = stawm.build("stawm-digits", glimpses=1, seed=0).eval(), torch.rand(5, 1, 16, 16)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = stawm.export.to_onnx(model, f"{folder}/digits.onnx")
        ...     onnx = stawm.export.OnnxModel(f"{folder}/digits.onnx", device="cpu")
        >>> torch.allclose(onnx(pixels).logits, model(model.normalise(pixels)).logits, atol=1e-5)
        True
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        device: Device = "auto",
        *,
        allow_fallback: bool = False,
        threads: int | None = None,
        spinning: bool = False,
        batch_size: int = 256,
        cuda_graphs: bool = False,
        tf32: bool = False,
    ) -> None:
        """Load a file, or the folder of a step graph.

        Args:
            path: What `to_onnx` wrote.
            device: ``"auto"`` is a GPU where there is one that ONNX Runtime can use, else the CPU; of a graph in int8
                the CPU.
            allow_fallback: Whether the CPU may stand in for a GPU that was asked for and cannot be used.
            threads: How many threads a run on the CPU takes; ONNX Runtime's choice where left out.
            spinning: Whether these threads stay awake within a run, which answers single images sooner where the
                cores have nothing else to do.
            batch_size: The most images in one run; more are split up.
            cuda_graphs: Whether runs on a GPU are captured and replayed. On a GPU batches are in any case filled up
                to the next power of two, so that buffers are allocated and algorithms searched for few sizes only.
            tf32: Whether products on a GPU may be rounded to TF32, which is faster, and less exact than what
                was verified.

        Raises:
            ExportError: The file is truncated, altered, not ours, or contradicts itself.
            DeviceError: The device cannot be used; the message says what to install.
            InputError: An argument is not legal.
        """
        self._captured = cuda_graphs
        super().__init__(
            path,
            device,
            allow_fallback=allow_fallback,
            threads=threads,
            spinning=spinning,
            batch_size=batch_size,
            tf32=tf32,
        )
        kept = {name: value for name, value in self._settings.items() if name != "trusted"}
        self._settings = {**kept, "cuda_graphs": cuda_graphs}

    def _open(
        self, files: Mapping[str, GraphFile], device: str, options: Mapping[str, Any]
    ) -> tuple[dict[str, Runner], str]:
        """Return what runs each part, and where: on a GPU with buffers that are PyTorch's tensors there."""
        captured = self._captured and device != "cpu" and can_capture(options["allow_fallback"])
        # a captured run is of one size of images, and of one number of questions
        captured = captured and not self.info.any_size and not self._asked
        bound = device != "cpu" and torch.cuda.is_available()
        number = torch.cuda.current_device() if bound else 0
        stream = torch.cuda.Stream(number) if bound else None
        placed = {"device_id": number, "stream": None if stream is None else stream.cuda_stream}
        options = {**options, **placed, "cuda_graphs": captured}
        sessions = {part: open_file(file, device, self.batch_size, options) for part, file in files.items()}
        runners = {part: _runner(session, self.batch_size, captured, stream) for part, session in sessions.items()}
        return runners, device_of(sessions.values())

    def __call__(
        self,
        images: Images,
        *,
        cue: Cues | None = None,
        noise: Noise | None = None,
        generator: torch.Generator | None = None,
        glimpses: int | None = None,
        glimpse_logits: bool = False,
    ) -> OnnxOutput:
        """Look at images, as the model does.

        Args:
            images: Pixels, as bytes (uint8) or floats in [0, 1], of shape (b, c, h, w) or (b, h, w, c), or paths of
                images; see `prepare`. They are normalised here. A graph for images of any size also takes a list of
                several sizes: those of one size are run together, and the answers keep the list's order.
            cue: What is asked, as for a call of the model: (k,) for all images, or (b, k); as vectors with one axis
                more. Every numbered question, in order, where left out.
            noise: The random numbers, for a graph that was exported with ``sample=True``.
            generator: Where random numbers that are not given come from.
            glimpses: How many glimpses to take, with a step graph; the number it has room for where left out.
            glimpse_logits: Whether a step graph of a model that classifies also says what it answers after each
                glimpse; a rollout gives what it was exported with.

        Raises:
            InputError: The images, the cue, the noise or the number of glimpses are not what the graph takes.
            ExportError: ONNX Runtime fails while it runs the graph.
        """
        found = self._answer(
            images, cue=cue, noise=noise, generator=generator, glimpses=glimpses, glimpse_logits=glimpse_logits
        )
        return unflatten(found)

    def ask(self, remembered: Remembered, cue: Cues | None = None) -> OnnxOutput:
        """Ask what is remembered of images, without looking again.

        Args:
            remembered: What `remember` gave.
            cue: What is asked, as for a call.

        Raises:
            InputError: This is not what `remember` gives, or the cue is not what the graph takes.
        """
        return unflatten(self._reply(remembered, cue))

    def look(
        self,
        images: Images,
        *,
        until: Until = None,
        glimpses: int | None = None,
        noise: Noise | None = None,
        generator: torch.Generator | None = None,
    ) -> Looked:
        """Look until the answer is certain enough, or the glimpses are spent: each image as long as it needs.

        Args:
            images: As for a call.
            until: The probability of the most probable class at which an image is done, or ``"tuned"``. Left out, the
                model's tuned thresholds decide (``info.stopping``), where it has any, else 0.9. Models that were
                trained with smoothed labels hold nothing for as probable as 0.98, so that such a value stops none of
                them: see the docs ("Stops when it is sure").
            glimpses: The most glimpses; the number that the graph has room for where left out.
            noise: As for a call.
            generator: As for a call.

        Raises:
            InputError: This is not a step graph of a model that classifies, or an argument is not legal.
        """
        return as_tensors(super().look(images, until=until, glimpses=glimpses, noise=noise, generator=generator))

    def _pixels(self, images: Images) -> Tensor:
        return torch.as_tensor(prepare(images, self.info))

    def _settled(self, noise: Any, shapes: Mapping[str, tuple[int, ...]], image: Array, generator: Any) -> Named:
        """Return random numbers, checked where they are given and drawn where they are not."""
        check_noise(noise)
        check_generator(generator)
        if not shapes and noise is not None and any(value is not None for value in noise):
            raise InputError("This graph was exported with sample=False: it takes no noise.")
        drawn = noises.settle(noise, shapes, image, generator, draw=True)._asdict()
        return {name: torch.as_tensor(drawn[name]).to(image) for name in shapes}

    def _as(self, array: np.ndarray, image: Array) -> Tensor:
        return alike(array, image)

    def _back(self, array: Array, image: Array) -> Tensor:
        return array.to(image.device)


def can_capture(allow_fallback: bool) -> bool:
    """Whether runs can be captured: their buffers are PyTorch's tensors on the GPU.

    Raises:
        DeviceError: They cannot, and the CPU may not stand in; the message says what is missing.
    """
    if torch.cuda.is_available():
        return True
    if allow_fallback:
        return False
    built = torch.version.cuda is not None
    missing = "PyTorch sees no NVIDIA GPU" if built else f"this PyTorch ({torch.__version__}) is built without CUDA"
    raise DeviceError(f"cuda_graphs keeps buffers in PyTorch's tensors on the GPU, and {missing}.")


def _runner(session: ort.InferenceSession, batch_size: int, captured: bool, stream: torch.cuda.Stream | None) -> Runner:
    if device_of([session]) == "cpu" or stream is None:
        return HostRunner(session)
    buckets = [*(size for size in BUCKETS if size < batch_size), batch_size]
    return BoundRunner(session, stream.device, buckets, captured=captured, stream=stream)
