"""Questions after looking: what a cue may be, that each is read as if it were alone, what is learned."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import stawm
from stawm.configuration.components import build_component
from stawm.errors import ConfigError, InputError
from stawm.heads.recall import HOLE, RecallHead, recall_loss
from stawm.nn.testing import check_head
from stawm.training import data, evaluate
from stawm.training.data.alignment import aligned
from tests.small import TINY, shaken
from tests.strategies import assert_near

NAMES = stawm.list_names("memory", origin="stawm")
BARE = {key: value for key, value in TINY.items() if key not in ("heads", "memory")}


def asked(memory: Any = "delta", policy: str = "deterministic", **head: Any) -> Any:
    """A small model that is asked five questions with seven answers."""
    fields = {"name": "recall", "cues": 5, "classes": 7, **head}
    model = stawm.build("stawm-digits", seed=0, **BARE, memory=memory, policy=policy, heads=fields, class_names=())
    return shaken(model).double().eval()


def images(count: int = 3) -> Tensor:
    return torch.rand(count, 1, 12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("fields", [{"context": True, "hidden": 3}, {"cues": None, "cue_size": 3}], ids=str)
def test_every_form_keeps_the_contract(fields: dict[str, Any]):
    assert check_head(RecallHead, config=RecallHead.Config(**fields), seeds=(0,), export=False)


@pytest.mark.parametrize("memory", NAMES)
def test_all_questions_at_once_are_each_question_alone(memory: str):
    model = asked(memory, context=True)
    with torch.no_grad():
        whole = model(images()).answers
        for cue in range(5):
            assert_near(model(images(), cue=[cue]).answers[:, 0], whole[:, cue], 1e-12)
        mixed = torch.tensor([[4, 4], [0, 1], [2, 0]])
        assert_near(model(images(), cue=mixed).answers, whole[torch.arange(3)[:, None], mixed], 1e-12)
    assert whole.exp().sum(dim=-1).allclose(torch.ones(3, 5).double())
    assert not torch.equal(whole[:, 0], whole[:, 1])


@pytest.mark.parametrize("memory", NAMES)
def test_asking_again_needs_no_other_look(memory: str):
    model = asked(memory)
    with torch.no_grad():
        output, state = model.watch(images(), cue=[1, 3])
        assert_near(model.ask(state, [3, 1]).answers, output.answers.flip(1), 1e-12)
        assert_near(model.ask(state).answers, model(images()).answers, 1e-12)


def test_an_answer_is_the_readout_of_what_the_memory_reads_for_the_cue():
    """q = ReLU6(c + ReLU6(U f)), answers = log softmax of what is linear in ReLU6(W q)."""
    model = asked("hebb-rosenblatt", context=True)
    head = model.heads["recall"]
    with torch.no_grad():
        seen = model.look(images(), 3)
        W = model.memory.matrix(model.remember(seen, {}, queries={})[1].memory)
        beside = F.linear(seen.context, head.query.linear.weight, head.query.linear.bias).clamp(0, 6)
        q = (head.cue.weight[2] + beside).clamp(0, 6)
        read = (W @ q[:, :, None])[:, :, 0].clamp(0, 6)
        linear = head.classifier.linear
        found = F.linear(read, linear.weight, linear.bias).log_softmax(-1)
        assert_near(model(images(), cue=[2]).answers[:, 0], found, 1e-12)


def test_without_the_context_the_image_changes_nothing_of_a_query():
    model = asked()
    context = torch.rand(2, model.loop.context.features).double()
    query = model.queries(context)["recall"]
    assert torch.equal(query[0], query[1])
    assert torch.equal(query[0], model.heads["recall"].cue.weight.clamp(0, 6))


def test_vectors_are_asked_of_those_who_take_them():
    model = asked(cues=None, cue_size=2)
    vectors = torch.randn(4, 2)
    with torch.no_grad():
        found = model(images(), cue=vectors).answers
        assert_near(model(images(), cue=vectors.expand(3, 4, 2)).answers, found, 0)
    assert found.shape == (3, 4, 7)
    with pytest.raises(InputError, match=r"needs a cue: vectors of 2 numbers, of shape \(k, 2\) or \(3, k, 2\)"):
        model(images())


@pytest.mark.parametrize(
    ("cue", "message"),
    [
        ([5], "numbers from 0 to 4.*; got numbers from 5 to 5"),
        ([-1, 2], "got numbers from -1 to 2"),
        ([0.5], r"got float32 of shape \(1,\)"),
        ([True], "got bool"),
        ([], r"got float32 of shape \(0,\)"),
        (torch.zeros(2, 1).long(), r"got int64 of shape \(2, 1\)"),
        (torch.zeros(3, 1, 1).long(), r"got int64 of shape \(3, 1, 1\)"),
        ("top left", "got 'top left'"),
        ({"other": [0]}, "There is no head 'other' to ask; those with cues are recall"),
    ],
)
def test_what_is_no_cue_is_refused(cue: Any, message: str):
    with pytest.raises(InputError, match=message):
        asked()(images(), cue=cue)


@pytest.mark.parametrize("policy", stawm.list_names("policy", origin="stawm"))
def test_every_policy_is_asked_and_learns(policy: str):
    model = asked(policy=policy).train()
    output = model(images(), cue=[[4, 1], [0, 0], [2, 3]], generator=torch.Generator().manual_seed(0))
    answers = torch.tensor([[1, 2], [HOLE, 3], [6, HOLE]])
    boxes = torch.tensor([[[1, 2, 6, 8]]]).expand(3, -1, -1)
    targets = {"recall": answers, "places": boxes} if model.learns_places else answers
    model.loss(output, images(), targets)["total"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    model.eval()
    output, state = model.watch(images(), cue=[1, 3])
    assert_near(model.ask(state, [3, 1]).answers, output.answers.flip(1), 1e-12)


def test_a_scan_path_is_worth_the_share_of_right_answers():
    model = asked(policy="gaussian")
    output = model(images(), sample=True, generator=torch.Generator().manual_seed(0))
    wanted = output.answers.argmax(-1)
    wanted[0, :2], wanted[1, 0], wanted[2] = HOLE, (wanted[1, 0] + 1) % 7, HOLE
    assert model._reward(output, {"recall": wanted}).tolist() == pytest.approx([1.0, 0.8, 0.0])


def test_of_several_scan_paths_each_image_keeps_its_own_questions():
    """The mean is of probabilities."""
    model, cue = asked(policy="gaussian"), torch.tensor([[4], [0], [2]])
    with torch.no_grad():
        found = model(images(), samples=4, cue=cue, generator=torch.Generator().manual_seed(0)).answers
        whole = model(images(), samples=4, generator=torch.Generator().manual_seed(0)).answers
    assert_near(found[:, 0], whole[torch.arange(3), cue[:, 0]], 1e-12)
    assert found.exp().sum(dim=-1).allclose(torch.ones(3, 1).double())


def test_a_family_without_a_memory_is_not_asked():
    with pytest.raises(ConfigError, match="no memory that a head such as 'recall' could ask"):
        stawm.build("ram-mnist", heads={"name": "recall"}, class_names=())
    with pytest.raises(InputError, match="no head that is asked by a cue"):
        stawm.build("ram-mnist", seed=0)(torch.zeros(1, 1, 28, 28), cue=[0])


def test_models_that_are_not_asked_say_so():
    model = stawm.build("stawm-digits", seed=0, **{**TINY, "heads": "classification"}).double()
    with pytest.raises(InputError, match="no head that is asked by a cue"):
        model(images(), cue=[0])
    with pytest.raises(InputError, match="no head that is asked by a cue"):
        model.ask(model.watch(images())[1])
    with pytest.raises(InputError, match="a state after something was seen"):
        asked().ask(asked().start(2))
    with pytest.raises(InputError, match="read after the last of 3 writes"):
        asked().recall(asked().look(images(), 3), {"recall": (2,)})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cues": None}, "one of cues and cue_size is a number and the other is null"),
        ({"cue_size": 3}, "got cues 4 and cue_size 3"),
        ({"cue_names": ("a",)}, "cue_names has 1 names for 4 cues"),
    ],
)
def test_what_does_not_go_together_is_refused(fields: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        RecallHead.Config(**fields)


@given(st.integers(0, 2**20), st.sampled_from([0.0, 0.2]))
def test_the_loss_is_its_definition(seed: int, smoothing: float):
    """The mean over images of the mean over answered questions, question by question."""
    random = torch.Generator().manual_seed(seed)
    answers = torch.randn(3, 4, 5, generator=random, dtype=torch.float64).log_softmax(-1)
    targets = torch.randint(HOLE, 5, (3, 4), generator=random)
    total = 0.0
    for image in range(3):
        own = []
        for k in range(4):
            if (wanted := int(targets[image, k])) != HOLE:
                p = answers[image, k]
                own.append(-(1 - smoothing) * float(p[wanted]) - smoothing / 5 * float(p.sum()))
        total += sum(own) / len(own) / 3 if own else 0.0
    assert float(recall_loss(answers, targets, smoothing)) == pytest.approx(total, abs=1e-12)


def test_holes_are_not_learned_and_not_measured():
    model = asked()
    labels = torch.tensor([[0, HOLE, 2, HOLE, 4], [1, HOLE, HOLE, 3, 4], [HOLE] * 5])
    output = model(images())
    model.loss(output, images(), labels)["total"].backward()
    assert model.heads["recall"].cue.weight.grad[1].eq(0).all()
    assert not model.heads["recall"].cue.weight.grad[2].eq(0).all()
    found = evaluate(model, data.ImageSet(images(), labels))
    assert found.by_head is not None
    figures = found.by_head["recall"]
    best = output.answers.argmax(-1)
    wrong = [int(best[i, k] != labels[i, k]) for i in range(3) for k in range(5) if labels[i, k] != HOLE]
    assert figures["error"] == sum(wrong) / 6
    assert figures["error_by_cue"]["1"] is None
    assert figures["error_by_cue"]["4"] == sum(int(best[i, 4] != 4) for i in (0, 1)) / 2
    assert math.isfinite(figures["nll"])
    assert "error_by_cue 0" in str(found)


@pytest.mark.usefixtures("unchecked")
def test_targets_of_another_form_are_refused():
    model = asked()
    output, message = model(images()), r"the numbers of answers, -1 where there is none, of shape \(3, 5\)"
    for targets in (None, torch.zeros(3, 5), torch.zeros(3, 4).long()):
        with pytest.raises(InputError, match=message):
            model.loss(output, images(), targets)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.zeros(3, 4).long(), "are of 4 questions, and the head 'recall' asks 5.*heads.recall.cues=4"),
        (torch.full((3, 5), 7), r"must be -1, or in \[0, 6\]; 15 are not, the first is 7, of question 0 about image 0"),
        (torch.zeros(3, 5), r"integers of shape \(count, k\)"),
    ],
)
def test_a_set_of_other_questions_is_refused(labels: Tensor, message: str):
    with pytest.raises(InputError, match=message):
        aligned(data.ImageSet(images(), labels), asked().config)


def test_names_of_answers_are_matched_and_holes_stay():
    config = asked().config.replace(class_names=tuple("abcdefg"))
    labels = torch.tensor([[0, HOLE, 1, 0, 0]] * 3)
    found = aligned(data.ImageSet(images(), labels, ("c", "a")), config)
    assert found.labels[0].tolist() == [2, HOLE, 0, 2, 2]


def test_a_state_of_the_head_survives_a_checkpoint(tmp_path: Any):
    model = asked(context=True).float()
    stawm.save(model, tmp_path / "asked.safetensors")
    again = stawm.load(tmp_path / "asked.safetensors").eval()
    assert torch.equal(again(images().float()).answers, model(images().float()).answers)


def test_a_memory_that_reads_one_query_is_asked_many_by_copies():
    class Plain(type(build_component("memory", "delta", memory_size=2))):
        def _read(self, state: Any, q: Tensor) -> Tensor:
            assert q.ndim == 2
            return super()._read(state, q)

    assert not Plain.reads_many
    memory, usual = Plain(memory_size=4), build_component("memory", "delta", memory_size=4)
    memory.load_state_dict(usual.state_dict())
    E, Q = torch.rand(2, 3, 4), torch.rand(2, 5, 4)
    state = usual.unroll(E, Q[:, :0], [])[1]
    assert_near(memory.read(state, Q).double(), usual.read(state, Q).double(), 1e-6)
