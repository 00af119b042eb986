"""``drop_view``: any part of a run, class and range of a score, without reading a sample."""

import json
import math

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F
from shown import counts, ids

import fiftyone_drop as fod
from fiftyone_drop import DropError


def score_field(dataset, values, **info):
    dataset.set_values("score", values)
    field = dataset.get_field("score")
    field.info = info
    field.save()


@pytest.mark.parametrize("density", [None, 0.1, 0.7, 1.0])
def test_the_parts_of_a_run_are_those_of_the_stored_densities(dataset, recalls, density):
    dataset[50:250].apply_drop(density=0.4, recalls=recalls)
    bound = density or 0.4
    keep_at = dict(zip(*dataset.values(["id", "drop_keep_at"]), strict=True))
    expected = {
        "kept": {i for i, d in keep_at.items() if d is not None and d <= bound},
        "pruned": {i for i, d in keep_at.items() if d is not None and d > bound},
        "all": {i for i, d in keep_at.items() if d is not None},
    }
    for part, members in expected.items():
        assert ids(fod.drop_view(dataset, "drop", density, part=part)) == members
    everything = fod.drop_view(dataset, "drop", density, part="all")
    assert ids(everything.match(F("drop_kept"))) == expected["kept"]


@pytest.mark.parametrize("rule", ["drop", "none"])
def test_each_class_is_shown_in_the_number_of_the_table_whatever_its_name(odd_dataset, rule):
    names = sorted(odd_dataset.distinct("ground_truth.label"))
    recalls = dict(zip(names, np.linspace(0.2, 0.9, len(names)).tolist(), strict=True))
    odd_dataset[:250].apply_drop(density=0.5, recalls=recalls, rule=rule)
    table = fod.load_drop(odd_dataset, "drop").table
    assert len(table.classes) == 8
    for name, size, quota in zip(table.classes, table.sizes, table.quotas, strict=True):
        for part, n in (("kept", quota), ("pruned", size - quota), ("all", size)):
            view = fod.drop_view(odd_dataset, "drop", part=part, class_name=name)
            assert view.values("ground_truth.label") == [name] * n


@pytest.mark.parametrize("kind", ["words", "whole numbers", "booleans"])
def test_a_cell_is_shown_by_its_tuple_its_list_and_its_words(dataset, kind):
    values = {"words": ["$even", "o.d d"], "whole numbers": [0, -7], "booleans": [False, True]}
    dataset.set_values("group", [values[kind][i % 2] for i in range(300)])
    dataset.apply_drop(density=0.5, rule="proportional", group_by="group")
    table = fod.load_drop(dataset, "drop").table
    assert len(table.classes) == 20
    for cell, words, quota in zip(table.classes, table.names, table.quotas, strict=True):
        for name in (cell, list(cell), words):
            view = fod.drop_view(dataset, "drop", class_name=name)
            shown = view.values(["ground_truth.label", "group"])
            assert [(label, str(group)) for label, group in zip(*shown, strict=True)] == (
                [cell] * quota
            )


def test_words_that_fit_two_cells_are_refused(make_dataset):
    dataset = make_dataset(40)
    cells = [("a / b", "c"), ("a", "b / c")]
    labels = [fo.Classification(label=cells[i % 2][0]) for i in range(40)]
    dataset.set_values("ground_truth", labels)
    dataset.set_values("group", [cells[i % 2][1] for i in range(40)])
    dataset.apply_drop(density=0.5, rule="proportional", group_by="group")
    with pytest.raises(DropError, match="pass the tuple"):
        fod.drop_view(dataset, "drop", class_name="a / b / c")
    assert len(fod.drop_view(dataset, "drop", class_name=("a", "b / c"))) == 10


@pytest.mark.parametrize(
    ("info", "reverse"),
    [
        ({"hard": "high"}, True),
        ({"hard": "low"}, False),
        ({"hard": None, "kept_first": "low"}, False),
        ({}, True),
    ],
)
def test_a_score_shows_the_hardest_first(dataset, recalls, info, reverse):
    score_field(dataset, np.random.default_rng(0).random(300).tolist(), **info)
    dataset.apply_drop(density=0.5, recalls=recalls)
    values = fod.drop_view(dataset, "drop", score="score").values("score")
    assert values == sorted(values, reverse=reverse)
    assert len(values) == 150


