"""Samples as arrays: labels as codes into sorted names, and the values beside them."""

import fiftyone as fo
import numpy as np
import pytest
import torch
from fiftyone import ViewField as F

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning, reader
from fiftyone_drop.errors import Warner
from fiftyone_drop.population import read_outcomes, read_population, warn_about_splits


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Several batches of the few samples."""
    monkeypatch.setattr(reader, "BATCH", 64)


def names_of(population):
    """The class of each row, in words."""
    return [population.classes[code] for code in population.codes]


def texts(ids):
    return [i.decode() for i in ids.tolist()]


def test_labels_become_codes_into_sorted_names(odd_dataset):
    view = odd_dataset.shuffle(seed=1)[:200]
    population = read_population(view, "ground_truth")
    ids, labels = view.values(["id", "ground_truth.label"])
    assert texts(population.ids) == ids
    assert names_of(population) == population.label_of == labels
    assert population.classes == population.label_names == tuple(sorted(set(labels)))
    assert population.sizes.tolist() == [labels.count(name) for name in population.classes]
    assert (population.codes.dtype, population.ids.dtype) == (np.dtype("i4"), np.dtype("S24"))
    assert population.filepaths is None
    assert len(population) == 200


def test_with_a_group_classes_are_the_cells_that_occur(dataset):
    dataset.set_values("group", [i % 3 for i in range(300)])
    view = dataset.match((F("ground_truth.label") != "one") | (F("group") == 0))
    population = read_population(view, "ground_truth", group_by="group")
    labels, groups = view.values(["ground_truth.label", "group"])
    cells = [(label, str(group)) for label, group in zip(labels, groups, strict=True)]
    assert names_of(population) == cells
    assert population.label_of == labels
    assert population.classes == tuple(sorted(set(cells)))
    assert ("one", "1") not in population.classes


def test_paths_and_numbers_are_read_along(dataset):
    dataset.set_values("score", [None if i % 5 == 0 else i for i in range(300)])
    dataset.set_values("loss", np.linspace(0, 1, 300).tolist())
    population = read_population(dataset, "name", values_of=["loss", "score"], filepaths=True)
    assert population.filepaths == dataset.values("filepath")
    assert population.values["loss"].tolist() == dataset.values("loss")
    scores = np.array(dataset.values("score"), dtype=float)
    np.testing.assert_array_equal(population.values["score"], scores)


def test_the_mean_of_a_class_is_that_of_its_samples(dataset):
    losses = np.random.default_rng(0).random(300)
    dataset.set_values("loss", losses.tolist())
    population = read_population(dataset, "name", values_of=["loss"])
    labels = np.array(dataset.values("name"))
    expected = [losses[labels == name].mean() for name in population.classes]
    np.testing.assert_allclose(population.means("loss"), expected)


def test_missing_values_are_counted_with_an_id(dataset):
    dataset.set_values("score", [None if i in (7, 9) else 1.0 for i in range(300)])
    population = read_population(dataset, "name", values_of=["score"])
    with pytest.raises(DropError, match=r"^rule: 2 of 300 samples have no value") as caught:
        population.check_complete("score", "rule")
    assert dataset.skip(7).first().id in caught.value.message
    view = dataset.exists("score")
    read_population(view, "name", values_of=["score"]).check_complete("score", "rule")


@pytest.mark.parametrize("rows", [np.arange(300) % 2 == 0, np.array([7, 3, 3, 250])])
def test_a_part_of_the_rows_keeps_the_classes(dataset, rows):
    dataset.set_values("loss", np.linspace(0, 1, 300).tolist())
    everything = read_population(dataset, "name", values_of=["loss"], filepaths=True)
    part = everything.select(rows)
    numbers = np.arange(300)[rows]
    assert part.classes == everything.classes
    for column in ("ids", "codes", "labels"):
        expected = getattr(everything, column)[numbers]
        assert getattr(part, column).tolist() == expected.tolist()
    assert part.filepaths == [everything.filepaths[i] for i in numbers]
    assert part.values["loss"].tolist() == everything.values["loss"][numbers].tolist()


def test_samples_without_a_label_or_group_are_refused_or_left_out(dataset):
    dataset[10:20].set_values("ground_truth", [None] * 10)
    dataset[15:30].set_values("parity", [None] * 15)
    with pytest.raises(DropError, match=r"^skip_unlabeled: 10 of 300 samples") as caught:
        read_population(dataset, "ground_truth")
    assert dataset.skip(10).first().id in caught.value.message
    with pytest.raises(DropError, match=r"20 of 300 samples .* or value in 'parity'"):
        read_population(dataset, "ground_truth", group_by="parity")
    given = {"group_by": "parity", "values_of": ["loss"], "filepaths": True}
    dataset.set_values("loss", np.linspace(0, 1, 300).tolist())
    population = read_population(dataset, "ground_truth", skip_unlabeled=True, **given)
    left = dataset.exists("ground_truth").exists("parity")
    assert texts(population.ids) == left.values("id")
    assert population.filepaths == left.values("filepath")
    assert population.values["loss"].tolist() == left.values("loss")
    assert population.sizes.sum() == 280


def test_a_target_without_any_label_is_refused(dataset):
    dataset.clear_sample_field("ground_truth")
    with pytest.raises(DropError, match=r"^label_field: no sample of the target has a label"):
        read_population(dataset, "ground_truth", skip_unlabeled=True)


@pytest.mark.parametrize("tags", [["train"], ["train", "hard"], ["Training", "train"], []])
def test_one_split_is_no_warning(dataset, tags):
    dataset.set_values("tags", [tags] * 300)
    warn = Warner()
    warn_about_splits(dataset, warn)
    assert warn.messages == []


def test_several_splits_are_a_warning_that_names_them(dataset):
    dataset.set_values("tags", [["Training"] if i % 3 else ["VAL", "odd"] for i in range(300)])
    with pytest.warns(DropWarning, match=r"\['Training', 'VAL'\] .*match_tags\('Training'\)"):
        warn_about_splits(dataset, Warner())
    warn = Warner()
    warn_about_splits(dataset.match_tags("VAL"), warn)
    assert warn.messages == []


def test_validation_samples_are_read_in_the_classes_of_the_target(dataset):
    dataset[:5].set_values("ground_truth", [None] * 5)
    classes = ("two", "zero", "a class that only the target has")
    paths = ["filepath", "parity"]
    outcomes = read_outcomes(dataset, classes, "ground_truth", None, paths)
    view = dataset.match(F("ground_truth.label").is_in(["zero", "two"]))
    assert texts(outcomes.ids) == view.values("id")
    assert [classes[code] for code in outcomes.codes] == outcomes.labels
    expected = view.values(["ground_truth.label", *paths])
    assert [outcomes.labels, *outcomes.columns] == list(expected)


def test_validation_samples_are_read_in_the_cells_of_the_target(dataset):
    dataset.set_values("big", [None if i % 7 == 0 else i > 150 for i in range(300)])
    classes = (("two", "True"), ("zero", "False"))
    outcomes = read_outcomes(dataset, classes, "ground_truth", "big", ["big"])
    two_big = (F("ground_truth.label") == "two") & (F("big") == True)  # noqa: E712
    zero_small = (F("ground_truth.label") == "zero") & (F("big") == False)  # noqa: E712
    view = dataset.match(two_big | zero_small)
    assert texts(outcomes.ids) == view.values("id")
    cells = [classes[code] for code in outcomes.codes]
    shown = zip(*view.values(["ground_truth.label", "big"]), strict=True)
    assert cells == [(label, str(big)) for label, big in shown]
    assert outcomes.columns == [view.values("big")]


def test_no_validation_sample_of_the_classes_makes_empty_outcomes(dataset):
    outcomes = read_outcomes(dataset.limit(0), ("zero",), "ground_truth", None, ["filepath"])
    assert (len(outcomes.ids), len(outcomes.codes)) == (0, 0)
    assert (outcomes.labels, outcomes.columns) == ([], [[]])


def test_a_boolean_group_counts_as_its_words(dataset, recalls):
    dataset.set_values("big", [i % 3 == 0 for i in range(300)])
    plan = fod.plan_drop(dataset, 0.5, rule="proportional", group_by="big")
    assert set(plan.quotas) == {(name, big) for name in recalls for big in ("True", "False")}


def test_a_mapped_label_is_read_as_the_view_shows_it(dataset):
    names = {"zero": "round", "six": "round", "eight": "round", "nine": "round"}
    target = dataset.map_labels("ground_truth", names)
    plan = fod.plan_drop(target, 0.5, rule="proportional")
    assert "round" in plan.quotas
    assert "zero" not in plan.quotas


# -- views that change what the dataset stores ----------------------------------------------------

MERGED = dict.fromkeys(("zero", "one", "two", "three", "four"), "small")
SHOWN = {
    "map_labels": lambda ds: ds.map_labels("ground_truth", MERGED),
    "set_field": lambda ds: ds.set_field("ground_truth.label", F("label").upper()),
    "of strings": lambda ds: ds.set_field("name", F("name").upper()),
    "of groups": lambda ds: ds.set_field("parity", F("parity").upper()),
    "of scores": lambda ds: ds.set_field("score", 1 - F("score")),
    "below others": lambda ds: ds.map_labels("ground_truth", MERGED).sort_by("score").limit(200),
    "mongo": lambda ds: ds.mongo([{"$set": {"ground_truth.label": "same"}}]),
}


@pytest.fixture
def scored(dataset):
    """Digits with a score, other for each."""
    dataset.set_values("score", np.linspace(0, 1, 300).tolist())
    field = dataset.get_field("score")
    field.info = {"hard": "high"}
    field.save()
    return dataset


@pytest.mark.parametrize("how", SHOWN)
def test_a_target_that_shows_other_values_than_are_stored_is_refused_with_a_way_that_works(
    scored, how
):
    view = SHOWN[how](scored)
    options = {"label_field": "name" if how == "of strings" else "ground_truth", "rule": "none"}
    options |= {"of groups": {"group_by": "parity"}, "of scores": {"select": "score"}}.get(how, {})
    with pytest.raises(DropError, match=r"samples: the view changes .*set_values") as caught:
        view.apply_drop(0.5, **options)
    plan = fod.plan_drop(view, 0.5, **options)  # what it prints is right
    with pytest.raises(DropError, match="samples: the view changes"):
        plan.apply()
    assert fod.list_drops(scored) == []
    if how in ("of groups", "of scores"):
        return
    remedy = caught.value.message.split("pass that field: ")[1]
    exec(remedy, {"dataset": scored, "view": view})
    kept = view.apply_drop(0.5, **options | {"label_field": "mine"})
    run = fod.load_drop(scored, "drop")
    assert dict(run.table.by_class("quotas")) == kept.count_values("mine")
    assert fod.kept_counts(scored, "drop", [0.5])[0].tolist() == run.table.quotas.tolist()
    name = run.table.classes[0]
    assert fod.drop_view(scored, "drop", class_name=name).count() == run.table.quotas[0]


def test_a_target_may_choose_sort_and_change_what_decides_nothing(scored, recalls):
    merged = scored.map_labels("ground_truth", MERGED)
    for view in (
        scored.sort_by("score").limit(100),
        scored.filter_labels("ground_truth", F("label") != "one"),
        scored.set_field("score", 1 - F("score")),
        scored[:50].concat(scored[50:100]),
    ):
        plan = fod.plan_drop(view, 0.5, rule="none", label_field="ground_truth")
        assert len(plan.population) == len(view)
    plan = fod.plan_drop(merged, 0.5, label_field="name", recalls=recalls)
    plan.apply()
    assert set(plan.population.classes) == set(scored.distinct("name"))


def test_labels_that_a_view_hides_are_no_labels(scored):
    view = scored.filter_labels("ground_truth", F("label") != "one", only_matches=False)
    with pytest.raises(DropError, match="skip_unlabeled"):
        view.apply_drop(0.5, rule="none")
    view.apply_drop(0.5, rule="none", skip_unlabeled=True)
    table = fod.load_drop(scored, "drop").table
    assert "one" not in table.classes
    assert fod.kept_counts(scored, "drop", [0.5])[0].tolist() == table.quotas.tolist()


def test_a_view_with_a_sample_twice_is_refused(scored):
    with pytest.raises(DropError, match="has 50 samples more than once"):
        scored[:100].concat(scored[50:100]).apply_drop(0.5, rule="none")


def test_dynamic_groups_patches_and_frames_are_refused_with_a_way(scored):
    with pytest.raises(DropError, match=r"samples: a grouped collection .*flatten\(\)"):
        scored.group_by("ground_truth.label").apply_drop(0.5, rule="none")
    box = {"label": "a", "bounding_box": [0, 0, 1, 1]}
    boxes = [fo.Detections(detections=[fo.Detection(**box)]) for _ in range(300)]
    scored.set_values("boxes", boxes)
    with pytest.raises(DropError, match=r"samples: a view of patches .*patches\.export\("):
        scored.to_patches("boxes").apply_drop(0.5, rule="none")
    flat = scored.group_by("ground_truth.label").flatten()
    assert len(fod.plan_drop(flat, 0.5, rule="none").population) == 300


@pytest.mark.usefixtures("few_steps")
def test_query_models_are_not_evaluated_on_labels_that_only_a_view_has(scored):
    view = scored.map_labels("ground_truth", MERGED)
    with pytest.raises(DropError, match=r"samples: the view changes 'ground_truth.label'"):
        fod.train_query_model(view, "ground_truth", epochs=1)
    shown = scored[150:].set_field("name", "one")
    for call in (
        lambda: fod.train_query_model(scored[:150], "name", validation=shown, epochs=1),
        lambda: fod.plan_drop(
            scored[:150], 0.5, label_field="name", validation=shown, model=torch.nn.Identity()
        ),
    ):
        with pytest.raises(DropError, match="validation: the view changes 'name'"):
            call()


def test_predictions_and_labels_of_a_validation_view_are_those_it_shows(scored, predict):
    predict(scored[150:], wrong=3)
    scored.set_values("coarse", [MERGED.get(n, "large") for n in scored.values("name")])
    mapping = MERGED | {n: "large" for n in scored.distinct("name") if n not in MERGED}
    shown = scored[150:].map_labels("predictions", mapping)
    given = {"label_field": "coarse", "pred_field": "predictions", "smoothing": 0}
    plan = fod.plan_drop(scored[:150], 0.5, validation=shown, **given)
    right = {name: [] for name in ("small", "large")}
    for sample in scored[150:]:
        right[sample.coarse].append(mapping[sample.predictions.label] == sample.coarse)
    assert plan.recalls == pytest.approx({name: np.mean(r) for name, r in right.items()})
