"""Drafts: what a run would keep if it were made otherwise, before anything is written."""

import fiftyone as fo
import numpy as np
import pytest

import fiftyone_drop as fod
from fiftyone_drop import DropError, drafts
from fiftyone_drop.drafts import KINDS, draft_of, draft_of_run

DENSITY = 0.4


@pytest.fixture
def pruned(dataset, recalls):
    dataset.apply_drop(DENSITY, recalls=recalls, min_per_class=2)
    return dataset


@pytest.fixture
def draft(pruned):
    return draft_of_run(pruned, "drop")


def named(table, limits):
    return {table.classes[k]: limit for k, limit in limits.items()}


LIMITS = {0: ("all", 0), 2: ("least", 20), 4: ("most", 3), 6: ("exactly", 7)}


def test_the_draft_of_a_run_keeps_the_samples_of_the_run(pruned, draft):
    plan, run = draft.plan(DENSITY), fod.load_drop(pruned, "drop")
    assert sorted(plan.kept_ids) == sorted(fod.drop_view(pruned, "drop").values("id"))
    np.testing.assert_array_equal(plan.table.quotas, run.table.quotas)
    np.testing.assert_array_equal(
        draft.counts_at([0.2, DENSITY, 1]), fod.kept_counts(pruned, "drop", [0.2, DENSITY, 1])
    )


def test_a_draft_has_its_limits_and_the_total_stays(draft):
    table = draft.limited(named(draft.table, LIMITS)).plan(DENSITY).table
    assert table.quotas.sum() == 120
    assert table.quotas[0] == table.sizes[0]
    assert table.quotas[2] >= 20
    assert table.quotas[4] <= 3
    assert table.quotas[6] == 7
    assert table.quotas.min() >= 2  # the floor of the run
    np.testing.assert_array_equal(
        draft.limited({}).counts_at([DENSITY]), draft.counts_at([DENSITY])
    )


def test_the_run_of_a_draft_keeps_what_the_draft_says_and_can_be_moved(pruned, draft):
    drawn = draft.limited(named(draft.table, LIMITS))
    plan = drawn.plan(DENSITY)
    plan.apply("second", progress=False)
    made = fod.load_drop(pruned, "second")
    np.testing.assert_array_equal(made.table.quotas, plan.table.quotas)
    np.testing.assert_array_equal(made.table.quotas_at([0.5, 0.7]), drawn.counts_at([0.5, 0.7]))
    assert sorted(fod.drop_view(pruned, "second").values("id")) == sorted(plan.kept_ids)
    assert fod.verify_drop(pruned, "second").unchanged


@pytest.mark.parametrize("rule", ["drop-unweighted", "proportional", "balanced", "none"])
def test_another_rule_keeps_what_a_plan_of_that_rule_keeps(pruned, draft, recalls, rule):
    drawn = draft.changed(rule=rule)
    source = {} if rule in ("proportional", "balanced", "none") else {"recalls": recalls}
    plan = fod.plan_drop(pruned, 0.5, rule=rule, min_per_class=2, **source)
    assert sorted(drawn.plan(0.5).kept_ids) == sorted(plan.kept_ids)
    np.testing.assert_array_equal(drawn.counts_at([0.5])[0], plan.table.quotas)


@pytest.mark.parametrize("hard", ["high", "low"])
def test_the_hardest_of_a_class_come_first_however_many_there_are(pruned, monkeypatch, hard):
    monkeypatch.setattr(drafts, "MOST_SHOWN", 5)
    rng = np.random.default_rng(0)
    for name in ("el2n", "aum"):
        pruned.add_sample_field(name, fo.FloatField, info={"hard": hard})
        pruned.set_values(name, rng.normal(size=300).tolist())
    draft = draft_of_run(pruned, "drop").changed(select="el2n")
    kept = set(draft.plan(DENSITY).kept_ids)
    for name in ("el2n", "aum"):  # one that the draft has read, and one that it has not
        mine = pruned.match(fo.ViewField("ground_truth.label") == "one").values(["id", name])
        rows = sorted(zip(*mine, strict=True), key=lambda row: row[1], reverse=hard == "high")
        for part in ("kept", "pruned"):
            hardest = [i for i, _ in rows if (i in kept) == (part == "kept")][:5]
            assert draft.view(DENSITY, part, "one", name).values("id") == hardest


def test_another_score_selects_other_samples_of_the_same_quotas(pruned, draft):
    scores = np.random.default_rng(0).normal(size=300).tolist()
    pruned.add_sample_field("el2n", fo.FloatField, info={"hard": "high"})
    pruned.set_values("el2n", scores)
    plan = draft.changed(select="el2n", keep="easiest").plan(DENSITY)
    np.testing.assert_array_equal(plan.table.quotas, draft.plan(DENSITY).table.quotas)
    value = dict(zip(pruned.values("id"), scores, strict=True))
    label = dict(zip(pruned.values("id"), pruned.values("ground_truth.label"), strict=True))
    kept = set(plan.kept_ids)
    for name in draft.table.classes:
        mine = [i for i in label if label[i] == name]
        assert max(value[i] for i in mine if i in kept) < min(
            value[i] for i in mine if i not in kept
        )


@pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")
def test_recalls_of_an_evaluation_and_of_a_run_are_measured_ones(pruned, draft, predict):
    predict(pruned, eval_key="val")
    with pytest.warns(fod.DropWarning, match="also in the target view"):
        measured = draft.changed(eval_key="val")
    assert "also in the target view" in " ".join(measured.warnings)
    with pytest.warns(fod.DropWarning):
        plan = fod.plan_drop(pruned, 0.5, eval_key="val", min_per_class=2)
    np.testing.assert_array_equal(measured.table.recalls, plan.table.recalls)
    plan.apply("second", progress=False)
    again = draft.with_recalls_of("second")
    np.testing.assert_array_equal(again.table.support, plan.table.support)
    assert again.recalls.source == plan.recalls_from
    assert not np.array_equal(again.table.recalls, draft.table.recalls)


