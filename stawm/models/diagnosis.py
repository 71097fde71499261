"""A model's health on real input: its memory held against exact bounds, where it looks, and both put into advice."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stawm.core import hebb_rosenblatt as rule
from stawm.core import stability
from stawm.core.activations import ACTIVATIONS
from stawm.errors import InputError
from stawm.models.asking import asked_for
from stawm.models.looking import LookHealth, examine, is_untrained
from stawm.models.model import Model, Stawm, evaluating
from stawm.models.pixels import to_unit
from stawm.nn.memories.hebb_rosenblatt import HebbRosenblatt
from stawm.text import Readable, strict

LARGEST_INPUT = 6.0
LARGEST_HALF = torch.finfo(torch.float16).max
LOOKED_INTO = 32
MOSTLY, SAME, HARDLY = 0.75, 0.99, 0.1
"""From which share on a glimpse is called outside, two of them the same, and gradients cut off."""
NOTHING = "nothing to mend"
UNTRAINED = "untrained: every glimpse is still the one that the model starts with"


@dataclass(frozen=True, kw_only=True)
class GlimpseHealth:
    """The memory after one glimpse, over all images; what only the Hebb-Rosenblatt rule has is None elsewhere.

    Attributes:
        glimpse: Which glimpse, from 1.
        norm: The largest Frobenius norm of W.
        radius: The largest spectral radius of W.
        read: The largest magnitude that a head read.
        drive: The mean of η|e|², what the write adds along e.
        drive_max: Its largest value.
        contracting: The share of writes with η L |e|² < δ, which bring any two memories nearer.
        saturated: The share of responses at φ's bound, through which no gradient flows.
        silent: The share of responses that are zero.
        fill: The largest element of W, as a share of the bound that it cannot pass.
        gradient: The bound on |∂W/∂W₀| of the worst image, the product of its writes' factors.
    """

    glimpse: int
    norm: float
    radius: float
    read: float
    drive: float | None = None
    drive_max: float | None = None
    contracting: float | None = None
    saturated: float | None = None
    silent: float | None = None
    fill: float | None = None
    gradient: float | None = None


@dataclass(frozen=True, kw_only=True)
class Diagnosis(Readable):
    """The health of a model.

    Attributes:
        model: The model's name.
        memory: The memory's registered name.
        images: How many images were looked at.
        rates: The memory's rates as they act, where it has any; what they became where they are learned.
        rates_at_start: What they were before training, as the configuration says.
        glimpses: The memory after each glimpse.
        looks: Where each glimpse was taken.
        untrained: Whether every glimpse is still the one that a model starts with.
        advice: What to do, in plain words; empty where nothing needs doing.
    """

    model: str
    memory: str
    images: int
    rates: Mapping[str, float]
    rates_at_start: Mapping[str, float]
    glimpses: tuple[GlimpseHealth, ...]
    looks: tuple[LookHealth, ...]
    untrained: bool
    advice: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether there is nothing to advise."""
        return not self.advice

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values; what is not finite is null."""
        return strict({**dataclasses.asdict(self), "healthy": self.healthy})

    def columns(self) -> list[str]:
        """Return the measures that this memory has."""
        return _columns(self.glimpses)

    def __str__(self) -> str:
        """Lay it out as a table of the memory and one of the looks, advice below."""
        rates = ", ".join(f"{name} {value:.4g}{self._before(name)}" for name, value in self.rates.items())
        head = f"{self.memory} of {self.model} over {self.images} images" + (f": {rates}" if rates else "")
        said = [f"! {line}" for line in self.advice] or [NOTHING]
        notes = [UNTRAINED] if self.untrained else []
        return "\n".join([head, *_table(self.glimpses), "where it looks", *_table(self.looks), *notes, *said])

    def _before(self, name: str) -> str:
        """Say from where a rate came, where it was learned."""
        start = self.rates_at_start.get(name, self.rates[name])
        return "" if math.isclose(start, self.rates[name], rel_tol=1e-5) else f" (from {start:.4g})"


def _columns(rows: tuple[Any, ...]) -> list[str]:
    return [name for name, value in vars(rows[0]).items() if value is not None]


def _table(rows: tuple[Any, ...]) -> list[str]:
    columns = _columns(rows)
    numbers = [[getattr(row, name) for name in columns] for row in rows]
    cells = [columns, *([str(x) if isinstance(x, int) else f"{x:.3g}" for x in row] for row in numbers)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]


def diagnose(model: Model, pixels: Tensor, *, glimpses: int | None = None) -> Diagnosis:
    """Measure a model's health on real images: its memory after each glimpse, and where it looks; and give advice.

    Args:
        model: The model; it is run in evaluation mode and left as it was.
        pixels: Images, (b, c, h, w), as bytes or as floats in [0, 1].
        glimpses: How many glimpses to take; the configuration's number where left out.

    Raises:
        InputError: It is no STAWM model, or the images are not of its form, empty, or not finite.

    Examples:
        >>> import stawm, torch
        >>> report = stawm.diagnose(stawm.build("stawm-digits", seed=0), torch.rand(4, 1, 16, 16))
        >>> len(report.glimpses), report.glimpses[0].contracting
        (4, 1.0)
    """
    if not isinstance(model, Stawm):
        raise InputError(f"diagnose takes a STAWM model, which has a memory; got {type(model).__name__}.")
    model.check_shape(pixels)
    if not len(pixels) or not pixels.isfinite().all():
        raise InputError("diagnose takes at least one image, all of finite values.")
    with evaluating(model):
        images = model.normalise(to_unit(pixels).to(next(model.parameters())))
        return _measure(model, images, model.config.glimpses if glimpses is None else glimpses)


def _measure(model: Stawm, images: Tensor, n: int) -> Diagnosis:
    seen = model.look(images, n)
    assert seen.looks is not None
    poses = seen.looks.pose
    looks, untrained = examine(model, images, poses), is_untrained(model.locator, poses)
    E = seen.memory_input
    usual = dict.fromkeys(model.named_heads, (n,))
    asked = [query.reshape(len(E), -1, query.shape[-1]) for query in asked_for(model, seen, usual, {}).values()]
    queries = torch.cat(asked, dim=1)
    generic = _states(model, E, queries)
    rates = rates_of(model.memory)
    known = {name: getattr(model.config.memory, name, None) for name in rates}
    lawful: dict[str, float] = {}
    if isinstance(model.memory, HebbRosenblatt):
        lawful = rates
        own = _hebb_rosenblatt(model.memory, E)
        generic = [dataclasses.replace(health, **more) for health, more in zip(generic, own, strict=True)]
    return Diagnosis(
        model=model.config.name,
        memory=model.config.memory.name,
        images=len(images),
        rates=rates,
        rates_at_start={name: start for name, start in known.items() if isinstance(start, float)},
        glimpses=tuple(generic),
        looks=tuple(looks),
        untrained=untrained,
        advice=(*_advice(generic, lawful), *([] if untrained else _advice_on_looks(looks, max(images.shape[2:])))),
    )


def rates_of(memory: Any) -> dict[str, float]:
    """Return the rates of a memory as they act, those of them that are single numbers."""
    rates: Any = getattr(memory, "rates", None)
    named = rates._asdict() if hasattr(rates, "_asdict") else {}
    single = {name: torch.as_tensor(rate).detach() for name, rate in named.items()}
    return {name: rate.item() for name, rate in single.items() if rate.numel() == 1}


def _states(model: Stawm, E: Tensor, queries: Tensor) -> list[GlimpseHealth]:
    """Follow the memory write by write; matrices are made for the first few images only."""
    state = model.memory.init_state(len(E), device=E.device, dtype=E.dtype)
    few = model.memory.init_state(len(E[:LOOKED_INTO]), device=E.device, dtype=E.dtype)
    followed = []
    for t, e in enumerate(E.unbind(1), 1):
        state, few = model.memory.write(state, e), model.memory.write(few, e[:LOOKED_INTO])
        W = model.memory.matrix(few)
        read = torch.stack([model.memory.read(state, q).abs().max() for q in queries.unbind(1)]).max().item()
        finite = bool(W.isfinite().all())
        radius = torch.linalg.eigvals(W).abs().max().item() if finite else float("inf")
        norm = W.flatten(1).norm(dim=1).max().item() if finite else float("inf")
        followed.append(GlimpseHealth(glimpse=t, norm=norm, radius=radius, read=read))
    return followed


def _hebb_rosenblatt(memory: HebbRosenblatt, E: Tensor) -> list[dict[str, float]]:
    rates, config, activation = memory.rates, memory.config, ACTIVATIONS[memory.config.activation]
    if config.normalise is not None:
        E = rule.normalise(E, rates, config.normalise)
    _, state = rule.unroll(E, E[:, :0], [], rates, orientation=config.orientation, phi=memory.phi, form="factored")
    assert isinstance(state, rule.FactoredState)
    delta, eta = float(rates.delta), float(rates.eta)
    drive = eta * E.square().sum(-1)
    factors = abs(1 - delta) + activation.lipschitz * drive
    lawful = 0 < delta <= 1 and 0 <= eta < math.inf and 0 <= float(rates.theta) < math.inf
    measured = []
    for t in range(1, E.shape[1] + 1):
        f = state.F[:, t - 1]
        W = rule.matrix(rule.FactoredState(state.E[:LOOKED_INTO, :t], state.F[:LOOKED_INTO, :t]), rates)
        row = {
            "drive": drive[:, t - 1].mean().item(),
            "drive_max": drive[:, t - 1].max().item(),
            "contracting": (activation.lipschitz * drive[:, t - 1] < delta).double().mean().item(),
            "saturated": (f >= activation.bound).double().mean().item(),
            "silent": (f == 0).double().mean().item(),
            "gradient": factors[:, :t].prod(dim=1).max().item(),
        }
        if lawful and math.isfinite(activation.bound):
            ceiling = stability.elementwise_bound(rates, LARGEST_INPUT, activation.bound, t)
            row["fill"] = W.max().item() / ceiling if ceiling else 0.0
        measured.append(row)
    return measured


def _advice(glimpses: list[GlimpseHealth], rates: Mapping[str, float]) -> list[str]:
    last = glimpses[-1]
    advice = []
    if not all(math.isfinite(g.norm) and math.isfinite(g.read) for g in glimpses):
        advice.append("The memory is not finite: go back to an earlier checkpoint and constrain the rates.")
    delta, eta, theta = (rates.get(name, 1.0) for name in ("delta", "eta", "theta"))
    if not (0 < delta <= 1 and eta >= 0 and theta >= 0):
        advice.append(
            f"The rates left their legal range (δ in (0, 1], η and θ at least 0; got δ {delta:.3g}, η {eta:.3g}, "
            f"θ {theta:.3g}), and with it every bound: train with memory.constrained=true."
        )
    if last.contracting is not None and last.drive_max is not None:
        worst = max(g.drive_max or 0.0 for g in glimpses)
        share = 1 - min(g.contracting or 0.0 for g in glimpses)
        if share > 0:
            advice.append(
                f"Up to {share:.0%} of a glimpse's writes are no contractions (η|e|² reaches {worst:.3g}, "
                f"δ is {delta:.3g}): gradients can grow with every glimpse. memory.normalise=0.9 keeps η|e|² below δ."
            )
    if last.gradient is not None and last.gradient > 1e3:
        advice.append(f"The gradient through the memory may grow {last.gradient:.1e} times: clip it, or normalise e.")
    if last.saturated is not None and last.saturated > 0.5:
        advice.append(
            f"{last.saturated:.0%} of the last responses are saturated and pass no gradient: lower η, or normalise e."
        )
    if last.silent is not None and last.silent > 0.9:
        advice.append(f"{last.silent:.0%} of the last responses are zero: the memory hardly writes. Raise θ or η.")
    highest = max(g.read for g in glimpses)
    if highest > LARGEST_HALF / 2:
        advice.append(f"Reads reach {highest:.3g}, and fp16 ends at {LARGEST_HALF:.0f}: keep reads in float32.")
    return advice


def _advice_on_looks(looks: list[LookHealth], side: int) -> list[str]:
    advice = []
    lost = [f"{look.glimpse} ({look.outside:.0%})" for look in looks if look.outside > MOSTLY]
    if lost:
        advice.append(
            f"Glimpses lie outside the image: {', '.join(lost)}. There they see the mean of the data and learn "
            "nothing: pose_limit=1 keeps them near, locator.padding=border continues the image."
        )
    pixel = 1 / side
    small = [str(look.glimpse) for look in looks if not look.size >= pixel]
    if small:
        advice.append(
            f"Glimpses are smaller than one pixel of the image: {', '.join(small)}. pose_limit=1 bounds them."
        )
    if len(looks) > 1 and min(look.alike for look in looks[1:]) > SAME:
        advice.append(
            "All glimpses see the same part of the image, so that looking again adds nothing: take fewer, or smaller "
            "ones (glimpses=, glimpse_size=)."
        )
    cut = [str(look.glimpse) for look in looks if look.reached is not None and look.reached < HARDLY]
    if cut:
        advice.append(
            f"In nearly all images no gradient reaches the pose through what is seen, at glimpses {', '.join(cut)}: "
            "the model cannot learn to look elsewhere. They see nothing that changes, or what they see is not used."
        )
    return advice
