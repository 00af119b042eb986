"""Drop runs are found by their keys, by any process and thread."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fiftyone_drop as fod
from fiftyone_drop import DropError, run_lookup


def test_another_process_sees_the_run(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    dataset.reload()
    dataset.clear_cache()
    assert fod.load_drop(dataset, "drop").recalls == recalls
    assert fod.load_drop(dataset.view(), "drop").density == 0.5


def test_threads_of_a_server_load_a_run_at_once(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: fod.load_drop(dataset, "drop"), range(100)))
    assert all(run.recalls == recalls for run in runs)


@pytest.mark.parametrize("call", [fod.load_drop, fod.delete_drop])
def test_a_run_that_does_not_exist_is_named_with_those_that_do(dataset, recalls, call):
    dataset.apply_drop(density=0.5, recalls=recalls, key="mine")
    with pytest.raises(DropError, match=r"'yours'.*\['mine'\]"):
        call(dataset, "yours")


@pytest.fixture
def several(dataset):
    """A dataset with two drop runs, an incomplete one, and a run of another kind."""
    for key in ("b", "a", "broken"):
        dataset.apply_drop(density=0.5, rule="proportional", key=key)
    config = fod.load_drop(dataset, "broken").config
    config.state = "writing"
    dataset.update_run_config("broken", config)
    dataset.register_run("foreign", dataset.init_run())
    return dataset


def test_complete_drop_runs_are_listed_by_name(several):
    assert fod.list_drops(several) == fod.list_drops(several.limit(3)) == ["a", "b"]
    assert sorted(run_lookup.find_configs(several)) == ["a", "b", "broken"]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("broken", "was not written to its end; apply it again"),
        ("foreign", r"does not exist; the runs are \['a', 'b'\]"),
        ("", "must be a text"),
        (None, "must be a text"),
    ],
)
def test_what_is_no_complete_drop_run_is_refused(several, key, words):
    for find in (run_lookup.get_config, run_lookup.check_order, run_lookup.load_order):
        with pytest.raises(DropError, match=f"^other: .*{words}"):
            find(several, key, "other")
    with pytest.raises(DropError, match=f"^key: .*{words}"):
        fod.load_drop(several, key)


def test_a_key_of_numpy_finds_its_run(several):
    assert fod.load_drop(several, np.str_("a")).key == "a"
    assert type(fod.load_drop(several, np.str_("a")).key) is str


@pytest.mark.parametrize("dataset", [None, "digits", 3, []])
def test_what_is_no_dataset_is_refused(dataset):
    for call in (fod.list_drops, lambda d: fod.load_drop(d, "drop")):
        with pytest.raises(DropError, match=rf"^dataset: .*got {type(dataset).__name__}"):
            call(dataset)


def test_a_run_without_its_order_can_be_loaded_but_not_read(dataset):
    dataset.apply_drop(density=0.5, rule="proportional")
    assert run_lookup.check_order(dataset, "drop").keep_at_field == "drop_keep_at"
    dataset.delete_sample_field("drop_keep_at")
    assert fod.load_drop(dataset, "drop").density == 0.5
    with pytest.raises(DropError, match=r"^key: the field 'drop_keep_at' .* was deleted"):
        run_lookup.load_order(dataset, "drop")


def test_predictions_of_evaluations_and_of_runs_are_known(dataset, predict):
    assert run_lookup.known_predictions(dataset) == []
    predict(dataset, "guess", eval_key="val")
    dataset.apply_drop(density=0.5, rule="proportional")
    assert run_lookup.known_predictions(dataset) == ["guess"]
    config = fod.load_drop(dataset, "drop").config
    config.written["pred_field"] = "drop_pred"
    dataset.update_run_config("drop", config)
    assert run_lookup.known_predictions(dataset) == ["guess", "drop_pred"]
