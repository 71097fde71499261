"""An ONNX file, used as the model is, but on pixels: with arrays of NumPy, and without PyTorch."""

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from stawm.arrays import Array, alike, namespace, to_numpy
from stawm.errors import ExportError, InputError
from stawm.export.file import sealing
from stawm.export.file.faces import fixed
from stawm.export.file.files import GraphFile, check_consistent, read_graphs
from stawm.export.file.metadata import GraphInfo
from stawm.export.graphs.names import NOISE, POSE, is_cue, reads_every_glimpse, still
from stawm.export.run.host import HostRunner, Runner
from stawm.export.run.providers import Device, choose_device, device_of, open_session, profile
from stawm.export.run.walk import Named, Walk, of_glimpse, roll
from stawm.export.serve import noise as noises
from stawm.export.serve.arguments import as_count
from stawm.export.serve.asking import Remembered, asked_of, cues_for
from stawm.export.serve.grouping import size_by_size
from stawm.export.serve.looking import Looked, Steps, Until, look, rule
from stawm.export.serve.pixels import Images, normalise, prepare
from stawm.storage.opening import as_path

_log = logging.getLogger("stawm.export")


class Session:
    """A graph that `stawm.export.to_onnx` wrote: from pixels to the numbers that its model gives, by name.

    It normalises pixels itself, by what the file says. It may be called from several threads at once.

    It can be pickled and copied, for worker processes say: what is kept are the path, made absolute, the arguments
    below, and the file's hash. The copy is opened from that path anew, and refuses a file that has become another.

    Attributes:
        info: What the graph says of itself.
        device: Where it runs: ``"cpu"``, ``"cuda"`` or ``"tensorrt"``.

    Examples:
        >>> import numpy as np, stawm, tempfile
        >>> from stawm import runtime
        >>> model = stawm.build("stawm-digits", glimpses=1, seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = stawm.export.to_onnx(model, f"{folder}/digits.onnx")
        ...     session = runtime.Session(f"{folder}/digits.onnx", device="cpu", trusted=True)
        >>> found = session(np.zeros((5, 16, 16), np.uint8))
        >>> found["logits"].shape, found["logits"].dtype
        ((5, 10), dtype('float32'))
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
        tf32: bool = False,
        trusted: bool = False,
    ) -> None:
        """Load a file, or the folder of a step graph.

        Args:
            path: What `stawm.export.to_onnx` wrote.
            device: ``"auto"`` is a GPU where there is one that ONNX Runtime can use, else the CPU; of a graph in int8
                the CPU.
            allow_fallback: Whether the CPU may stand in for a GPU that was asked for and cannot be used.
            threads: How many threads a run on the CPU takes; ONNX Runtime's choice where left out.
            spinning: Whether these threads stay awake within a run, which answers single images sooner where the
                cores have nothing else to do.
            batch_size: The most images in one run; more are split up.
            tf32: Whether products on a GPU may be rounded to TF32, which is faster, and less exact than what
                was verified.
            trusted: Whether the graph is your own, so that what it is made of needs no check before it is run. That
                check takes the package onnx; that the file is whole and says what it takes and gives is seen anyway.

        Raises:
            ExportError: The file is truncated, altered, not ours, or contradicts itself.
            DeviceError: The device cannot be used; the message says what to install.
            InputError: An argument is not legal.
            MissingPackageError: The package onnx is not installed, and the graph is not trusted.
        """
        self.path = as_path(path, "A graph").absolute()
        self.batch_size = as_count(batch_size, "batch_size")
        files = read_graphs(as_path(path, "A graph"), trusted=trusted)
        check_consistent(files)
        self._digests = {part: sealing.digest(file.data) for part, file in files.items()}
        self.info: GraphInfo = next(iter(files.values())).info
        self._takes = {part: file.info.inputs for part, file in files.items()}
        shapes = files["glimpse" if self.info.kind == "step" else "rollout"].faces.shapes
        self._asked = asked_of(self.info, {n: s for file in files.values() for n, s in file.faces.shapes.items()})
        self._pose_size = fixed(shapes[POSE])[0] if self.info.steered else None
        self._noise = {n.removeprefix(NOISE): fixed(s) for n, s in shapes.items() if n.startswith(NOISE)}
        on_cpu = device == "auto" and self.info.precision == "int8"  # for which GPUs have no kernels
        chosen = "cpu" if on_cpu else choose_device(device)
        options: dict[str, Any] = {
            "allow_fallback": allow_fallback,
            "threads": None if threads is None else as_count(threads, "threads"),
            "spinning": spinning,
            "tf32": tf32,
        }
        self._settings = {"device": device, "batch_size": self.batch_size, "trusted": trusted, **options}
        self._runners, self.device = self._open(files, chosen, options)
        if self.device == "cpu" and self.info.precision == "fp16":
            say_slow()

    def _open(
        self, files: Mapping[str, GraphFile], device: str, options: Mapping[str, Any]
    ) -> tuple[dict[str, Runner], str]:
        """Return what runs each part, and where."""
        sessions = {part: open_file(file, device, self.batch_size, options) for part, file in files.items()}
        return {part: HostRunner(session) for part, session in sessions.items()}, device_of(sessions.values())

    def __reduce__(self) -> tuple[Any, ...]:
        """Be opened again where it is unpickled or copied."""
        return _reopen, (type(self), self.path, self._digests, self._settings)

    def __call__(
        self,
        images: Images,
        *,
        cue: Any = None,
        noise: Mapping[str, np.ndarray] | None = None,
        generator: np.random.Generator | None = None,
        glimpses: int | None = None,
        glimpse_logits: bool = False,
    ) -> dict[str, np.ndarray]:
        """Look at images, as the model does.

        Args:
            images: Pixels, as bytes (uint8) or floats in [0, 1], of shape (b, c, h, w) or (b, h, w, c), or paths of
                images. They are normalised here. A graph for images of any size also takes a list of several sizes:
                those of one size are run together, and the answers keep the list's order.
            cue: What is asked of a model with a head such as ``recall``: the numbers of questions, (k,) for all images
                or (b, k), or vectors with one axis more; by the heads' names where several are asked differently. Every
                numbered question, in order, where left out.
            noise: Random numbers by name (``latent`` and so on), for a graph that was exported with ``sample=True``;
                what is not given is drawn.
            generator: Where random numbers that are not given come from.
            glimpses: How many glimpses to take, with a step graph; the number it has room for where left out.
            glimpse_logits: Whether a step graph of a model that classifies also says what it answers after each
                glimpse; a rollout gives what it was exported with.

        Returns:
            The outputs that the graph was exported with, by name (``info.fields``), each with the batch first.

        Raises:
            InputError: The images, the cue, the noise or the number of glimpses are not what the graph takes.
            ExportError: ONNX Runtime fails while it runs the graph.
        """
        return self._answer(
            images, cue=cue, noise=noise, generator=generator, glimpses=glimpses, glimpse_logits=glimpse_logits
        )

    @size_by_size
    def look(
        self,
        images: Images,
        *,
        until: Until = None,
        glimpses: int | None = None,
        noise: Any = None,
        generator: Any = None,
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
        inputs |= self._questions(None, inputs["image"])
        batch = len(inputs["image"])
        inputs = inputs if batch else self._split(inputs)[0]
        steps = Steps(self._part, self._takes, inputs)
        found = look(steps, len(inputs["image"]), count, sure, self.batch_size)
        return Looked(found.logits[:batch], found.confidence[:batch], found.glimpses[:batch])

    def remember(self, images: Images, *, glimpses: int | None = None) -> Remembered:
        """Look at images, and keep what the memory holds of them, to ask as often as one likes.

        Args:
            images: As for a call; at least one, and all of one size.
            glimpses: How many glimpses to take; the number that the graph has room for where left out.

        Raises:
            InputError: This is not a step graph of a model that is asked by cues, or an argument is not legal.
        """
        if self.info.kind != "step" or not self._asked:
            raise InputError("remember needs a step graph of a model with a head that is asked, such as 'recall'.")
        count = self._glimpses(glimpses) or 1
        inputs = self._inputs(images, None, None, count)
        if not len(inputs["image"]):
            raise InputError("remember needs at least one image; got none.")
        parts = []
        for own in self._split(inputs):
            walk = Walk(self._part, self._takes, own["image"])
            for t in range(count):
                walk.look(of_glimpse(own, t))
            parts.append({name: walk.known[name] for name in self._takes["read"] if name not in self._asked})
        return Remembered(parts)

    def ask(self, remembered: Remembered, cue: Any = None) -> dict[str, np.ndarray]:
        """Ask what is remembered of images, without looking again.

        Args:
            remembered: What `remember` gave.
            cue: What is asked, as for a call.

        Returns:
            The answers by name, each with the images first.

        Raises:
            InputError: This is not what `remember` gives, or the cue is not what the graph takes.
        """
        return self._reply(remembered, cue)

    def _reply(self, remembered: Remembered, cue: Any) -> Named:
        """Return what is answered of what is remembered, by name."""
        if not isinstance(remembered, Remembered):
            raise InputError(f"ask takes what remember gave; got {type(remembered).__name__}.")
        like = next(iter(remembered.parts[0].values()))
        ends = list(accumulate(len(next(iter(part.values()))) for part in remembered.parts))
        cues = {name: np.split(own, ends[:-1]) for name, own in cues_for(self._asked, cue, ends[-1]).items()}
        found = [
            self._part("read", {**part, **{name: self._as(own[i], like) for name, own in cues.items()}})
            for i, part in enumerate(remembered.parts)
        ]
        join = namespace(like).concatenate
        return {n: self._back(join([one[n] for one in found]), like) for n in found[0] if n in self.info.fields}

    @size_by_size
    def _answer(
        self,
        images: Images,
        *,
        cue: Any = None,
        noise: Any,
        generator: Any,
        glimpses: int | None,
        glimpse_logits: bool,
    ) -> Named:
        """Return the outputs by name."""
        count = self._glimpses(glimpses)
        inputs = self._inputs(images, noise, generator, count)
        inputs |= self._questions(cue, inputs["image"])
        read = glimpse_logits and self.info.kind == "step" and self.info.classes is not None
        fields = dict.fromkeys((*self.info.fields, *(("glimpse_logits",) if read else ())))
        found = [self._run(part, count, fields) for part in self._split(inputs)]
        join = namespace(next(iter(found[0].values()))).concatenate
        batch, image = len(inputs["image"]), inputs["image"]
        return {name: self._back(join([one[name] for one in found])[:batch], image) for name in found[0]}

    def _in_order(self, found: Sequence[Named], order: np.ndarray) -> Named:
        """Put what groups of images gave together, and into the order of the images."""
        join = namespace(next(iter(found[0].values()))).concatenate
        joined = {name: join([one[name] for one in found]) for name in found[0]}
        return {name: value[alike(order, value)] for name, value in joined.items()}

    def _inputs(self, images: Images, noise: Any, generator: Any, glimpses: int | None) -> Named:
        image = normalise(self._pixels(images), self.info)
        shapes = {name: (glimpses or 1, *shape[1:]) for name, shape in self._noise.items()}
        drawn = self._settled(noise, shapes, image, generator)
        own = {NOISE + name: value for name, value in drawn.items()}
        if self._pose_size is not None:
            own |= {n: self._as(x, image) for n, x in still(len(image), glimpses or 1, self._pose_size).items()}
        return {"image": image} | own

    def _questions(self, cue: Any, image: Array) -> Named:
        """Return the questions as the graph takes them; nothing where it takes none."""
        return {name: self._as(own, image) for name, own in cues_for(self._asked, cue, len(image)).items()}

    def _pixels(self, images: Images) -> Array:
        return to_numpy(prepare(images, self.info))

    def _settled(self, noise: Any, shapes: Mapping[str, tuple[int, ...]], image: Array, generator: Any) -> Named:
        """Return random numbers, checked where they are given and drawn where they are not."""
        return noises.settle(noise, shapes, len(image), generator)

    def _as(self, array: np.ndarray, image: Array) -> Array:
        """Return an array as what images are: an array, or a tensor."""
        return array

    def _back(self, array: Array, image: Array) -> Array:
        """Return what a graph gave where the images are."""
        return array

    def _split(self, inputs: Named) -> list[Named]:
        image, size = inputs["image"], self.batch_size
        if not len(image):  # no runtime has to take an empty batch: one blank image tells the shapes
            blank = {name: np.zeros((1, *value.shape[1:]), np.float32) for name, value in inputs.items()}
            return [{name: self._as(value, image) for name, value in blank.items()}]
        return [{n: value[at : at + size] for n, value in inputs.items()} for at in range(0, len(image), size)]

    def _run(self, inputs: Named, glimpses: int | None, fields: Collection[str]) -> Named:
        if self.info.kind == "rollout":
            found = self._part("rollout", inputs)
        else:
            every = reads_every_glimpse(fields)
            found = roll(self._part, self._takes, inputs, glimpses or 1, every=every, labels=self.info.labels)
        return {name: found[name] for name in fields}

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
        form = f"{self.info.preset}, {self.info.kind}, {self.info.precision}"
        return f"{type(self).__name__}({form}, device={self.device!r})"


def open_file(file: GraphFile, device: str, batch_size: int, options: Mapping[str, Any]) -> ort.InferenceSession:
    """Open a session of ONNX Runtime on a device; the options are those of `open_session`."""
    if device == "tensorrt" and file.faces.opset > 19:
        raise ExportError(
            f"{file.path} is of opset {file.faces.opset}: from 20 on TensorRT samples by the nearest pixel. Export "
            "with opset=18."
        )
    inputs = {name: face.shape for name, face in file.faces.inputs.items()}
    free = file.info.any_size or any(map(is_cue, file.info.inputs))  # of free sides TensorRT makes its own profiles
    profiled = device == "tensorrt" and not free
    shapes = profile(inputs, (1, min(32, batch_size), batch_size)) if profiled else ()
    return open_session(file.data, device, trt_shapes=shapes, **options)


def _reopen(kind: type[Session], path: Path, digests: Mapping[str, str | None], settings: Mapping[str, Any]) -> Session:
    """Open a file again as it was opened before."""
    session = kind(path, **settings)
    if session._digests != digests:
        raise ExportError(f"{path} is not the file any more that was opened when this session was pickled or copied.")
    return session


@cache
def say_slow() -> None:
    """Say once in a process what a graph in half precision costs on a CPU."""
    _log.warning(
        "This graph is in fp16 and runs on a CPU, where it takes 3 to 15 times as long as the same graph in fp32."
    )
