"""A checkpoint tells how it was made, and not where."""

import pytest

from stawm.training.provenance import run_of_checkpoint, source_with_folders, source_without_folders


@pytest.mark.parametrize(
    ("source", "public"),
    [
        ("digits", "digits"),
        ("mnist:/a/b", "mnist:ROOT"),
        ("folder:/a/b/pictures/", "folder:pictures"),
        ("figure-ground:/a/b,/c/pictures", "figure-ground:ROOT,pictures"),
        ("given", "given"),
    ],
)
def test_a_source_is_named_without_its_folders(source: str, public: str):
    assert source_without_folders(source) == public
    assert source_without_folders(source_with_folders(public, "/data")) == public


@pytest.mark.parametrize(
    ("public", "source"),
    [
        ("digits", "digits"),
        ("mnist:ROOT", "mnist:/data"),
        ("folder:pictures", "folder:/data/pictures"),
        ("figure-ground:ROOT,pictures", "figure-ground:/data,/data/pictures"),
    ],
)
def test_a_noted_source_is_found_under_a_folder(public: str, source: str):
    assert source_with_folders(public, "/data") == source


@pytest.mark.parametrize(
    ("path", "public"),
    [
        ("/a/b/draw-6/model.safetensors", "runs/draw-6/model.safetensors"),
        ("runs/x/model.safetensors", "runs/x/model.safetensors"),
        ("model.safetensors", "model.safetensors"),
    ],
)
def test_a_checkpoint_is_named_by_its_run(path: str, public: str):
    assert run_of_checkpoint(path) == public