def test_chosen_samples_are_kept_at_every_density_and_others_left_out(pruned, draft):
    pruned_ids = fod.drop_view(pruned, "drop", part="pruned").values("id")
    keep, leave = pruned_ids[:4], pruned_ids[4:10]
    drawn = draft.without(leave).keeping(keep)
    assert len(drawn.population) == 294
    for density in (0.1, DENSITY):
        kept = set(drawn.plan(density).kept_ids)
        assert kept >= set(keep)
        assert not kept & set(leave)
    drawn.plan(DENSITY).apply("second", progress=False)
    assert set(fod.drop_view(pruned, "second").values("id")) == kept
    # A draft of that run knows both still
    again = draft_of_run(pruned, "second")
    assert len(again.population) == 294
    assert set(again.plan(0.1).kept_ids) >= set(keep)


def test_a_class_that_is_left_out_as_a_whole_is_gone_and_its_limit_with_it(pruned, draft):
    ids = pruned.match(fo.ViewField("ground_truth.label") == "one").values("id")
    drawn = draft.without(ids).limited({"one": ("all", 0), "two": ("exactly", 3)})
    assert "one" not in drawn.table.classes
    assert drawn.plan(DENSITY).quotas["two"] == 3
    with pytest.raises(DropError, match="no sample is left"):
        draft.without(pruned.values("id"))


def test_a_limit_of_the_run_on_a_class_that_is_left_out_as_a_whole_has_no_effect(pruned):
    pruned.apply_drop(DENSITY, rule="proportional", quotas={"one": 3}, key="k", progress=False)
    ids = pruned.match(fo.ViewField("ground_truth.label") == "one").values("id")
    drawn = draft_of_run(pruned, "k").without(ids)
    for again in (drawn, drawn.changed(rule="balanced"), drawn.changed(order_by="name")):
        assert "one" not in again.plan(DENSITY).quotas


def test_another_rule_takes_the_place_of_weights_given_by_hand(pruned, recalls):
    weights = {name: 1 + 9 * (name == "two") for name in recalls}
    pruned.apply_drop(DENSITY, weights=weights, key="w", progress=False)
    draft = draft_of_run(pruned, "w")
    for rule in ("balanced", "proportional"):
        other = fod.plan_drop(pruned, DENSITY, rule=rule)
        assert draft.changed(rule=rule).plan(DENSITY).quotas == other.quotas
    drop = draft.with_recalls_of("drop", rule="drop", min_per_class=2)
    assert drop.plan(DENSITY).quotas == fod.load_drop(pruned, "drop").table.by_class("quotas")
    back = draft.changed(rule="balanced").changed(weights=weights)
    assert back.plan(DENSITY).quotas == fod.load_drop(pruned, "w").table.by_class("quotas")


def test_a_draft_without_a_run_begins_with_the_arguments_of_apply_drop(dataset, recalls):
    draft = draft_of(dataset, recalls=recalls)
    assert sorted(draft.plan(0.3).kept_ids) == sorted(
        fod.plan_drop(dataset, 0.3, recalls=recalls).kept_ids
    )
    assert fod.list_drops(dataset) == []


def test_what_cannot_be_kept_is_said_of_its_class(draft):
    name, size = draft.table.names[3], int(draft.table.sizes[3])
    with pytest.raises(DropError, match=rf"'{name}' {size + 1} samples cannot .* has {size}"):
        draft.limited({name: ("exactly", size + 1)})
    everything = {draft.table.classes[k]: (KINDS[0], 0) for k in range(8)}
    with pytest.raises(DropError, match="density"):
        draft.limited(everything).plan(DENSITY)


@pytest.mark.parametrize("limit", [("some", 1), ("least", -1)])
def test_a_limit_that_is_none_is_refused(draft, limit):
    with pytest.raises(DropError, match="limits"):
        draft.limited({"one": limit})


def test_a_class_without_a_recall_is_named(pruned, draft, make_dataset):
    labels = pruned.values("ground_truth.label")
    pruned.set_values("ground_truth.label", ["new" if x == "one" else x for x in labels])
    with pytest.raises(DropError, match=r"none of 'new'|none of \['new'\]"):
        draft_of(pruned, rule="proportional").with_recalls_from(draft)


def test_a_draft_knows_another_by_the_classes_of_its_samples(pruned, draft):
    assert draft.has_classes_of(draft_of(pruned.sort_by("filepath", reverse=True), rule="none"))
    assert not draft.has_classes_of(draft_of(pruned[1:], rule="none"))
    labels = pruned.values("ground_truth.label")
    one, two = labels.index("one"), labels.index("two")
    labels[one], labels[two] = "two", "one"
    pruned.set_values("ground_truth.label", labels)
    assert not draft.has_classes_of(draft_of(pruned, rule="none"))


def test_a_run_without_recalls_gives_none(pruned, draft):
    pruned.apply_drop(DENSITY, rule="balanced", key="even", progress=False)
    with pytest.raises(DropError, match="'even', which has none"):
        draft.with_recalls_of("even")


def test_the_draft_of_a_run_of_a_manifest_has_the_samples_of_the_run(
    pruned, make_dataset, tmp_path
):
    pruned[:100].apply_drop(0.4, key="part", rule="proportional")
    other = make_dataset()
    fod.load_manifest(other, fod.save_manifest(pruned, "part", tmp_path / "part.parquet"))
    assert len(draft_of_run(other, "part").population) == 100
