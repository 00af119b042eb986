"""A plan: what each density keeps, decided before anything is written."""

import numpy as np
import pytest
from fiftyone import ViewField as F
from shown import counts, ids

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.plan import kept_samples


def test_a_plan_writes_nothing_and_applies_without_computing_again(dataset, recalls, monkeypatch):
    before = dataset.get_field_schema().keys()
    plan = fod.plan_drop(dataset, 0.5, recalls=recalls)
    assert dataset.get_field_schema().keys() == before
    assert dataset.list_runs() == dataset.list_saved_views() == []
    monkeypatch.setattr("fiftyone_drop.target.read_population", None)
    view = plan.apply(key="mine")
    assert ids(view) == set(plan.kept_ids)
    assert fod.load_drop(dataset, "mine").recalls == plan.recalls == recalls
    assert str(plan.table) in str(plan)


@pytest.mark.parametrize("rule", ["drop", "drop-unweighted", "proportional", "balanced", "none"])
def test_the_stored_field_counts_to_the_class_table_at_every_density(dataset, recalls, rule):
    plan = fod.plan_drop(dataset, 0.5, recalls=recalls, rule=rule)
    plan.apply()
    for density in (0.1, 0.25, 0.333, 0.5, 0.8, 1.0):
        counted = counts(fod.drop_view(dataset, "drop", density))
        table = plan.at(density).table
        expected = dict(zip(table.classes, table.quotas.tolist(), strict=True))
        assert counted == {name: n for name, n in expected.items() if n}


@pytest.mark.filterwarnings("ignore:the quotas may go too far")
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


def test_the_view_that_is_returned_keeps_the_stages_of_the_target(dataset, recalls):
    target = dataset.select_fields("ground_truth").sort_by("filepath", reverse=True)
    view = target.apply_drop(density=0.5, recalls=recalls)
    assert len(view) == 150
    files = view.values("filepath")
    assert files == sorted(files, reverse=True)
    assert "parity" not in view.get_field_schema()


@pytest.mark.parametrize("rule", ["drop", "none"])
def test_a_plan_at_another_density_is_the_plan_of_that_density(dataset, recalls, rule):
    given = {"recalls": recalls, "rule": rule, "min_per_class": 2}
    plan, other = (fod.plan_drop(dataset, density, **given) for density in (0.5, 0.3))
    moved = plan.at(0.3)
    assert (moved.density, moved.quotas) == (0.3, other.quotas)
    assert moved.kept_ids == other.kept_ids
    assert moved.options == other.options
    assert str(moved) == str(other)
    assert plan.density == 0.5


@pytest.mark.parametrize(
    ("density", "message"),
    [(0, "density: must be"), (0.01, "smallest density that works"), (True, "got True")]
    + [(0.05, "nothing would be kept of 'zero'")],
)
def test_a_plan_cannot_be_moved_to_a_density_that_keeps_too_little(
    dataset, recalls, density, message
):
    floor = 0 if density == 0.05 else 1
    nearly = recalls | {"zero": 0.99}
    plan = fod.plan_drop(dataset, 0.9, recalls=nearly, min_per_class=floor)
    with pytest.raises(DropError, match=message):
        plan.at(density)


def test_a_plan_says_how_it_was_made(dataset, recalls):
    plan = fod.plan_drop(dataset, 0.5, recalls=recalls)
    first, second, *table = str(plan).splitlines()
    assert first.startswith("DRoP plan: density 0.5, rule 'drop' (")
    assert second == "recalls: given"
    assert "\n".join(table) == str(plan.table)
    assert repr(plan) == str(plan)


def test_the_kept_samples_of_a_view_keep_its_stages_in_order(dataset):
    dataset.set_values("order", [0.25 if i % 2 == 0 else 0.75 for i in range(300)])
    view = dataset.sort_by("filepath", reverse=True).exclude_fields("order").limit(20)
    kept = kept_samples(view, "order", 0.5)
    assert kept.values("filepath") == sorted(kept.values("filepath"), reverse=True)
    assert kept.values("id") == [i for i in view.values("id") if dataset[i].order < 0.5]
    assert "order" not in kept.get_field_schema()
    assert len(kept_samples(dataset, "order", 0.5)) == 150
