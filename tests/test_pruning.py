"""The main path: ``dataset.apply_drop`` on real images, and what it leaves in the dataset."""

import contextlib
import logging

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F
from shown import counts, ids

import fiftyone_drop as fod
from fiftyone_drop import DropWarning
from fiftyone_drop.recall import class_recalls
from fiftyone_drop.rules import RULES


def test_class_counts_of_the_kept_samples_equal_the_plan(dataset, recalls):
    plan = fod.plan_drop(dataset, 0.5, recalls=recalls)
    view = dataset.apply_drop(density=0.5, recalls=recalls)
    assert counts(view) == plan.quotas
    assert len(view) == fod.kept_size(300, 0.5) == 150
    assert ids(view) == set(plan.kept_ids)


def test_the_saved_views_hold_what_is_kept_and_what_is_pruned(dataset, recalls):
    view = dataset.apply_drop(density=0.5, recalls=recalls)
    assert ids(dataset.load_saved_view("drop-kept")) == ids(view)
    pruned = dataset.load_saved_view("drop-pruned")
    assert ids(pruned) == ids(dataset) - ids(view)


def test_nothing_outside_the_target_view_is_touched(dataset, recalls):
    target = dataset[50:250]
    outside = ids(dataset) - ids(target)
    view = target.apply_drop(density=0.4, recalls=recalls)
    assert len(view) == 80
    for name in dataset.list_saved_views():
        assert not ids(dataset.load_saved_view(name)) & outside
    assert ids(fod.drop_view(dataset, "drop", 1.0)) == ids(target)
    untouched = dataset.select(outside)
    assert untouched.values("drop_keep_at") == untouched.values("drop_kept") == [None] * 100
    fod.set_density(dataset, "drop", 0.7)
    assert untouched.values("drop_kept") == [None] * 100
    assert len(dataset.load_saved_view("drop-kept")) == 140
    assert ids(dataset.load_run_view("drop")) == ids(target)


def test_the_same_seed_keeps_the_same_samples_in_a_clone_read_in_another_order(dataset, recalls):
    kept = ids(dataset.apply_drop(density=0.5, recalls=recalls))
    clone = dataset.clone()
    try:
        assert ids(clone.load_saved_view("drop-kept")) == kept
        shuffled = clone.sort_by(F("ground_truth.label"), reverse=True).shuffle(seed=1)
        assert ids(shuffled.apply_drop(density=0.5, recalls=recalls, key="again")) == kept
        assert ids(clone.apply_drop(density=0.5, recalls=recalls, key="other", seed=52)) != kept
    finally:
        clone.delete()


