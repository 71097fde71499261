"""An ONNX file, used as the model is, but on pixels."""

import logging
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import onnxruntime as ort
import torch

from stawm.errors import ExportError, InputError
from stawm.export.file import sealing
from stawm.export.file.files import GraphFile, check_consistent, read_graphs
from stawm.export.file.metadata import NOISE, GraphInfo, is_cue
from stawm.export.file.proto import fixed, opset_of, shapes_of
from stawm.export.graphs.fields import OnnxOutput, reads_every_glimpse, unflatten
from stawm.export.graphs.steering import POSE, neutral
from stawm.export.run.providers import Device, DeviceError, choose_device, device_of, open_session, profile
from stawm.export.run.runners import BoundRunner, HostRunner, Runner
from stawm.export.run.walk import Named, Walk, of_glimpse, roll
from stawm.export.serve.arguments import as_count, check_generator, check_noise
from stawm.export.serve.asking import asked_of, cues_for
from stawm.export.serve.grouping import size_by_size
from stawm.export.serve.looking import Looked, Steps, Until, look, rule
from stawm.export.serve.pixels import Images, normalise, prepare
from stawm.heads import noise as noises
from stawm.heads.cued import Cues
from stawm.heads.output import Noise
from stawm.storage.opening import as_path

_log = logging.getLogger("stawm.export")
BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Remembered(NamedTuple):
    """What a step graph remembers of images, batch by batch: all that its part ``read`` takes beside questions."""

    parts: Sequence[Named]