@pytest.mark.parametrize("hard", ["high", "low"])
def test_samples_without_a_score_come_last(dataset, recalls, hard):
    values = np.random.default_rng(0).normal(size=300).tolist()
    values[::3] = [None] * 100
    values[1::30] = [math.nan] * 10
    score_field(dataset, values, hard=hard)
    dataset.apply_drop(density=1, recalls=recalls)
    view = fod.drop_view(dataset, "drop", score="score")
    shown = view.values("score")
    numbers = [value for value in shown if value is not None and not math.isnan(value)]
    assert len(numbers) == 190
    assert shown[:190] == sorted(numbers, reverse=hard == "high")


def test_a_range_of_scores_holds_its_lower_end_only(dataset, recalls):
    score_field(dataset, [None if i % 10 == 0 else i // 30 for i in range(300)])
    dataset.apply_drop(density=0.5, recalls=recalls)
    view = fod.drop_view(dataset, "drop", part="all", score="score", score_range=(2, 4))
    assert sorted(view.values("score")) == [2] * 27 + [3] * 27
    below = fod.drop_view(dataset, "drop", part="all", score="score", score_range=(-5, 1))
    assert below.values("score") == [0] * 27


def test_the_view_survives_serialisation_and_saving(odd_dataset):
    odd_dataset.apply_drop(density=0.5, rule="proportional")
    score_field(odd_dataset, np.random.default_rng(0).random(300).tolist())
    view = fod.drop_view(
        odd_dataset, "drop", class_name="$e", score="score", score_range=(0.2, 0.8)
    )
    assert len(view) > 0
    stages = json.loads(json.dumps(view._serialize()))
    assert fo.DatasetView._build(odd_dataset, stages).values("id") == view.values("id")
    odd_dataset.save_view("some", view)
    odd_dataset.reload()
    assert odd_dataset.load_saved_view("some").values("id") == view.values("id")
    assert view.first().id not in json.dumps(stages)


def test_making_a_view_goes_through_no_sample(dataset, recalls, scans):
    dataset.set_values("score", np.arange(300.0).tolist())
    dataset.apply_drop(density=0.5, recalls=recalls)
    indexes = dataset.list_indexes()
    before = scans(dataset)
    view = fod.drop_view(
        dataset, "drop", 0.3, class_name="zero", score="score", score_range=(0, 300)
    )
    assert scans(dataset) == before
    assert len(view) > 0
    assert scans(dataset) == before + 1
    assert dataset.list_indexes() == indexes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"part": "keep"}, "part: must be one of"),
        ({"class_name": "ten"}, "'ten' is no class of the run"),
        ({"class_name": ("zero", "odd")}, "is no class of the run"),
        ({"score": "nothing"}, "score: must be the name of a number field"),
        ({"score": "ground_truth"}, "score: must be the name of a number field"),
        ({"score_range": (0, 1)}, "needs score="),
        ({"score": "drop_keep_at", "score_range": (1, 0)}, "low < high"),
        ({"score": "drop_keep_at", "score_range": (0, float("nan"))}, "finite"),
        ({"score": "drop_keep_at", "score_range": (0, 1, 2)}, "two finite numbers"),
        (
            {"score": "drop_keep_at", "score_range": "01"},
            "must be a sequence of numbers",
        ),
        ({"density": 0.001}, "smallest density that works"),
        ({"density": 50}, "density: must be a number in"),
    ],
)
def test_what_cannot_be_shown_is_refused_by_name(dataset, recalls, arguments, message):
    dataset.apply_drop(density=0.5, recalls=recalls)
    with pytest.raises(DropError, match=message):
        fod.drop_view(dataset, "drop", **arguments)


@pytest.mark.parametrize(
    "read",
    [
        lambda dataset: fod.drop_view(dataset, "drop"),
        lambda dataset: fod.set_density(dataset, "drop", 0.3),
        lambda dataset: fod.compare_drops(dataset, "drop", "other"),
        lambda dataset: fod.score_histogram(dataset, "drop", "score"),
    ],
)
def test_a_run_without_its_order_is_an_error_and_does_not_keep_nothing(dataset, read):
    for key in ("drop", "other"):
        dataset.apply_drop(0.5, rule="proportional", key=key, progress=False)
    dataset.set_values("score", [0.5] * len(dataset))
    dataset.delete_sample_field("drop_keep_at")
    with pytest.raises(fod.DropError, match=r"the field 'drop_keep_at' .+ was deleted"):
        read(dataset)
    assert len(dataset.match(F("drop_kept") == True)) == 150  # noqa: E712


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