def test_removing_samples_leaves_the_relative_order_of_the_others_in_their_class(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    dataset[100:].apply_drop(density=0.5, recalls=recalls, key="fewer")
    for label in recalls:
        view = dataset.match((F("ground_truth.label") == label) & (F("fewer_keep_at") > 0))
        names, before, after = view.values(["id", "drop_keep_at", "fewer_keep_at"])
        assert [names[i] for i in np.argsort(before)] == [names[i] for i in np.argsort(after)]


def test_a_score_without_a_hard_end_is_taken_in_its_own_order(dataset):
    fod.compute_scores(dataset, scores=("random",), prefix="my_", seed=3)
    view = dataset.apply_drop(density=0.2, rule="none", select="my_random")
    assert sorted(view.values("my_random")) == sorted(dataset.values("my_random"))[:60]


def test_a_string_field_can_hold_the_labels(dataset, recalls):
    view = dataset.apply_drop(density=0.5, label_field="name", recalls=recalls)
    assert view.count_values("name") == fod.load_drop(dataset, "drop").table.by_class("quotas")


def test_unlabeled_samples_are_left_out_on_request(dataset, recalls):
    unlabeled = dataset[:7]
    unlabeled.set_values("ground_truth", [None] * 7)
    view = dataset.apply_drop(density=0.5, recalls=recalls, skip_unlabeled=True)
    assert len(view) == fod.kept_size(293, 0.5)
    assert unlabeled.values("drop_keep_at") == unlabeled.values("drop_kept") == [None] * 7
    assert len(dataset.load_saved_view("drop-pruned")) == 293 - len(view)


def test_everything_can_be_kept(dataset, recalls):
    assert len(dataset.apply_drop(density=1, recalls=recalls)) == 300
    assert len(dataset.load_saved_view("drop-pruned")) == 0


def test_pruning_all_splits_at_once_warns_and_shows_the_call(dataset, recalls):
    dataset[200:].set_values("tags", [["val"]] * 100)
    with pytest.warns(DropWarning, match=r"dataset\.match_tags\('train'\)\.apply_drop"):
        dataset.apply_drop(density=0.5, recalls=recalls)
    assert len(dataset.match_tags("train").apply_drop(0.5, recalls=recalls, key="train")) == 100


@pytest.mark.filterwarnings("ignore:the quotas may go too far")
def test_labels_of_any_text_work(make_dataset):
    dataset = make_dataset(60)
    names = ["a b", "c.d", "$e", "😀", "<b>x</b>", "x" * 300]
    dataset.set_values("ground_truth", [fo.Classification(label=names[i % 6]) for i in range(60)])
    recalls = dict(zip(names, [0.1, 0.3, 0.5, 0.7, 0.8, 0.9], strict=True))
    plan = fod.plan_drop(dataset, 0.5, recalls=recalls)
    assert counts(plan.apply()) == plan.quotas
    assert fod.load_drop(dataset, "drop").recalls == recalls


def test_loaded_samples_show_what_was_written(dataset, recalls):
    sample = dataset.first()
    modified = sample.last_modified_at
    dataset.apply_drop(density=0.5, recalls=recalls)
    assert sample.drop_kept == (sample.drop_keep_at <= 0.5)
    assert sample.last_modified_at > modified


def test_the_kept_samples_export_as_a_directory_tree_that_matches_the_quotas(
    dataset, recalls, tmp_path
):
    view = dataset.apply_drop(density=0.5, recalls=recalls)
    view.export(
        str(tmp_path / "out"),
        dataset_type=fo.types.ImageClassificationDirectoryTree,
        label_field="ground_truth",
        progress=False,
    )
    on_disk = {d.name: len(list(d.glob("*.png"))) for d in (tmp_path / "out").iterdir()}
    assert on_disk == fod.load_drop(dataset, "drop").table.by_class("quotas")


def test_the_kept_samples_feed_a_data_loader(dataset, recalls):
    from fiftyone.utils.torch import GetItem
    from PIL import Image
    from torch.utils.data import DataLoader

    class Digit(GetItem):
        @property
        def required_keys(self):
            return ["filepath", "label"]

        def __call__(self, d):
            return np.asarray(Image.open(d["filepath"])), d["label"]

    view = dataset.apply_drop(density=0.5, recalls=recalls)
    items = view.to_torch(Digit(field_mapping={"label": "ground_truth.label"}), vectorize=True)
    seen = [label for _, labels in DataLoader(items, batch_size=32) for label in labels]
    assert {name: seen.count(name) for name in recalls} == counts(view)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_runs_on_a_dataset(dataset, recalls, rule):
    assert len(dataset.apply_drop(density=0.5, recalls=recalls, rule=rule)) == 150
    assert fod.load_drop(dataset, "drop").config.rule == rule


@pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")
def test_the_one_line_call_predicts_evaluates_and_prunes(dataset, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("fiftyone"), "propagate", True)
    with caplog.at_level(logging.INFO, "fiftyone"):
        view = dataset.apply_drop(density=0.5)
    assert "a query model in closed form, 300 images at 8x8" in caplog.text
    run = fod.load_drop(dataset, "drop")
    # Every sample has an out-of-sample prediction, and the recalls are those of the evaluation
    assert dataset.exists("drop_pred").count() == 300
    assert run.config.pred_field == "drop_pred"
    report = dataset.load_evaluation_results("drop_eval").report()
    table = run.table
    for name, correct, support in zip(table.classes, table.correct, table.support, strict=True):
        assert correct / support == pytest.approx(report[name]["recall"])
    assert report["accuracy"] > 0.8
    np.testing.assert_array_equal(table.recalls, class_recalls(table.correct, table.support))
    assert view.count_values("ground_truth.label") == table.by_class("quotas")
    # The stored evaluation makes another run without a query model
    again = dataset.match(F("drop_kept") == True)  # noqa: E712
    with pytest.warns(DropWarning, match="150 of 300|300 of 300|also in the target view"):
        assert len(again.apply_drop(density=0.5, eval_key="drop_eval", key="again")) == 75


# -- what practitioners met ------------------------------------------------------------------------


@pytest.mark.usefixtures("few_steps")
@pytest.mark.filterwarnings("ignore:the class recalls", "ignore:.*also in the target view")
def test_predictions_of_string_labels_are_not_exported_as_the_labels(dataset, tmp_path):
    dataset.delete_sample_field("ground_truth")
    view = dataset.apply_drop(0.5, label_field="name", holdout=0.5)
    assert isinstance(dataset.get_field("drop_pred"), fo.StringField)
    assert set(dataset.exists("drop_pred").distinct("drop_pred")) <= set(dataset.distinct("name"))
    tree = fo.types.ImageClassificationDirectoryTree
    with contextlib.suppress(ValueError):  # there is no field to export
        view.export(export_dir=str(tmp_path), dataset_type=tree, progress=False)
    labelled = [path.parent.name for path in tmp_path.rglob("*.png")]
    assert not set(labelled) & set(dataset.distinct("name"))
    # They are as good as others as predictions
    given = {"validation": dataset.exists("drop_pred"), "pred_field": "drop_pred"}
    plan = fod.plan_drop(dataset, 0.5, label_field="name", **given)
    known = fod.load_drop(dataset, "drop")
    np.testing.assert_array_equal(plan.table.correct, known.table.correct)
    fod.delete_drop(dataset, "drop")
    assert not dataset.has_field("drop_pred")


def test_scores_that_are_nan_are_left_out_as_the_message_says(dataset):
    values = [float("nan") if i < 10 else None if i < 15 else float(i) for i in range(300)]
    dataset.set_values("mine", values)
    field = dataset.get_field("mine")
    field.info = {"hard": "high"}
    field.save()
    with pytest.raises(fod.DropError, match="15 of 300 samples have no value in 'mine', or") as e:
        dataset.apply_drop(0.5, rule="none", select="mine")
    remedy = e.value.message.split("target view with ")[1].split(", where")[0]
    view = eval("dataset" + remedy, {"dataset": dataset, "F": F})
    assert len(view) == 285
    assert len(view.apply_drop(0.5, rule="none", select="mine")) == fod.kept_size(285, 0.5)


DECIDING = {
    "group_by": {"group_by": "drop_kept"},
    "group_by of labels": {"group_by": "drop_pred.label"},
    "label_field": {"label_field": "drop_pred"},
    "model": {"model": "drop_pred", "validation": True},
    "models": {"model": ["drop_pred"], "validation": True},
    "pred_field": {"pred_field": "drop_pred", "validation": True},
    "select": {"select": "drop_keep_at"},
    "eval_key": {"eval_key": "drop_eval"},
}


@pytest.mark.usefixtures("few_steps")
@pytest.mark.filterwarnings("ignore:the class recalls")
def test_no_run_is_pruned_by_the_run_that_it_replaces(dataset):
    dataset.apply_drop(0.5, holdout=0.5, label_field="ground_truth")
    before = fod.load_drop(dataset, "drop").config.token
    for name, options in DECIDING.items():
        options = {"label_field": "ground_truth"} | options
        if "validation" in options:
            options["validation"] = dataset.limit(50)
        with pytest.raises(fod.DropError, match="would be replaced") as caught:
            dataset.apply_drop(0.5, key="drop", overwrite=True, **options)
        assert caught.value.argument == name.split()[0].removesuffix("s")
    assert fod.load_drop(dataset, "drop").config.token == before
    dataset.clone_sample_field("ground_truth", "query_pred")
    with pytest.raises(fod.DropError, match="key: the field 'query_pred' holds no predictions"):
        fod.train_query_model(dataset, "query_pred", overwrite=True)
