"""Drop runs are found by their keys, by any process and thread."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import fiftyone as fo
import fiftyone.core.odm as foo
import numpy as np
import pytest
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect

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


READS = {
    "load_drop": fod.load_drop,
    "drop_view": lambda dataset, key: fod.drop_view(dataset, key, 0.3),
    "report": fod.report,
}


@pytest.fixture
def older(dataset, recalls):
    """A session that has read the run, as it was before another session changes it."""
    dataset.apply_drop(density=0.5, recalls=recalls)
    with as_another_session():
        older = fo.load_dataset(dataset.name)
    assert older is not dataset
    assert fod.load_drop(older, "drop").recalls == recalls
    return older


@contextlib.contextmanager
def as_another_session():
    """Datasets that are loaded meanwhile are objects of their own."""
    before, fo.config.singleton_cache = fo.config.singleton_cache, False
    try:
        yield
    finally:
        fo.config.singleton_cache = before


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_run_that_another_session_has_replaced_is_read_as_it_is_now(dataset, older, read):
    dataset.apply_drop(density=0.4, rule="proportional", overwrite=True)
    assert read(older, "drop") is not None
    assert fod.load_drop(older, "drop").density == 0.4
    assert fod.load_drop(older, "drop").recalls is None


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_run_that_another_session_has_deleted_does_not_exist(dataset, older, read):
    fod.delete_drop(dataset, "drop")
    with pytest.raises(DropError, match=r"^key: the drop run 'drop' .* does not exist"):
        read(older, "drop")


def test_a_run_without_its_class_table_is_said(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    stored = dataset._doc.runs["drop"].results.grid_id
    foo.get_db_conn()["fs.chunks"].delete_many({"files_id": stored})
    with pytest.raises(DropError, match=r"^key: the class table of the drop run 'drop' is not in"):
        fod.load_drop(dataset, "drop")


def test_a_connection_that_is_lost_is_no_run_that_is_gone(dataset, recalls, monkeypatch):
    dataset.apply_drop(density=0.5, recalls=recalls)
    original = Collection.find_one

    def find_one(self, *arguments, **options):
        if self.name == "fs.files":
            raise AutoReconnect("away")
        return original(self, *arguments, **options)

    monkeypatch.setattr(Collection, "find_one", find_one)
    with pytest.raises(AutoReconnect):
        fod.load_drop(dataset, "drop")
    with pytest.raises(ConnectionError):
        fod.set_density(dataset, "drop", 0.3)


@pytest.mark.parametrize("kind", ["runs", "evaluations"])
def test_a_stranger_that_cannot_be_loaded_stops_nothing(dataset, recalls, predict, kind):
    dataset.apply_drop(density=0.5, recalls=recalls)
    dataset.register_run("theirs", dataset.init_run())
    predict(dataset, "guess", eval_key="val")
    key = {"runs": "theirs", "evaluations": "val"}[kind]
    document = getattr(dataset._doc, kind)[key]
    foo.get_db_conn().runs.update_one(
        {"_id": document.id},
        {"$set": {"config": {"cls": "fiftyone_drop.runs.DropResults", "pred_field": "guess"}}},
    )
    dataset.reload()
    dataset.clear_cache()
    with pytest.raises(AttributeError, match="DropResults"):
        getattr(dataset, "get_run_info" if kind == "runs" else "get_evaluation_info")(key)
    assert fod.list_drops(dataset) == ["drop"]
    assert fod.load_drop(dataset, "drop").recalls == recalls
    assert run_lookup.known_predictions(dataset) == ["guess"]
    dataset.apply_drop(density=0.3, recalls=recalls, overwrite=True)
    fod.delete_drop(dataset, "drop")


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
