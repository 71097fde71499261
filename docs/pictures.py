"""Make the pictures of the docs.

    stawm demo
    python docs/pictures.py memories demo/model.safetensors
    python docs/pictures.py seeing stawm-mnist-sketchpad mnist:ROOT
    python docs/pictures.py parts stawm-mnist-draw-6 mnist:ROOT
    python docs/pictures.py looking stawm-mnist-8 mnist:ROOT
    python docs/pictures.py straightening stawm-mnist-28 mnist:ROOT
    python docs/pictures.py latents stawm-mnist-draw-6 mnist:ROOT
    python docs/pictures.py scenes stawm-cluttered-100 clutter:ROOT
    python docs/pictures.py photographs stawm-cifar-draw-16 folder:PATH runs/bvae-cifar
    python docs/pictures.py figures runs/figure-ground/model.safetensors figure-ground:ROOT,PATH

Each takes a checkpoint or a preset whose weights ship: `seeing` one that classifies and draws, `parts`, `latents` and
`photographs` one that draws, `figures` one that draws with masks, `looking` and `scenes` one that classifies,
`straightening` one that classifies by glimpses as large as the image. What is measured, by `looking`, `straightening`,
`parts` and `photographs`, is printed.
"""

import sys
from pathlib import Path

import torch
from sklearn.cluster import KMeans
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from torch import Tensor

import stawm
from stawm import viz
from stawm.cli.demo import telling
from stawm.models.model import Model, Stawm
from stawm.models.pixels import to_unit
from stawm.nn.policies.fixed import Fixed
from stawm.storage.pretrained import find_model
from stawm.training import data, evaluate
from stawm.viz import matrices, sheet
from stawm.viz.memories import show_matrix
from stawm.viz.seen import look

IMAGES = Path(__file__).parent / "images"
SEED = 3
"""Which of the test images are shown."""


def with_memory(model: Model, name: str) -> Model:
    """Return a model that looks as the given one does and writes into another memory, as it starts out."""
    other = stawm.build(model.config, seed=0, memory=name).eval()
    looking = {key: value for key, value in model.state_dict().items() if not key.startswith("memory.")}
    other.load_state_dict(looking, strict=False)
    return other


def memories(model: Model, source: str = "digits") -> None:
    """Draw W after each glimpse of one image, a row for each rule."""
    pixels = to_unit(data.load(source).test.images[3:4])
    names = stawm.list_names("memory", origin="stawm")
    glimpses = model.config.glimpses
    figure, axes = sheet.panels([1.3] * len(names), [1.0, *[1.2] * glimpses])
    for panels, name in zip(axes, names, strict=True):
        written = matrices(look(with_memory(model, name), pixels))[0]
        sheet.show(panels[0], pixels[0])
        sheet.under(panels[0], name, sheet.INK)
        for step in range(glimpses):
            reach = show_matrix(panels[1 + step], written[step])
            sheet.border(panels[1 + step], sheet.colour(step, glimpses), width=1.0)
            sheet.under(panels[1 + step], reach, sheet.FAINT)
    words = ["image", *[f"W after {step + 1}" for step in range(glimpses)]]
    inks = [sheet.INK, *[sheet.colour(step, glimpses) for step in range(glimpses)]]
    sheet.headings(figure, axes[0], words, inks, "the same glimpses, written by every rule")
    figure.savefig(IMAGES / "memories.png", dpi=110)


def shuffled_test(model: Model, source: str) -> data.ImageSet:
    """Return the test images of a set in an order of ours."""
    test = data.load(source, image=model.config.image).test
    return test.take(torch.randperm(len(test), generator=torch.Generator().manual_seed(SEED)))


def parts(model: Model, source: str) -> None:
    """Draw how a digit comes about on the canvas, and measure whether parts repeat and what they tell of the class."""
    test, train = shuffled_test(model, source), data.load(source, image=model.config.image).train
    sheet.save(viz.drawings(model, to_unit(test.images[:3])), IMAGES / "parts.png")
    asked, known = (_drawn(model, some.take(slice(0, count))) for some, count in ((test, 2000), (train, 10000)))
    for step in range(model.config.glimpses):
        print(f"glimpse {step + 1} tells:", _told(asked, known, slice(step, step + 1)))
    print("all of them tell:", _told(asked, known, slice(None)))
    for count in (16, 64):
        print(f"{count} parts explain {_explained(asked[2], count):.0%} of what sketches differ by")


