"""Datasets whose images lie elsewhere: how addresses get into them, and which are closed."""

from pathlib import Path

import fiftyone as fo
import fsspec
import numpy as np
import pytest
from digit_models import CLASSES, network
from web_server import serving

import fiftyone_drop as fod
from fiftyone_drop.engine.objects import SCHEMES

WARN = "default::fiftyone_drop.DropWarning"


@pytest.fixture
def addresses(small, monkeypatch):
    """The addresses of the 60 digits in fsspec's store in memory, which is open."""
    monkeypatch.setenv(SCHEMES, "memory")
    files = fsspec.filesystem("memory")
    found = []
    for path in map(Path, small.values("filepath")):
        files.pipe_file(f"/digits/{path.name}", path.read_bytes())
        found.append(f"memory://digits/{path.name}")
    yield found
    files.rm("/digits", recursive=True)


@pytest.fixture
def web():
    """The address of a web server on this machine, and what it is asked for."""
    with serving(b"") as (address, requests):
        yield address, requests


@pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")
def test_images_elsewhere_have_the_scores_of_the_same_files_here(small, addresses, score):
    here = score(small, ["el2n"], network(), "here_")
    small.set_values("filepath", addresses)
    np.testing.assert_array_equal(
        score(small, ["el2n"], network(), "there_")["there_el2n"], here["here_el2n"]
    )
    fod.apply_drop(small, 0.5, label_field="ground_truth", key="drop")  # by a query model
    assert len(fod.drop_view(small, "drop")) == 30


@pytest.mark.parametrize("way", ["values", "one by one", "clone"])
def test_addresses_stay_if_they_are_set_once_samples_are_there(addresses, score, way, make_dataset):
    small = make_dataset(60)
    labels = small.values("ground_truth")
    with_addresses = fo.Dataset()
    try:
        pairs = zip(addresses, labels, strict=True)
        samples = [
            fo.Sample(filepath=path, ground_truth=fo.Classification(label=label.label))
            for path, label in pairs
        ]
        assert samples[0].filepath == str(Path.cwd() / addresses[0].replace("//", "/"))
        if way == "one by one":
            for sample, address in zip(samples, addresses, strict=True):
                sample["filepath"] = address
        with_addresses.add_samples(samples, progress=False)
        if way != "one by one":
            with_addresses.set_values("filepath", addresses)
        scored = with_addresses.clone() if way == "clone" else with_addresses
        assert scored.values("filepath") == addresses
        assert np.isfinite(score(scored, ["el2n"], network())["el2n"]).all()
        if scored is not with_addresses:
            scored.delete()
    finally:
        with_addresses.delete()


def test_samples_whose_addresses_became_paths_are_told_how_to_mend_them(small, addresses, score):
    small.set_values("filepath", [str(Path.cwd() / a.replace("//", "/")) for a in addresses])
    with pytest.raises(fod.DropError, match=r"made this path of memory://digits/.*: set"):
        score(small, ["el2n"], network())


def test_a_dataset_of_a_closed_scheme_is_one_error_that_names_the_variable(small, web, score):
    address, asked = web
    small.set_values("filepath", [f"{address}/{i}.png" for i in range(60)])
    with pytest.raises(fod.DropError, match=f"none of the 60 images .*{SCHEMES}=http"):
        score(small, ["el2n"], network())
    with pytest.raises(fod.DropError, match=f"60 of 60 images .*{SCHEMES}=http"):
        fod.apply_drop(small, 0.5, label_field="ground_truth", folds=2)
    with pytest.raises(fod.DropError, match=f"{SCHEMES}=http"):
        fod.apply_drop(small, 0.5, label_field="ground_truth")
    assert asked == []


@pytest.mark.filterwarnings(WARN)
def test_samples_of_closed_schemes_are_counted_and_the_others_scored(small, web, score):
    address, asked = web
    paths = small.values("filepath")
    paths[:3] = [f"{address}/0.png", "file:///etc/hostname", f"zip://0.png::{address}/a.zip"]
    small.set_values("filepath", paths)
    with pytest.warns(fod.DropWarning, match=f"3 of 60 images .*{SCHEMES}=http.*file://.*'::'"):
        found = score(small, ["el2n"], network())["el2n"]
    assert np.isnan(found[:3]).all()
    assert np.isfinite(found[3:]).all()
    assert asked == []


def test_scores_of_a_file_find_their_addresses_and_no_file_lies_elsewhere(small, addresses):
    small.set_values("filepath", addresses)
    values = np.arange(60.0)
    fod.import_scores(small, dict(zip(addresses, values, strict=True)), name="mine", hard="high")
    assert small.values("mine") == values.tolist()
    for call, argument in (
        (lambda a: fod.import_scores(small, a, hard="high"), "scores"),
        (lambda a: fod.QueryModel.load(a), "path"),
        (lambda a: fod.load_manifest(small, a, key="new"), "path"),
        (lambda a: fod.plan_parquet(a, density=0.5), "path"),
        (
            lambda a: fod.compute_scores(
                small, "ground_truth", ["el2n"], model="resnet18", checkpoint=a, classes=CLASSES
            ),
            "checkpoint",
        ),
        (
            lambda a: fod.train_query_model(small, "ground_truth", checkpoint_dir=a),
            "checkpoint_dir",
        ),
    ):
        with pytest.raises(fod.DropError, match="must be a path on this machine") as refused:
            call("s3://bucket/file.npz")
        assert refused.value.argument == argument
