"""The main path: ``dataset.apply_drop`` on real images, and what it leaves in the dataset."""

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning


def counts(view):
    return view.count_values("ground_truth.label")


def ids(view):
    return set(view.values("id"))


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


def test_a_plan_writes_nothing_and_applies_without_computing_again(dataset, recalls, monkeypatch):
    before = dataset.get_field_schema().keys()
    plan = fod.plan_drop(dataset, 0.5, recalls=recalls)
    assert dataset.get_field_schema().keys() == before
    assert dataset.list_runs() == dataset.list_saved_views() == []
    monkeypatch.setattr("fiftyone_drop.plan.read_population", None)
    view = plan.apply(key="mine")
    assert ids(view) == set(plan.kept_ids)
    assert fod.load_drop(dataset, "mine").recalls == plan.recalls == recalls
    assert str(plan.table) in str(plan)


def test_a_smaller_density_keeps_a_subset(dataset, recalls):
    kept = ids(dataset.apply_drop(density=0.5, recalls=recalls))
    smaller = fod.drop_view(dataset, "drop", 0.3)
    assert len(smaller) == fod.kept_size(300, 0.3)
    assert ids(smaller) < kept
    assert ids(fod.drop_view(dataset, "drop", 0.5)) == kept
    assert len(fod.drop_view(dataset, "drop", 1)) == 300


def test_a_view_below_the_floors_holds_the_first_samples_of_them(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls, min_per_class=5)
    small, floors = (fod.drop_view(dataset, "drop", d) for d in (0.05, 50 / 300))
    assert len(small) == 15
    assert set(counts(floors).values()) == {5}
    assert ids(small) < ids(floors)


@pytest.mark.parametrize("rule", ["drop", "drop-unweighted", "proportional", "balanced", "none"])
def test_the_stored_field_counts_to_the_class_table_at_every_density(dataset, recalls, rule):
    plan = fod.plan_drop(dataset, 0.5, recalls=recalls, rule=rule)
    plan.apply()
    for density in (0.1, 0.25, 0.333, 0.5, 0.8, 1.0):
        counted = counts(fod.drop_view(dataset, "drop", density))
        table = plan.at(density).table
        expected = dict(zip(table.classes, table.quotas.tolist(), strict=True))
        assert counted == {name: n for name, n in expected.items() if n}


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


def test_each_class_keeps_at_least_the_floor(dataset, recalls):
    perfect = dict.fromkeys(recalls, 1.0) | {"eight": 0.1}
    kept = counts(dataset.apply_drop(density=0.2, recalls=perfect, min_per_class=3))
    assert min(kept.values()) >= 3
    assert len(kept) == 10


def test_an_emptied_class_is_an_error_unless_it_is_allowed(dataset, recalls):
    perfect = recalls | {"zero": 1.0}
    with pytest.raises(DropError, match=r"nothing would be kept of 'zero'"):
        dataset.apply_drop(density=0.5, recalls=perfect, min_per_class=0)
    assert dataset.list_runs() == []
    view = dataset.apply_drop(
        density=0.5, recalls=perfect, min_per_class=0, allow_empty_classes=True
    )
    assert "zero" not in counts(view)


def test_a_score_field_orders_samples_inside_a_class(dataset, recalls):
    values = np.random.default_rng(0).random(300)
    dataset.set_values("difficulty", values.tolist())
    field = dataset.get_field("difficulty")
    field.info = {"hard": "high"}
    field.save()
    for keep, sign in (("hardest", 1), ("easiest", -1)):
        view = dataset.apply_drop(
            density=0.5, recalls=recalls, select="difficulty", keep=keep, key=keep
        )
        for label, n in counts(view).items():
            of_class = dataset.match(F("ground_truth.label") == label).values("difficulty")
            kept = view.match(F("ground_truth.label") == label).values("difficulty")
            assert sorted(kept) == sorted(sorted(of_class, key=lambda s: -sign * s)[:n])


def test_a_score_without_a_hard_end_is_taken_in_its_own_order(dataset):
    fod.compute_scores(dataset, scores=("random",), prefix="my_", seed=3)
    view = dataset.apply_drop(density=0.2, rule="none", select="my_random")
    assert sorted(view.values("my_random")) == sorted(dataset.values("my_random"))[:60]


def test_without_quotas_the_hardest_samples_of_all_are_kept(dataset):
    values = np.random.default_rng(0).random(300)
    dataset.set_values("aum", values.tolist())
    field = dataset.get_field("aum")
    field.info = {"hard": "low"}
    field.save()
    view = dataset.apply_drop(density=0.1, rule="none", select="aum")
    assert sorted(view.values("aum")) == sorted(values)[:30]
    moved = fod.set_density(dataset, "drop", 0.2)
    assert sorted(moved.values("aum")) == sorted(values)[:60]
    assert fod.load_drop(dataset, "drop").table.quotas.sum() == 60


def test_groups_get_quotas_per_class_and_value(dataset, recalls):
    cells = {(name, parity): r for name, r in recalls.items() for parity in ("even", "odd")}
    cells["three", "odd"] = 0.05
    plan = fod.plan_drop(dataset, 0.5, recalls=cells, group_by="parity")
    view = plan.apply()
    kept = list(zip(*view.values(["ground_truth.label", "parity"]), strict=True))
    assert {cell: kept.count(cell) for cell in cells} == plan.quotas
    assert plan.quotas["three", "odd"] > plan.quotas["three", "even"]
    assert fod.load_drop(dataset, "drop").recalls == cells


def test_a_boolean_group_counts_as_its_words(dataset, recalls):
    dataset.set_values("big", [i % 3 == 0 for i in range(300)])
    plan = fod.plan_drop(dataset, 0.5, rule="proportional", group_by="big")
    assert set(plan.quotas) == {(name, big) for name in recalls for big in ("True", "False")}


def test_a_string_field_can_hold_the_labels(dataset, recalls):
    view = dataset.apply_drop(density=0.5, label_field="name", recalls=recalls)
    assert view.count_values("name") == fod.load_drop(dataset, "drop").table.by_class("quotas")


def test_a_mapped_label_is_read_as_the_view_shows_it(dataset):
    names = {"zero": "round", "six": "round", "eight": "round", "nine": "round"}
    target = dataset.map_labels("ground_truth", names)
    plan = fod.plan_drop(target, 0.5, rule="proportional")
    assert "round" in plan.quotas
    assert "zero" not in plan.quotas


def test_the_view_that_is_returned_keeps_the_stages_of_the_target(dataset, recalls):
    target = dataset.select_fields("ground_truth").sort_by("filepath", reverse=True)
    view = target.apply_drop(density=0.5, recalls=recalls)
    assert len(view) == 150
    files = view.values("filepath")
    assert files == sorted(files, reverse=True)
    assert "parity" not in view.get_field_schema()


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