def _drawn(model: Model, digits: data.ImageSet) -> tuple[Tensor, Tensor, Tensor]:
    """Return latents, classes and sketches as they are seen: (b, n, l), (b,), (b, n, s)."""
    outputs = [look(model, some).output for some in digits.images[:].split(500)]
    latents = torch.cat([output.latent.mu for output in outputs])
    return latents, digits.labels, torch.cat([output.sketches.flatten(2) for output in outputs]).sigmoid()


def _told(asked: tuple[Tensor, ...], known: tuple[Tensor, ...], steps: slice) -> str:
    """Say how often the 15 digits whose latents are nearest are mostly of another class."""
    near = KNeighborsClassifier(15).fit(known[0][:, steps].flatten(1), known[1])
    return f"{1 - near.score(asked[0][:, steps].flatten(1), asked[1]):.1%} wrong"


def _explained(sketches: Tensor, count: int) -> float:
    """Return the share of the sketches' variance that goes when each is replaced by the nearest of so many."""
    every = sketches.flatten(0, 1)
    found = KMeans(count, n_init=1, random_state=0).fit(every)
    return 1 - found.inertia_ / (every - every.mean(dim=0)).square().sum().item()


def seeing(model: Model, source: str) -> None:
    """Draw what `docs/seeing.md` shows."""
    test = shuffled_test(model, source)
    pixels, labels = to_unit(test.images[:2000]), test.labels[:2000]
    sheet.save(viz.drawings(model, pixels[:2]), IMAGES / "drawings.png")
    viz.animate(model, pixels[:3], labels[:3]).save(IMAGES / "glimpses.gif")
    sheet.save(viz.mistakes(model, pixels, labels, count=8), IMAGES / "mistakes.png")
    measured = evaluate(model, test, by_glimpse=True, by_class=True)
    sheet.save(viz.evaluation(measured), IMAGES / "evaluation.png")


def latents(model: Model, source: str) -> None:
    """Draw how canvases grow, beside another model's, what the numbers of a latent do, and what the prior gives."""
    pixels = to_unit(shuffled_test(model, source).images[:3])
    beside = [model, find_model("stawm-mnist-sketchpad")]
    sheet.save(viz.canvases(beside, pixels[:2]), IMAGES / "canvases.png")
    sheet.save(viz.traversals(model, pixels[1:2]), IMAGES / "walk.png")
    sheet.save(viz.generated(model, pixels), IMAGES / "prior.png")


def photographs(model: Stawm, source: str, beside: str) -> None:
    """Draw photographs beside another model and glimpse by glimpse, and measure in which order they are drawn."""
    test = shuffled_test(model, source)
    pixels = to_unit(test.images[:1000])
    sheet.save(viz.reconstructions([find_model(beside), model], pixels[:8]), IMAGES / "figure-5.png")
    sheet.save(viz.canvases([model], pixels[:4]), IMAGES / "slices.png")
    seen = look(model, pixels)
    heights = (model.locator.frame(seen.trace.pose.flatten(0, 1))[..., 1].mean(dim=1).view(len(pixels), -1) + 1) / 2
    print("middles of the glimpses, as shares of the height:", [f"{height:.0%}" for height in heights.mean(dim=0)])
    print("each lower than the one before:", f"{(heights.diff(dim=1) > 0).all(dim=1).float().mean():.1%} of the images")
    lacking = (seen.output.canvases - pixels[:, None]).square().mean(dim=(0, 2, 4))
    for name, rows in zip(("upper", "lower"), lacking.chunk(2, dim=1), strict=True):
        print(f"squared error of the {name} half after each glimpse:", [f"{error:.3f}" for error in rows.mean(dim=1)])


def looking_at(model: Stawm, poses: Tensor) -> Model:
    """Return a model that looks where it is told: (n, p), a pose for each glimpse, the same ones in every image."""
    given = tuple(tuple(pose) for pose in poses.tolist())
    other = stawm.build(model.config.replace(policy=Fixed.Config(poses=given)), seed=0)
    other.load_state_dict(model.state_dict(), strict=False)
    return other.eval()


