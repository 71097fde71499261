"""An exported file is used as the model is, and refuses what it cannot do."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stawm.errors import InputError
from stawm.export import OnnxModel
from stawm.export.file.files import read_graphs
from stawm.export.graphs.fields import flatten
from stawm.export.run import providers
from stawm.export.run.host import HostRunner
from stawm.export.run.providers import open_session
from stawm.heads.output import Noise
from tests.export.opened import answers, opened
from tests.moments import assert_distributed
from tests.small import inputs


@pytest.fixture(scope="module")
def graph(rollout: Path) -> Any:
    return opened(rollout, threads=1, batch_size=4)


def assert_same(output: Any, expected: Any, tolerance: float = 1e-5) -> None:
    named, wanted = flatten(output), flatten(expected)
    assert set(wanted) <= set(named)
    for name, value in wanted.items():
        assert torch.allclose(named[name], value, atol=tolerance), name


@pytest.mark.parametrize("batch", [1, 4, 5, 11])
def test_it_is_the_model_at_any_size_of_batch(batch: int, graph: Any, classifier: Any) -> None:
    images, _ = inputs(classifier, batch)
    assert_same(graph(images), answers(classifier, images, glimpse_logits=True))


@pytest.mark.parametrize("spinning", [False, True])
def test_threads_stay_awake_within_a_run_only(
    spinning: bool, rollout: Path, classifier: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries: dict[str, str] = {}

    class Options(providers.ort.SessionOptions):
        def add_session_config_entry(self, key: str, value: str) -> None:
            entries[key] = value
            super().add_session_config_entry(key, value)

    monkeypatch.setattr(providers.ort, "SessionOptions", Options)
    graph = OnnxModel(rollout, device="cpu", threads=2, spinning=spinning)
    assert entries["session.intra_op.allow_spinning"] == str(int(spinning))
    assert entries["session.force_spinning_stop"] == "1"
    images, _ = inputs(classifier, 3)
    assert_same(graph(images), answers(classifier, images, glimpse_logits=True))


def test_confidence_is_the_greatest_probability(graph: Any, classifier: Any) -> None:
    images, _ = inputs(classifier, 3)
    output = graph(images)
    assert output.confidence is not None
    assert torch.allclose(
        output.confidence, answers(classifier, images, glimpse_logits=True).glimpse_logits.exp().amax(-1)
    )


def test_arrays_tensors_pixels_and_files_are_the_same_images(graph: Any, classifier: Any, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 12, 12), dtype=np.uint8)
    paths = []
    for number, picture in enumerate(pixels):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(picture).save(paths[-1])
    floats = torch.from_numpy(pixels)[:, None].float() / 255
    expected = answers(classifier, floats)
    locked = pixels.copy()
    locked.flags.writeable = False
    one = [
        locked,
        floats,
        floats.double(),
        floats[:, 0],
        floats.permute(0, 2, 3, 1),
        floats.numpy(),
        pixels,
        pixels[:, None],
        pixels[..., None],
        torch.from_numpy(pixels),
    ]
    for images in [*one, paths, [str(path) for path in paths]]:
        assert torch.allclose(graph(images).logits, expected.logits, atol=1e-5)
    assert torch.allclose(graph(paths[1]).logits, expected.logits[1:2], atol=1e-5)


def test_one_image_by_itself_is_a_batch_of_one(graph: Any, steps: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    expected = graph([tmp_path / "one.png"]).logits
    floats = torch.from_numpy(pixels)[None].float() / 255
    for image in (tmp_path / "one.png", pixels, pixels[None], pixels[..., None], floats, floats[0], floats.numpy()):
        assert torch.allclose(graph(image).logits, expected, atol=1e-5)
        assert opened(steps).look(image, until=0.99).glimpses.tolist() == [3]


def test_files_of_another_size_are_brought_to_the_models(graph: Any, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (200, 100, 50)).save(tmp_path / "wide.png")
    assert graph(tmp_path / "wide.png").logits.shape == (1, 10)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 1, 12, 13),
        torch.zeros(12, 13),
        torch.zeros(2, 1, 12, 12, dtype=torch.bool),
        torch.zeros(2, 1, 12, 12, dtype=torch.int64),
        np.zeros((2, 12, 13), dtype=np.uint8),
        [],
        [np.zeros((1, 12, 12)), torch.zeros(1, 12, 12)],
        3,
    ],
    ids=str,
)
def test_other_things_are_refused(images: Any, graph: Any) -> None:
    with pytest.raises(
        InputError, match=r"takes pixels of shape \(b, 1, 12, 12\)|paths of files|of one type and shape"
    ):
        graph(images)


def test_a_file_that_is_no_image_is_named(graph: Any, tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("no image")
    with pytest.raises(InputError, match=r"note\.png cannot be read as an image"):
        graph(tmp_path / "note.png")


def test_threads_may_share_it(graph: Any, classifier: Any) -> None:
    batches = [inputs(classifier, batch=1 + seed % 5, seed=seed)[0] for seed in range(16)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(graph, batches))
    for images, output in zip(batches, found, strict=True):
        assert torch.equal(output.logits, graph(images).logits)


@pytest.mark.parametrize("until", [0.1, 0.105, 0.11, 1.0])
def test_looking_ends_when_the_answer_is_certain_enough(until: float, steps: Path, classifier: Any) -> None:
    images, _ = inputs(classifier, 9)
    looked = opened(steps, batch_size=5).look(images, until=until)
    logits = answers(classifier, images, glimpse_logits=True).glimpse_logits
    certain = logits.exp().amax(-1) >= until
    certain[:, -1] = True
    first = certain.float().argmax(dim=1)
    assert torch.equal(looked.glimpses, first + 1)
    expected = logits[torch.arange(9), first]
    assert torch.allclose(looked.logits, expected, atol=1e-5)
    assert torch.allclose(looked.confidence, expected.exp().amax(-1), atol=1e-5)
    assert looked.as_dict()["labels"] == expected.argmax(1).tolist()


def test_looking_takes_as_many_glimpses_as_are_allowed(steps: Path, classifier: Any) -> None:
    images, _ = inputs(classifier, 3)
    assert opened(steps).look(images, until=1.0, glimpses=2).glimpses.tolist() == [2, 2, 2]


def test_looking_needs_steps_and_a_probability(graph: Any, steps: Path, classifier: Any) -> None:
    images, _ = inputs(classifier)
    with pytest.raises(InputError, match="graph='step'"):
        graph.look(images)
    with pytest.raises(InputError, match="got 0"):
        opened(steps).look(images, until=0)


def test_a_number_of_glimpses_that_there_is_no_room_for(graph: Any, steps: Path, classifier: Any) -> None:
    images, _ = inputs(classifier)
    with pytest.raises(InputError, match="takes 3 glimpses; export a step graph"):
        graph(images, glimpses=2)
    with pytest.raises(InputError, match="room for 1 to 3 glimpses; got 4"):
        opened(steps)(images, glimpses=4)


def test_noise_that_is_not_given_is_drawn_reproducibly(painting: Path, painter: Any) -> None:
    sampling = opened(painting)
    images, _ = inputs(painter)
    first, again, other = (sampling(images, generator=torch.Generator().manual_seed(s)).masks for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.usefixtures("unchecked")
def test_noise_of_another_kind_or_form_is_refused(painting: Path, graph: Any, painter: Any) -> None:
    images, _ = inputs(painter)
    with pytest.raises(InputError, match="exported with sample=False"):
        graph(images, noise=Noise(latent=torch.zeros(2, 3, 4)))
    with pytest.raises(InputError, match=r"latent noise must be of shape \(2, 3, 4\)"):
        opened(painting)(images, noise=Noise(latent=torch.zeros(2, 1, 4)))


class NotRun(Exception):
    """Ends a call before the graph runs."""


def test_noise_that_is_not_given_is_distributed_as_it_should_be(
    painting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def keep(_: HostRunner, inputs: dict[str, torch.Tensor]) -> None:
        given.update(inputs)
        raise NotRun

    graph = opened(painting, batch_size=10_000)
    monkeypatch.setattr(HostRunner, "__call__", keep)
    with pytest.raises(NotRun):
        graph(torch.rand(9_000, 1, 12, 12), generator=torch.Generator().manual_seed(0))
    assert given["noise_latent"].shape == (9_000, 3, 4)
    assert given["noise_mask"].shape == (9_000, 3, 1, 12, 12)
    for kind in ("latent", "mask"):
        assert_distributed(kind, given[f"noise_{kind}"])


def test_noise_is_drawn_as_the_model_draws_it(painting: Path, painter: Any) -> None:
    pixels, _ = inputs(painter)
    found = opened(painting)(pixels, generator=torch.Generator().manual_seed(3))
    expected = answers(painter, pixels, sample=True, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(found.canvas, expected.canvas, atol=1e-5)
    assert torch.allclose(found.masks, expected.masks, atol=1e-5)


@pytest.mark.usefixtures("unchecked")
def test_images_that_are_normalised_already_are_refused(graph: Any, steps: Path, classifier: Any) -> None:
    pixels, _ = inputs(classifier)
    for call in (graph, opened(steps).look):
        with pytest.raises(
            InputError, match=r"must be in \[0, 1\]; got values from -0\.\d+ to .*normalises them itself"
        ):
            call(classifier.normalise(pixels))
        with pytest.raises(InputError, match=r"must be in \[0, 1\]"):
            call((pixels * 255).numpy())


def test_the_graph_itself_takes_normalised_images(graph: Any, rollout: Path, classifier: Any) -> None:
    pixels, _ = inputs(classifier)
    session = open_session(read_graphs(rollout)["rollout"].data, "cpu", allow_fallback=False, threads=1)
    found = HostRunner(session)({"image": classifier.normalise(pixels)})["logits"]
    assert torch.equal(found, graph(pixels).logits)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("options", [{"device": "gpu"}, {"batch_size": 0}, {"threads": 0}])
def test_what_a_session_cannot_be(options: dict[str, Any], rollout: Path) -> None:
    with pytest.raises(InputError):
        OnnxModel(rollout, **{"device": "cpu", **options})