class OnnxModel:
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
        self.path = as_path(path, "A graph").absolute()
        self.batch_size = as_count(batch_size, "batch_size")
        files = read_graphs(as_path(path, "A graph"))
        check_consistent(files)
        self._digests = {part: sealing.digest(file.data) for part, file in files.items()}
        self.info: GraphInfo = next(iter(files.values())).info
        self._takes = {part: file.info.inputs for part, file in files.items()}
        shapes = shapes_of(files["glimpse" if self.info.kind == "step" else "rollout"].proto)
        self._asked = asked_of(self.info, {n: s for file in files.values() for n, s in shapes_of(file.proto).items()})
        self._pose_size = fixed(shapes[POSE])[0] if self.info.steered else None
        self._noise = {n.removeprefix(NOISE): fixed(s) for n, s in shapes.items() if n.startswith(NOISE)}
        on_cpu = device == "auto" and self.info.precision == "int8"  # for which GPUs have no kernels
        chosen = "cpu" if on_cpu else choose_device(device)
        options: dict[str, Any] = {
            "allow_fallback": allow_fallback,
            "threads": None if threads is None else as_count(threads, "threads"),
            "spinning": spinning,
            "tf32": tf32,
            "cuda_graphs": cuda_graphs,
        }
        self._settings = {"device": device, "batch_size": self.batch_size, **options}
        captured = cuda_graphs and chosen != "cpu" and can_capture(allow_fallback)
        # which are captured for one size of images, and one number of questions
        options["cuda_graphs"] = captured and not self.info.any_size and not self._asked
        bound = chosen != "cpu" and torch.cuda.is_available()  # then buffers are PyTorch's tensors on the GPU
        number = torch.cuda.current_device() if bound else 0
        stream = torch.cuda.Stream(number) if bound else None
        options |= {"device_id": number, "stream": None if stream is None else stream.cuda_stream}
        sessions = {part: _session(file, chosen, self.batch_size, options) for part, file in files.items()}
        self._runners = {
            part: _runner(session, self.batch_size, options["cuda_graphs"], stream)
            for part, session in sessions.items()
        }
        self.device = device_of(sessions.values())
        if self.device == "cpu" and self.info.precision == "fp16":
            _say_slow()

    def __reduce__(self) -> tuple[Any, ...]:
        """Be opened again where it is unpickled or copied."""
        return _reopen, (type(self), self.path, self._digests, self._settings)

    @size_by_size
    def __call__(
        self,
        images: Images,
        *,
        cue: Cues | None = None,
        noise: Noise | None = None,
        generator: torch.Generator | None = None,
        glimpses: int | None = None,
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

        Raises:
            InputError: The images, the cue, the noise or the number of glimpses are not what the graph takes.
            ExportError: ONNX Runtime fails while it runs the graph.
        """
        count = self._glimpses(glimpses)
        inputs = self._inputs(images, noise, generator, count)
        inputs |= cues_for(self._asked, cue, len(inputs["image"]), inputs["image"])
        batch, device = len(inputs["image"]), inputs["image"].device
        found = [self._run(part, count) for part in self._split(inputs)]
        return unflatten({name: torch.cat([one[name] for one in found])[:batch].to(device) for name in found[0]})

    @size_by_size
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
        if self.info.kind != "step" or self.info.classes is None:
            raise InputError("look needs a step graph of a model that classifies: to_onnx(model, path, graph='step').")
        sure, count = rule(until, self.info.stopping), self._glimpses(glimpses) or 1
        inputs = self._inputs(images, noise, generator, count)
        inputs |= cues_for(self._asked, None, len(inputs["image"]), inputs["image"])
        batch = len(inputs["image"])
        inputs = inputs if batch else self._split(inputs)[0]
        steps = Steps(self._part, self._takes, inputs)
        found = look(steps, len(inputs["image"]), count, sure, self.batch_size)
        return Looked(found.logits[:batch], found.confidence[:batch], found.glimpses[:batch])

    def remember(self, images: Images, *, glimpses: int | None = None) -> Remembered:
        """Look at images, and keep what the memory holds of them, to ask as often as one likes.

        Args:
            images: As for a call; of one size.
            glimpses: How many glimpses to take; the number that the graph has room for where left out.

        Raises:
            InputError: This is not a step graph of a model that is asked by cues, or an argument is not legal.
        """
        if self.info.kind != "step" or not self._asked:
            raise InputError("remember needs a step graph of a model with a head that is asked, such as 'recall'.")
        count = self._glimpses(glimpses) or 1
        parts = []
        for inputs in self._split(self._inputs(images, None, None, count)):
            walk = Walk(self._part, self._takes, inputs["image"])
            for t in range(count):
                walk.look(of_glimpse(inputs, t))
            parts.append({name: walk.known[name] for name in self._takes["read"] if name not in self._asked})
        return Remembered(parts)

    def ask(self, remembered: Remembered, cue: Cues | None = None) -> OnnxOutput:
        """Ask what is remembered of images, without looking again.

        Args:
            remembered: What `remember` gave.
            cue: What is asked, as for a call.

        Raises:
            InputError: The cue is not what the graph takes.
        """
        like = next(iter(remembered.parts[0].values()))
        sizes = [len(next(iter(part.values()))) for part in remembered.parts]
        whole = cues_for(self._asked, cue, sum(sizes), like)
        cues = zip(*(own.split(sizes) for own in whole.values()), strict=True)
        asked = [part | dict(zip(whole, own, strict=True)) for part, own in zip(remembered.parts, cues, strict=True)]
        found = [self._part("read", given) for given in asked]
        named = {name: torch.cat([one[name] for one in found]) for name in found[0] if name in self.info.fields}
        return unflatten({name: value.to(like.device) for name, value in named.items()})

    def _inputs(
        self,
        images: Images,
        noise: Noise | None,
        generator: torch.Generator | None,
        glimpses: int | None,
    ) -> Named:
        check_noise(noise)
        check_generator(generator)
        image = normalise(prepare(images, self.info), self.info)
        if not self._noise and noise is not None and any(value is not None for value in noise):
            raise InputError("This graph was exported with sample=False: it takes no noise.")
        shapes = {name: (glimpses or 1, *shape[1:]) for name, shape in self._noise.items()}
        drawn = noises.settle(noise, shapes, image, generator, draw=True)._asdict()
        own = {NOISE + name: torch.as_tensor(drawn[name]).to(image) for name in shapes}
        if self._pose_size is not None:
            own |= {n: x.to(image) for n, x in neutral(len(image), glimpses or 1, self._pose_size).named().items()}
        return {"image": image} | own

    def _split(self, inputs: Named) -> list[Named]:
        if not len(inputs["image"]):  # no runtime has to take an empty batch: one blank image tells the shapes
            return [{name: value.new_zeros(1, *value.shape[1:]) for name, value in inputs.items()}]
        batches = zip(*(value.split(self.batch_size) for value in inputs.values()), strict=True)
        return [dict(zip(inputs, batch, strict=True)) for batch in batches]

    def _run(self, inputs: Named, glimpses: int | None) -> Named:
        if self.info.kind == "rollout":
            found = self._part("rollout", inputs)
        else:
            every = reads_every_glimpse(self.info.fields)
            found = roll(self._part, self._takes, inputs, glimpses or 1, every=every, labels=self.info.labels)
        return {name: found[name] for name in self.info.fields}

    def _part(self, part: str, given: Named) -> Named:
        return self._runners[part](given)

    def _glimpses(self, asked: int | None) -> int | None:
        room = self.info.glimpses
        asked = None if asked is None else as_count(asked, "glimpses", least=None)
        if asked is None or asked == room:
            return room
        if self.info.kind == "rollout":
            takes = "no" if room is None else room
            raise InputError(f"This graph takes {takes} glimpses; export a step graph to choose their number.")
        if room is None or not 1 <= asked <= room:
            raise InputError(f"This graph has room for 1 to {room} glimpses; got {asked}.")
        return asked

    def __repr__(self) -> str:
        return f"OnnxModel({self.info.preset}, {self.info.kind}, {self.info.precision}, device={self.device!r})"


def _session(file: GraphFile, device: str, batch_size: int, options: Mapping[str, Any]) -> ort.InferenceSession:
    opset = opset_of(file.proto)
    if device == "tensorrt" and opset > 19:
        raise ExportError(
            f"{file.path} is of opset {opset}: from 20 on TensorRT samples by the nearest pixel. Export with opset=18."
        )
    inputs = {name: shape for name, shape in shapes_of(file.proto).items() if name in file.info.inputs}
    free = file.info.any_size or any(map(is_cue, file.info.inputs))  # of free sides TensorRT makes its own profiles
    profiled = device == "tensorrt" and not free
    shapes = profile(inputs, (1, min(32, batch_size), batch_size)) if profiled else ()
    return open_session(file.data, device, trt_shapes=shapes, **options)


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


def _reopen(
    kind: type[OnnxModel], path: Path, digests: Mapping[str, str | None], settings: Mapping[str, Any]
) -> OnnxModel:
    """Open a file again as it was opened before."""
    model = kind(path, **settings)
    if model._digests != digests:
        raise ExportError(f"{path} is not the file any more that was opened when this session was pickled or copied.")
    return model


@cache
def _say_slow() -> None:
    """Say once in a process what a graph in half precision costs on a CPU."""
    _log.warning(
        "This graph is in fp16 and runs on a CPU, where it takes 3 to 15 times as long as the same graph in fp32."
    )
