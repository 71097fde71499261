"""What is no configuration is refused, with all that is wrong with it at once."""

import contextlib
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stawm
from stawm.configuration import field_hints, resolve
from stawm.errors import ConfigError, UnknownNameError
from stawm.models.config import ModelConfig, SharedConfig, from_mapping, override
from stawm.registry import Kind
from tests.configs import config, config_of, default

HOSTILE: dict[str, Any] = {
    "a name that is a path": {"name": "../x"},
    "a name that is empty": {"name": ""},
    "a name with an escape": {"name": "a\x1b[2J"},
    "a class of two lines": {"class_names": ["a\nb", *"123456789"]},
    "a class without a name": {"class_names": ["", *"123456789"]},
    "a class that cannot be encoded": {"class_names": ["\ud800", *"123456789"]},
    "glimpses without end": {"glimpses": 10**9},
    "images of any size": {"image": [1, 10**6, 10**6]},
    "a mean that swallows images": {"mean": 1e30},
    "a list of such means": {"mean": [1e30]},
    "a deviation of nearly nothing": {"std": [1e-300]},
    "too many layers": {"backbone.layers": "1@1/1 " * 60_000},
    "a layer of 5,000 digits": {"backbone.layers": f"{'1' * 5_000}@1/1"},
    "an integer of 5,000 digits": {"glimpses": 10**5_000},
    "a dotted key of 900 parts": {".".join(["memory", *["x"] * 900]): 1},
    "a dotted key of 100,000 parts": {".".join(["x"] * 100_000): 1},
    "many unknown fields": {"memory": {f"x{n}": n for n in range(2_000)}},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_no_model_is_is_refused_in_short(case: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override(config("stawm-mnist-8"), HOSTILE[case])
    assert len(str(caught.value)) < 5_000


def test_what_is_nested_without_end_is_refused() -> None:
    fields: Any = 1
    for _ in range(5_000):
        fields = {"x": fields}
    for spec in ({"memory": fields}, {"heads": [fields]}, {"x": fields}, fields):
        with pytest.raises((ConfigError, UnknownNameError)):
            config("stawm-mnist-8", **spec)


@pytest.mark.parametrize(
    ("tried", "ours"),
    [
        ("num_classes", "heads.classification.classes"),
        ("classes", "heads.classification.classes"),
        ("in_chans", "image=(1, 28, 28)"),
        ("img_size", "image=(1, 28, 28)"),
        ("image_size", "image=(1, 28, 28)"),
        ("lr", "recipe.rate"),
        ("epochs", "recipe.epochs"),
        ("batch_size", "recipe.batch"),
    ],
)
def test_names_of_other_libraries_are_answered_with_ours(tried: str, ours: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(ours)):
        config("stawm-mnist-8", **{tried: 3})


def test_all_faults_of_a_model_are_raised_together() -> None:
    with pytest.raises(ConfigError) as caught:
        config(
            "stawm-mnist-sketchpad",
            **{
                "glimpse": 3,
                "glimpses": 0,
                "memory_size": "big",
                "where": "nowhere",
                "memory": "fast-weigths",
                "canvas": {"initail": 1},
                "backbone.layers": "64@",
                "backbone.norm": "group",
                "locator": {"name": "crop", "padding": "none", "align": True},
                "heads.drawing.latent": 0,
                "heads.classification.clases": 3,
                "mean": [0.1, 0.2],
                "class_names": ["a", "b"],
                "dropout": 1,
                "dropout.x": 2,
            },
        )
    expected = [
        "'dropout' is given both as 1 and by parts",
        "has no field 'glimpse'. Did you mean 'glimpses'?",
        "glimpses must be an integer in [1, 10000]; got 0",
        "memory_size must be an integer in [1, 65536]; got 'big'",
        "where must be one of 'pose', 'rnn'; got 'nowhere'",
        "No memory named 'fast-weigths'. Did you mean 'fast-weights'?",
        "addition has no field 'initail'. Did you mean 'initial'?",
        "conv: norm must be one of 'batch', 'none'; got 'group'",
        "conv: layers: A layer is written as filters@kernel/stride",
        "crop has no field 'align'",
        "crop: padding must be one of",
        "drawing: latent must be an integer in [1, 65536]; got 0",
        "classification has no field 'clases'. Did you mean 'classes'?",
        "mean has 1 number or one for each of 1 channels; got (0.1, 0.2)",
    ]
    for sentence in expected:
        assert sum(sentence in fault for fault in caught.value.faults) == 1, sentence
    assert len(caught.value.faults) == len(expected)


def test_faults_between_fields_come_with_the_others() -> None:
    with pytest.raises(ConfigError) as caught:
        config("stawm-mnist-8", class_names=["a", "b"], mean=(0, 0), std=(0.1, 0.2, 0.3), glimpses=0)
    assert len(caught.value.faults) == 4


def test_a_part_that_is_not_legal_hides_no_other_fault() -> None:
    with pytest.raises(ConfigError) as caught:
        config("stawm-mnist-8", memory="fast-weigths", image=None)
    assert ["fast-weigths" in caught.value.faults[0], "image must be" in caught.value.faults[1]] == [True, True]


def test_a_fault_is_not_held_against_other_fields() -> None:
    with pytest.raises(ConfigError) as caught:
        config("stawm-mnist-8", image=(3, 32), mean=(0.1, 0.2, 0.3), heads="drawin", class_names=["a"])
    assert len(caught.value.faults) == 2


def test_one_unknown_name_stays_what_it_is() -> None:
    with pytest.raises(UnknownNameError, match="fast-weights"):
        config("stawm-mnist-8", memory="fast-weigths")


def test_a_complete_mapping_that_lacks_parts() -> None:
    fields = config("stawm-mnist-8").to_dict()
    del fields["memory"], fields["glimpses"]
    with pytest.raises(ConfigError, match="stawm-mnist-8 lacks glimpses, memory"):
        from_mapping(fields)


@pytest.mark.parametrize("family", ["baselin", None, [], 3])
def test_a_family_that_is_none(family: Any) -> None:
    with pytest.raises(ConfigError, match="family must be one of 'stawm', 'baseline'"):
        from_mapping({"family": family})


@pytest.mark.parametrize("spec", [None, 3, ["stawm-mnist-8"]])
def test_what_is_no_model(spec: Any, unchecked: None) -> None:
    with pytest.raises(ConfigError, match="A model must be given by"):
        stawm.config(spec)


def test_what_is_no_preset() -> None:
    with pytest.raises(ConfigError, match="name of a preset must be a string; got 3"):
        stawm.config({"preset": 3})


@pytest.mark.parametrize("spec", [None, 3, ["conv"], {"name": 3}, {"name": None}])
def test_what_is_no_component(spec: Any, unchecked: None) -> None:
    with pytest.raises(ConfigError):
        config("stawm-mnist-8", backbone=spec)


def test_a_configuration_of_another_component() -> None:
    cls: Any = config_of(Kind.MEMORY, "fast-weights")
    with pytest.raises(ConfigError, match=r"The memory 'delta' takes a Delta.Config"):
        config("stawm-mnist-8", memory=cls(name="delta"))
    with pytest.raises(UnknownNameError, match="'addition' is a canvas"):
        config("stawm-mnist-8", memory=default(Kind.CANVAS, "addition"))


def test_nothing_to_change() -> None:
    with pytest.raises(ConfigError, match="no present value to change"):
        resolve("memory", {"decay": 0.5})


scraps = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["conv", "drawing", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "layers", "drawing", "a.b", ""]), inner)
    ),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*field_hints(ModelConfig), "x", "memory.delta", "."]), scraps, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_given_is_a_configuration_or_a_fault(unchecked: None, overrides: dict[str, Any]) -> None:
    for attempt in (
        lambda: override(stawm.config("stawm-mnist-8"), overrides),
        lambda: from_mapping({**config("stawm-mnist-8").to_dict(), **overrides}),
        lambda: from_mapping(overrides),
    ):
        with contextlib.suppress(ConfigError, UnknownNameError):
            assert isinstance(attempt(), SharedConfig)
