"""The family ``ram``: its loop against a twin written out, where gradients go, and many scan paths."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import stawm
from stawm.core import policy as core
from stawm.core.naive import pairs as naive
from stawm.errors import ConfigError, InputError
from stawm.export.graphs.plan import Plan, make_graphs
from stawm.heads.output import Noise
from stawm.training import data, evaluate
from stawm.training.learner import Learner
from stawm.training.recipes import find
from tests.core.twins import EXACT, GRADIENTS
from tests.small import inputs, shaken
from tests.strategies import assert_near as near

SMALL: dict[str, Any] = {
    "image": (1, 12, 12),
    "glimpse_size": 4,
    "backbone": {"layers": "6@4/1"},
    "locator": {"width": 4 / 12},
    "hidden_size": 7,
    "feature_size": 5,
    "where_size": 3,
    "glimpses": 4,
}
TWO: dict[str, Any] = {
    **SMALL,
    "cell": "lstm",
    "layers": 2,
    "where_size": None,
    "context": {"name": "conv", "layers": "3@3/2"},
    "context_size": 6,
}


def assert_near(a: Tensor, b: Tensor) -> None:
    near(a, b, EXACT)


def ram(**overrides: Any) -> Any:
    return shaken(stawm.build("ram-mnist", seed=0, **{**SMALL, **overrides}), 0.3).double()


def joined(loop: Any, x: Tensor, pose: Tensor) -> Tensor:
    what, where = loop.joint.what(x), loop.joint.where(pose)
    if loop.joint.join == "product":
        return (what * where).relu()
    return (what + where if loop.joint.join == "sum" else loop.joint.both(torch.cat([what, where], 1))).relu()


def lstm(cell: Any, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    gates = F.linear(x, cell.weight_ih, cell.bias_ih) + F.linear(h, cell.weight_hh, cell.bias_hh)
    i, f, g, o = gates.chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def twin(model: Any, images: Tensor, noise: Tensor | None, n: int) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Logits, poses and densities, written as the papers write them."""
    loop, zero = model.loop, images.new_zeros(len(images), model.config.hidden_size)
    states = [[zero, zero] for _ in loop.cells]
    if loop.context is not None:
        thumbnail = F.avg_pool2d(images, images.shape[-1] // loop.context_size)
        states[-1][0] = loop.context_down(loop.context(thumbnail)).relu()
    poses, densities = [], []
    for t in range(n):
        mean = loop.emitter(states[-1][0])
        if model.config.policy.name == "gaussian":
            pose = mean.detach() if noise is None else mean.detach() + model.config.policy.sigma * noise[:, t]
            density = torch.distributions.Normal(mean, model.config.policy.sigma).log_prob(pose).sum(-1)
            densities.append(density)
        else:
            pose = mean
        poses.append(pose)
        x = joined(loop, loop.backbone(loop.locator.glimpse(images, pose)), pose)
        for cell, state in zip(loop.cells, states, strict=True):
            if model.config.cell == "relu":
                state[0] = (cell.input(x) + cell.hidden(state[0])).relu()
            else:
                state[:] = lstm(cell, x, *state)
            x = state[0]
    return model.heads["classification"].classifier(states[0][0]), torch.stack(poses, 1), densities


@pytest.mark.parametrize("join", ["product", "sum", "concatenation"])
@pytest.mark.parametrize("sizes", [SMALL, TWO], ids=["one layer", "two layers and a context"])
@pytest.mark.parametrize("policy", ["gaussian", "deterministic"])
def test_it_is_its_twin_in_values_and_gradients(join: str, sizes: dict[str, Any], policy: str) -> None:
    model = ram(**sizes, join=join, policy=policy).eval()
    images, labels = inputs(model)
    noise = torch.randn(2, 4, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    noise = noise if policy == "gaussian" else None
    found = model(images, noise=Noise(pose=noise))
    logits, poses, densities = twin(model, images, noise, 4)
    assert_near(found.logits, logits)
    assert_near(found.trace.pose, poses)
    parts = model.loss_parts(found, None, labels)
    expected = F.nll_loss(logits, labels)
    if policy == "gaussian":
        reward = (logits.argmax(-1) == labels).double()
        advantage = (reward[:, None] - found.trace.baseline).detach()
        expected = expected - model.config.policy.weight * (advantage * torch.stack(densities, 1)).sum(1).mean()
        expected = expected + parts["baseline"]
    learned = dict(model.named_parameters())
    ours, theirs = (
        torch.autograd.grad(loss, [*learned.values()], allow_unused=True, retain_graph=True)
        for loss in (torch.stack([*parts.values()]).sum(), expected)
    )
    for name, a, b in zip(learned, ours, theirs, strict=True):
        assert (a is None) == (b is None), name
        if a is not None:
            near(a, b, GRADIENTS)


def gradient(model: Any, part: str, of: str, **options: Any) -> list[Tensor | None]:
    images, labels = inputs(model)
    loss = model.loss_parts(model(images, sample=True, **options), None, labels)[part]
    weights = [w for name, w in model.named_parameters() if name.startswith(of)]
    return list(torch.autograd.grad(loss, weights, allow_unused=True))


def test_the_classifiers_gradient_does_not_pass_a_sampled_pose() -> None:
    assert all(g is None for g in gradient(ram().train(), "classification", "loop.emitter"))
    assert any(
        g is not None and g.any()
        for g in gradient(ram(policy="deterministic").train(), "classification", "loop.emitter")
    )


def test_the_policy_is_learned_from_the_reward_alone() -> None:
    assert any(g is not None and g.any() for g in gradient(ram().train(), "policy", "loop.emitter"))
    assert all(g is None for g in gradient(ram().train(), "policy", "heads"))
    assert all(g is None for g in gradient(ram().train(), "policy", "loop.policy"))
    for part in ("loop.emitter", "loop.cells", "loop.backbone", "heads"):
        assert all(g is None for g in gradient(ram().train(), "baseline", part)), part


def test_without_a_baseline_there_is_no_loss_of_one() -> None:
    model = ram(policy={"baseline": False}).train()
    images, labels = inputs(model)
    parts = model.loss(model(images), images, labels)
    assert set(parts) == {"classification", "policy", "total"}


def test_in_use_it_looks_at_the_mean() -> None:
    model = ram().eval()
    images, labels = inputs(model)
    output = model(images)
    assert torch.equal(output.trace.pose, model(images).trace.pose)
    assert output.trace.log_prob is None
    assert set(model.loss(output, images, labels)) == {"classification", "total"}


def test_answers_of_many_scan_paths_are_averaged_as_probabilities() -> None:
    model = ram().eval()
    images, _ = inputs(model)
    found = model(images, samples=3, generator=torch.Generator().manual_seed(2), glimpse_logits=True)
    noise = torch.randn(6, 4, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    alone = [model(images, noise=Noise(pose=noise[i::3]), glimpse_logits=True) for i in range(3)]
    for name in ("logits", "glimpse_logits"):
        assert_near(getattr(found, name).exp(), torch.stack([getattr(one, name).exp() for one in alone]).mean(0))
    assert_near(found.trace.pose, alone[0].trace.pose)
    assert_near(model.predict(images, samples=2).logits.exp().sum(1), torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("samples", [0, 1001, True])
def test_an_illegal_number_of_scan_paths_is_named(samples: Any) -> None:
    with pytest.raises(InputError, match="samples must be a whole number of scan paths from 1 to 1,000"):
        ram()(inputs(ram())[0], samples=samples)


def test_scan_paths_that_are_all_the_same_are_refused() -> None:
    model = ram(policy="deterministic")
    with pytest.raises(InputError, match="samples is for a policy that draws where it looks"):
        model(inputs(model)[0], samples=2)


def test_many_scan_paths_in_training_are_a_mean() -> None:
    model = ram(policy={"sigma": 1e-4})  # so narrow that all paths see about the same
    images, labels = inputs(model)
    pixels = model.denormalise(images)
    once, thrice = (Learner(model.train(), samples=n)(pixels, labels)[0]["classification"] for n in (1, 3))
    assert once.item() == pytest.approx(thrice.item(), rel=1e-2)
    assert find("fast", "ram-mnist", samples=8).samples == 8


def test_reinforce_in_a_model_is_that_of_the_core() -> None:
    model = ram().train()
    images, labels = inputs(model)
    output = model(images)
    reward = (output.logits.argmax(-1) == labels).double()
    expected = core.reinforce(output.trace.log_prob, reward, output.trace.baseline)
    assert_near(model.loss_parts(output, None, labels)["policy"], model.config.policy.weight * expected)


def test_what_it_cannot_be_is_said() -> None:
    with pytest.raises(ConfigError, match="no head 'drawing'"):
        ram(heads=("classification", "drawing"))
    with pytest.raises(ConfigError, match="context_size is for a context network"):
        ram(context_size=6)
    with pytest.raises(InputError, match="only models of the family 'stawm' are steered"):
        make_graphs(ram().float(), Plan("step", 2, ("logits",), False, steered=True))


def test_two_answers_are_read_at_half_of_the_glimpses_and_at_the_end() -> None:
    model = ram(**TWO, answers=2, policy="deterministic", heads={"classification": {"classes": 6}}).eval()
    images, _ = inputs(model)
    seen = model.look(images, 4)
    first, second = (model.heads["classification"].classifier.linear(seen.memory_input[:, t]) for t in (1, 3))
    found = model(images, glimpse_logits=True)
    assert_near(found.logits, naive.log_pairs(first.log_softmax(-1), second.log_softmax(-1)))
    assert found.glimpse_logits.shape == (2, 4, 6)
    with pytest.raises(ConfigError, match=r"Two answers tell k \(k \+ 1\) / 2 pairs of k things apart"):
        ram(answers=2, heads={"classification": {"classes": 7}})


@pytest.mark.parametrize("heads", [({"name": "regression", "values": 2},), ("multilabel",)])
def test_other_heads_read_the_recurrent_state_too(heads: Any) -> None:
    model = ram(heads=heads, policy="deterministic")
    output = model(inputs(model)[0])
    assert output.extra


def test_its_glimpses_can_be_drawn(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    model = ram().float()
    stawm.viz.looks(model, torch.rand(2, 1, 12, 12), torch.tensor([1, 2])).savefig(tmp_path / "looks.png")
    assert (tmp_path / "looks.png").stat().st_size > 0


def test_an_evaluation_averages_scan_paths_and_is_reproduced() -> None:
    model = ram(image=(1, 16, 16), locator={"width": 0.25}).float()
    digits = data.load("digits").test.take(slice(0, 40))
    once, again = (evaluate(model, digits, samples=4) for _ in range(2))
    assert once == again
    control = ram(image=(1, 16, 16), locator={"width": 0.25}, policy="random").float()
    assert evaluate(control, digits) == evaluate(control, digits)
    with pytest.raises(InputError, match="samples is for a model that looks at random"):
        evaluate(stawm.build("bvae-cifar-selfsup", seed=0), digits, samples=4)