def looking(model: Stawm, source: str) -> None:
    """Draw where a model looks, and measure what it answers when it looks elsewhere."""
    splits = data.load(source, image=model.config.image)
    steps = model.config.glimpses
    learned = look(model, splits.train.images[-1000:]).trace.pose.mean(dim=0)
    whole = model.locator.identity_pose().expand(steps, -1)
    ways = {"its own poses": None, "the mean pose": learned, "the whole image": whole}
    test = shuffled_test(model, source)
    pixels, labels = to_unit(test.images[:2000]), test.labels[:2000]
    seen = look(model, pixels)
    chosen = telling(seen.chances, labels, 5)
    title = "a trained model looks at digits that it has never seen"
    sheet.save(viz.looks(model, pixels[chosen], labels[chosen], title=title), IMAGES / "looks.png")
    figure, axes = sheet.panels([1.3] * len(ways), [1.0] + [1.0] * steps)
    for panels, (name, poses) in zip(axes, ways.items(), strict=True):
        other = model if poses is None else looking_at(model, poses)
        shown = look(other, pixels[chosen[:1]])
        measured = evaluate(other, test, by_glimpse=True)
        print(name, f"{measured.images:,} images", " ".join(f"{error:.2%}" for error in measured.error_by_glimpse))
        sheet.scene(panels[0], pixels[chosen[0]], shown.frames(0))
        sheet.under(panels[0], name, sheet.INK)
        for step in range(steps):
            sheet.show(panels[1 + step], model.denormalise(shown.trace.glimpses[0, step : step + 1])[0])
            sheet.border(panels[1 + step], sheet.colour(step, steps))
            sheet.under(panels[1 + step], f"wrong {measured.error_by_glimpse[step]:.2%}", sheet.FAINT)
    words = ["where it looks", *[f"glimpse {step + 1}" for step in range(steps)]]
    inks = [sheet.INK, *[sheet.colour(step, steps) for step in range(steps)]]
    sheet.headings(figure, axes[0], words, inks, "one model, three ways of looking")
    sheet.save(figure, IMAGES / "looking.png")


def straightening(model: Stawm, source: str) -> None:
    """Draw what glimpses as large as the image make of a digit, and measure whether digits of a class become alike."""
    test, train = shuffled_test(model, source), data.load(source, image=model.config.image).train
    title = "glimpses as large as the image stand digits upright"
    sheet.save(viz.looks(model, to_unit(test.images[:5]), test.labels[:5], title=title), IMAGES / "straightening.png")
    known, asked = _views(model, train.take(slice(0, 10000))), _views(model, test)
    for step, name in enumerate(["the image", *[f"glimpse {step + 1}" for step in range(model.config.glimpses)]]):
        nearest = NearestCentroid().fit(known[:, step], train.labels[:10000])
        wrong = 1 - nearest.score(asked[:, step], test.labels)
        print(f"{name}: {_within(asked[:, step], test.labels):.3f} of the variance is within classes,", end=" ")
        print(f"{wrong:.1%} are nearest to the mean of another class")


def _views(model: Stawm, digits: data.ImageSet) -> Tensor:
    """Return images, and after each what its glimpses see, as pixels: (b, 1 + n, h w)."""
    found = []
    for some in digits.images[:].split(500):
        seen = model.denormalise(look(model, some).trace.glimpses.flatten(0, 1)).view(len(some), -1, some[0].numel())
        found.append(torch.cat([to_unit(some).flatten(1)[:, None], seen], dim=1))
    return torch.cat(found)


def _within(views: Tensor, labels: Tensor) -> float:
    """Return the share of the variance of what is seen that is between digits of the same class."""
    within = sum((own - own.mean(dim=0)).square().sum() for own in (views[labels == name] for name in labels.unique()))
    return float(within / (views - views.mean(dim=0)).square().sum())


def scenes(model: Stawm, source: str) -> None:
    """Draw how the gaze finds digits in clutter."""
    test = shuffled_test(model, source).take(slice(0, 4))
    title = "a thumbnail of 24x24 says where to look, and a few glimpses of 12x12 find the digit"
    sheet.save(viz.looks(model, to_unit(test.images[:]), test.labels, title=title), IMAGES / "scenes.png")


def figures(model: Model, source: str) -> None:
    """Draw what the last mask takes for the figure."""
    sheet.save(viz.segments(model, to_unit(shuffled_test(model, source).images[:10])), IMAGES / "segments.png")


if __name__ == "__main__":
    what, given, *rest = sys.argv[1:]
    ways = {
        way.__name__: way
        for way in (memories, seeing, parts, looking, straightening, latents, photographs, scenes, figures)
    }
    ways[what](find_model(given), *rest)
