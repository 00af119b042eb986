"""What decides about samples, read from real datasets: amounts, bounds, thresholds, cells."""

import os

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F
from shown import counts, ids
from whole_runs import assert_whole, contents

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning

# -- how much -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 123, 299, 300])
@pytest.mark.parametrize("rule", ["drop", "none"])
def test_a_number_of_samples_is_kept_exactly(dataset, recalls, size, rule):
    plan = fod.plan_drop(dataset, size=size, recalls=recalls, rule=rule)
    assert len(plan.kept_ids) == sum(plan.quotas.values()) == size
    view = dataset.apply_drop(size=size, recalls=recalls, rule=rule)
    assert ids(view) == set(plan.kept_ids)
    assert fod.load_drop(dataset, "drop").config.asked["size"] == size
    for other in (11, 57, 200):
        assert len(fod.set_density(dataset, "drop", size=other)) == other
        assert len(plan.at(size=other).kept_ids) == other
        assert_whole(dataset, ["drop"])


@pytest.mark.parametrize("metadata", [True, False])
def test_as_many_image_files_are_kept_as_fit_into_the_bytes(dataset, recalls, metadata):
    if metadata:
        dataset.compute_metadata()
        dataset.limit(100).set_values("metadata", [None] * 100)  # some are read from the disk
    sizes = {s.id: os.path.getsize(s.filepath) for s in dataset}
    whole = dataset.apply_drop(1.0, recalls=recalls, key="order")
    in_order = whole.sort_by("order_keep_at").values("id")
    for budget in (5_000, 20_001):
        plan = fod.plan_drop(dataset, max_bytes=budget, recalls=recalls)
        kept = set(plan.kept_ids)
        assert kept == set(in_order[: len(kept)])
        total = sum(sizes[i] for i in kept)
        assert total <= budget < total + sizes[in_order[len(kept)]]
        assert f"image files: {total:,} of {sum(sizes.values()):,} bytes are kept" in str(plan)
        assert ids(dataset.apply_drop(max_bytes=budget, recalls=recalls, overwrite=True)) == kept
        assert ids(fod.set_density(dataset, "order", max_bytes=budget)) == kept
        assert plan.at(max_bytes=budget // 2).table.quotas.sum() < len(kept)
        assert (
            fod.plan_drop(dataset, 0.5, recalls=recalls).at(max_bytes=budget).quotas == plan.quotas
        )
    assert_whole(dataset, ["drop", "order"])


def test_bytes_that_nobody_knows_are_refused(dataset, recalls):
    paths = dataset.values("filepath")
    dataset.set_values("filepath", [*paths[:290], *(f"/nowhere/{i}.png" for i in range(10))])
    before = contents(dataset)
    with pytest.raises(DropError, match=r"^max_bytes: the size of 10 of 300 .* '/nowhere/0.png'"):
        dataset.apply_drop(max_bytes=9_000, recalls=recalls)
    assert contents(dataset) == before


def test_too_few_bytes_name_how_many_are_enough(dataset, recalls):
    with pytest.raises(DropError, match=r"^max_bytes: 500 bytes hold \d of 300 .* max_bytes=\d+"):
        dataset.apply_drop(max_bytes=500, recalls=recalls)


# -- which ----------------------------------------------------------------------------------------


@pytest.fixture
def gold(dataset):
    """25 digits that must be kept, as a view, a tag and a boolean field."""
    view = dataset.match(F("ground_truth.label").is_in(["one", "seven"])).limit(25)
    view.tag_samples("gold")
    dataset.set_values("checked", ["gold" in tags for tags in dataset.values("tags")])
    return view


@pytest.mark.parametrize("rule", ["drop", "proportional", "none"])
def test_samples_that_must_be_kept_are_kept_at_every_density(dataset, recalls, gold, rule):
    found = []
    for key, must_keep in (("a", gold), ("b", "gold"), ("c", "checked")):
        view = dataset.apply_drop(0.2, recalls=recalls, must_keep=must_keep, rule=rule, key=key)
        assert ids(gold) <= ids(view)
        assert len(view) == 60
        found.append(ids(view))
    assert found[0] == found[1] == found[2]
    table = fod.load_drop(dataset, "a").table
    assert table.bounds.must_keep.sum() == 25
    for size in (table.bounds.least, 100, 300):
        assert ids(gold) <= ids(fod.set_density(dataset, "a", size=size))
    # Below the floors a view holds them first
    assert ids(fod.drop_view(dataset, "a", 10 / 300)) < ids(gold)
    with pytest.raises(DropError, match="must_keep"):
        fod.set_density(dataset, "a", size=table.bounds.least - 1)
    assert_whole(dataset)


def test_samples_that_must_be_kept_count_inside_the_quota_of_their_class(dataset, gold):
    free = fod.plan_drop(dataset, 0.5, rule="proportional").quotas
    assert fod.plan_drop(dataset, 0.5, rule="proportional", must_keep=gold).quotas == free


def test_what_must_be_kept_is_named_well(dataset, recalls, gold, make_dataset):
    dataset.tag_samples("checked")
    for must_keep, words in [
        ("nowhere", "neither a tag nor a boolean field 'nowhere'"),
        ("checked", "is a boolean field and a tag"),
        (make_dataset(3), "must be a view into"),
        (7, "must be a view, or the name of a tag"),
        (dataset.match_tags("nothing"), "names 0 samples"),
    ]:
        with pytest.raises(DropError, match=words) as caught:
            fod.plan_drop(dataset, 0.5, recalls=recalls, must_keep=must_keep)
        assert caught.value.argument == "must_keep"
    with pytest.raises(DropError, match=r"^size: 20 samples are too few, .* must_keep"):
        fod.plan_drop(dataset, size=20, recalls=recalls, must_keep=gold)
    with pytest.raises(DropError, match=r"^must_keep: has \d+ samples of 'one', .* max_per_class"):
        fod.plan_drop(dataset, 0.1, recalls=recalls, must_keep=gold, max_per_class=3)


def test_caps_floors_and_protected_classes_hold_at_every_density(dataset, recalls):
    sizes = counts(dataset)
    view = dataset.apply_drop(
        0.5,
        recalls=recalls,
        min_per_class={"nine": 20, "one": 5},
        max_per_class=18,
        protect=("three",),
    )
    table = fod.load_drop(dataset, "drop").table
    bounds = table.bounds
    assert len(view) == 150
    for size in (bounds.least, 120, 170, bounds.most):
        found = counts(fod.set_density(dataset, "drop", size=size))
        assert sum(found.values()) == size
        assert found["three"] == sizes["three"]
        assert found["nine"] == 20  # named, and so beyond the cap for all
        assert found["one"] >= 5
        assert max(n for name, n in found.items() if name not in ("three", "nine")) <= 18
        assert_whole(dataset, ["drop"])
    with pytest.raises(DropError, match=r"^density: 1 keeps 300 .* largest density that works is"):
        fod.set_density(dataset, "drop", 1.0)
    # No view of kept samples has one beyond a cap, and the pruned ones are all others
    assert len(fod.drop_view(dataset, "drop", 1.0)) == bounds.most
    assert fod.kept_counts(dataset, "drop", [1.0]).sum() == bounds.most
    assert len(fod.drop_view(dataset, "drop", 1.0, part="pruned")) == 300 - bounds.most
    header = str(table).splitlines()[0]
    assert "at least" in header
    assert "at most" in header


def test_the_hardest_samples_of_all_with_a_cap_for_each_class(dataset):
    hard = np.random.default_rng(1).random(300)
    dataset.set_values("loss", hard.tolist())
    field = dataset.get_field("loss")
    field.info = {"hard": "high"}
    field.save()
    view = dataset.apply_drop(size=80, rule="none", select="loss", max_per_class=10)
    found = counts(view)
    assert max(found.values()) == 10
    # By hand: the hardest first, passing over classes that are full
    taken, expected = {}, []
    for i in np.argsort(-hard):
        label = dataset.values("ground_truth.label")[i]
        if taken.get(label, 0) < 10:
            taken[label] = taken.get(label, 0) + 1
            expected.append(dataset.values("id")[i])
    assert ids(view) == set(expected[:80])
    fod.set_density(dataset, "drop", size=90)
    assert_whole(dataset, ["drop"])


@pytest.mark.filterwarnings("ignore:the quotas may go too far")
def test_quotas_given_by_hand_are_kept_to_the_sample(dataset, recalls):
    quotas = {name: 3 + i for i, name in enumerate(sorted(recalls))}
    view = dataset.apply_drop(quotas=quotas, rule="proportional")
    assert counts(view) == quotas
    some = {"one": 5, "two": 0.5}
    view = dataset.apply_drop(0.4, quotas=some, recalls=recalls, key="some")
    found = counts(view)
    assert len(view) == 120
    assert found["one"] == 5
    assert found["two"] == fod.kept_size(counts(dataset)["two"], 0.5)
    with pytest.raises(DropError, match=r"^allow_empty_classes: nothing would be kept of 'one'"):
        dataset.apply_drop(0.4, quotas={"one": 0}, recalls=recalls, key="none")
    with pytest.raises(DropError, match=r"^density: pass one of"):
        dataset.apply_drop(quotas=some, recalls=recalls, key="none")
    with pytest.raises(DropError, match=r"^size: 100 samples are more than the 75 that quotas"):
        dataset.apply_drop(size=100, quotas=quotas, rule="proportional", key="none")


def test_weights_given_by_hand_need_no_recalls_and_no_rule(dataset, recalls):
    weights = dict.fromkeys(recalls, 1) | {"one": 3}
    view = dataset.apply_drop(size=60, weights=weights)
    assert counts(view) == dict.fromkeys(recalls, 5) | {"one": 15}
    run = fod.load_drop(dataset, "drop")
    assert run.config.rule == "weights"
    assert ["one", 3] in run.config.asked["weights"]
    assert "rule 'weights' (class weights given by hand)" in str(
        fod.plan_drop(dataset, 0.5, weights=weights)
    )
    with pytest.raises(DropError, match=r"^weights: must name every class"):
        fod.plan_drop(dataset, 0.5, weights={"one": 1})
    with pytest.raises(DropError, match=r"^weights: .* leave rule='balanced' out"):
        fod.plan_drop(dataset, 0.5, weights=weights, rule="balanced")


@pytest.fixture
def scored(dataset):
    """300 digits with an AUM; that of 30 is below 0, and 10 have none."""
    values = np.linspace(-1, 9, 300)
    dataset.set_values("aum", [None if 40 <= i < 50 else float(v) for i, v in enumerate(values)])
    return dataset


@pytest.mark.filterwarnings("ignore::fiftyone_drop.errors.DropWarning")
def test_suspects_leave_before_quotas_are_cut(scored, recalls):
    suspects = scored.match((F("aum") > -9) & (F("aum") < 0))  # nothing is below every number
    plan = fod.plan_drop(scored, 0.5, recalls=recalls, drop_below={"aum": 0})
    assert plan.left_out == len(suspects) == 30
    assert len(plan.kept_ids) == fod.kept_size(270, 0.5)
    assert "left out of the run: 30 samples (aum < 0)" in str(plan)
    clean = scored.exclude(suspects)
    assert plan.quotas == fod.plan_drop(clean, 0.5, recalls=recalls).quotas
    assert set(plan.kept_ids) == set(fod.plan_drop(clean, 0.5, recalls=recalls).kept_ids)
    view = scored.apply_drop(1.0, recalls=recalls, drop_below={"aum": 0}, drop_above={"aum": 8})
    values = [value for value in view.values("aum") if value is not None]
    assert 0 <= min(values) < max(values) <= 8
    assert len(view) == 300 - 30 - 30
    run = fod.load_drop(scored, "drop")
    assert run.config.found["left_out"] == 60
    assert run.config.asked["drop_below"] == [["aum", 0.0]]


def test_samples_without_a_value_stay_and_that_is_said(scored, recalls):
    with pytest.warns(DropWarning, match="10 samples have no value in 'aum', so drop_below leaves"):
        plan = fod.plan_drop(scored, 1.0, recalls=recalls, drop_below={"aum": 0})
    assert len(plan.kept_ids) == 270


@pytest.mark.filterwarnings("ignore::fiftyone_drop.errors.DropWarning")
def test_what_must_be_kept_and_protected_classes_are_no_suspects(scored, recalls):
    suspects = scored.match((F("aum") > -9) & (F("aum") < 0))  # nothing is below every number
    gold = suspects.limit(4)
    view = scored.apply_drop(
        0.9, recalls=recalls, drop_below={"aum": 0}, must_keep=gold, protect=["three"]
    )
    assert ids(gold) <= ids(view)
    assert counts(view)["three"] == counts(scored)["three"]
    rest = view.match((F("ground_truth.label") != "three") & (F("aum") > -9) & (F("aum") < 0))
    assert ids(rest) <= ids(gold)


@pytest.mark.filterwarnings("ignore::fiftyone_drop.errors.DropWarning")
def test_a_class_of_suspects_alone_is_named(scored, recalls):
    of_one = scored.match(F("ground_truth.label") == "one")
    of_one.set_values("aum", [-1.0] * len(of_one))
    arguments = {"rule": "proportional", "drop_below": {"aum": 0}}
    with pytest.raises(
        DropError, match=r"^drop_above: leaves nothing of .* \(aum < -99, aum > -98\)"
    ):
        fod.plan_drop(
            scored, 0.5, rule="proportional", drop_below={"aum": -99}, drop_above={"aum": -98}
        )
    with pytest.raises(DropError, match=r"^drop_below: leaves nothing of 'one' \(aum < 0\)"):
        fod.plan_drop(scored, 0.5, **arguments)
    plan = fod.plan_drop(scored, 0.5, allow_empty_classes=True, **arguments)
    assert "one" not in plan.table.classes
    limits = {"min_per_class": {"one": 1, "two": 9}, "max_per_class": {"one": 5}}
    limited = fod.plan_drop(scored, 0.2, allow_empty_classes=True, **arguments, **limits)
    assert limited.quotas["two"] >= 9
    weights = dict.fromkeys(counts(scored), 1)
    arguments["rule"] = "drop"
    fod.plan_drop(scored, 0.5, allow_empty_classes=True, weights=weights, **arguments)
    with pytest.raises(DropError, match=r"^quotas: 'zebra' is no class"):
        fod.plan_drop(scored, 0.5, allow_empty_classes=True, quotas={"zebra": 1}, **arguments)


def test_thresholds_name_number_fields(dataset, recalls):
    for value, words in [
        ({"name": 1}, "must be the name of a number field"),
        ({"aum": "x"}, "must be a finite number"),
        (0.5, "must be a mapping from score field to number"),
    ]:
        with pytest.raises(DropError, match=words) as caught:
            fod.plan_drop(dataset, 0.5, recalls=recalls, drop_above=value)
        assert caught.value.argument == "drop_above"


# -- labels and cells -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("number", lambda i: i % 12),
        ("flag", lambda i: i % 3 == 0),
    ],
)
@pytest.mark.filterwarnings("ignore:the quotas may go too far")
def test_integers_and_booleans_are_labels(dataset, field, values):
    dataset.set_values(field, [values(i) for i in range(300)])
    names = sorted({str(values(i)) for i in range(300)})
    recalls = {name: 0.5 + 0.4 * k / len(names) for k, name in enumerate(names)}
    view = dataset.apply_drop(0.5, label_field=field, recalls=recalls)
    run = fod.load_drop(dataset, "drop")
    assert list(run.table.classes) == names
    found = {str(name): n for name, n in view.count_values(field).items()}
    assert found == run.table.by_class("quotas")
    for name in names:
        of_class = fod.drop_view(dataset, "drop", class_name=name)
        assert len(of_class) == found[name]
    # Keys of the labels' own type name classes too
    first = values(0)
    more = dataset.apply_drop(
        0.5, label_field=field, recalls=recalls, protect=[first], key="protected"
    )
    assert more.count_values(field)[first] == dataset.count_values(field)[first]
    assert fod.compare_drops(dataset, "drop", "protected").kept_by_both.sum() > 0


@pytest.mark.filterwarnings("ignore::fiftyone_drop.errors.DropWarning")
def test_integers_are_predicted_and_measured(dataset, few_steps):
    dataset.set_values("number", [i % 2 for i in range(300)])
    dataset.set_values("guess", [(i % 2) if i % 5 else 1 for i in range(300)])
    recalls = fod.plan_drop(
        dataset[:200],
        0.5,
        label_field="number",
        validation=dataset[200:],
        pred_field="guess",
        smoothing=0,
    ).recalls
    assert recalls == {"0": 0.8, "1": 1.0}
    dataset.apply_drop(0.5, label_field="number", folds=2)
    assert fod.load_drop(dataset, "drop").recalls.keys() == {"0", "1"}


def test_several_fields_divide_a_class_into_cells(dataset):
    dataset.set_values("night", [i % 4 == 0 for i in range(300)])
    groups = ["parity", "night"]
    view = dataset.apply_drop(0.5, rule="balanced", group_by=groups)
    run = fod.load_drop(dataset, "drop")
    assert run.config.group_by == ("parity", "night")
    assert all(len(name) == 3 for name in run.table.classes)
    columns = view.values(["ground_truth.label", "parity", "night"])
    kept = [(label, parity, str(night)) for label, parity, night in zip(*columns, strict=True)]
    found = run.table.by_class("quotas")
    assert {cell: kept.count(cell) for cell in found} == found
    cell = ("one", "even", "True")
    shown = fod.drop_view(dataset, "drop", class_name=cell)
    assert len(shown) == found[cell]
    assert len(fod.drop_view(dataset, "drop", class_name="one / even / True")) == found[cell]
    moved = fod.set_density(dataset, "drop", 0.3)
    assert len(moved) == 90
    recalls = dict.fromkeys(found, 0.5) | {cell: 0.1}
    plan = fod.plan_drop(
        dataset, 0.5, recalls=recalls, group_by=groups, min_per_class={"two": 3}, protect=[cell]
    )
    assert plan.quotas[cell] == run.table.by_class("sizes")[cell]
    grouped_once = dataset.apply_drop(0.5, rule="balanced", group_by=["parity"], key="once")
    assert len(grouped_once) == 150
    assert fod.load_drop(dataset, "once").config.group_by == "parity"
    assert len(fod.compare_drops(dataset, "drop", "once").classes) == 10
    for value in ([], ["parity", "parity"], ["parity", "nowhere"], 3):
        with pytest.raises(DropError, match=r"^group_by:"):
            fod.plan_drop(dataset, 0.5, rule="balanced", group_by=value)


def test_recalls_are_measured_in_cells_of_several_fields(dataset, predict):
    dataset.set_values("night", [i % 4 == 0 for i in range(300)])
    predict(dataset, eval_key="ev")
    with pytest.warns(DropWarning):
        plan = fod.plan_drop(dataset, 0.5, eval_key="ev", group_by=("parity", "night"), smoothing=0)
    right = dataset.match(F("ground_truth.label") == F("predictions.label"))
    cell = ("two", "odd", "False")
    here = [F("ground_truth.label") == "two", F("parity") == "odd", F("night") == False]  # noqa: E712
    for some in here:
        right = right.match(some)
    support = plan.table.by_class("support")[cell]
    assert plan.recalls[cell] == pytest.approx(len(right) / support)


# -- again ----------------------------------------------------------------------------------------


def test_an_order_by_filepath_survives_importing_the_same_files_twice(make_dataset, recalls):
    kept = []
    for rows in (range(300), reversed(range(300))):
        dataset = make_dataset(rows=list(rows))
        view = dataset.apply_drop(0.5, recalls=recalls, order_by="filepath")
        kept.append(set(view.values("filepath")))
        assert kept[0] != set(dataset.apply_drop(0.5, recalls=recalls, key="x").values("filepath"))
    assert kept[0] == kept[1]


def test_samples_are_ordered_by_a_string_field_that_all_have(dataset, recalls):
    dataset.set_values("md5", [f"{i:05d}" for i in range(300)])
    assert len(dataset.apply_drop(0.5, recalls=recalls, order_by="md5")) == 150
    dataset[:2].set_values("md5", [None, None])
    with pytest.raises(DropError, match=r"^order_by: 2 of 300 samples have no value in 'md5'"):
        dataset.apply_drop(0.5, recalls=recalls, order_by="md5", key="other")
    with pytest.raises(DropError, match=r"^order_by: must be 'id', 'filepath' or another string"):
        dataset.apply_drop(0.5, recalls=recalls, order_by="number", key="other")


@pytest.mark.filterwarnings("ignore:the quotas may go too far")
def test_the_record_of_everything_is_plain_and_survives(dataset, recalls, gold):
    dataset.set_values("aum", [1.0] * 300)
    dataset.apply_drop(
        size=150,
        recalls=recalls,
        must_keep="gold",
        min_per_class={"one": 3},
        max_per_class={"two": 9},
        protect=("three",),
        quotas={"four": 0.5, "five": 4},
        drop_below={"aum": 0},
        group_by=None,
        order_by="filepath",
    )
    dataset.reload()
    asked = fod.load_drop(dataset, "drop").config.asked
    assert asked["quotas"] == [["four", 0.5], ["five", 4]]
    assert asked["min_per_class"] == [["one", 3]]
    assert asked["protect"] == ["three"]
    assert (asked["must_keep"], asked["order_by"]) == ("gold", "filepath")
    again = fo.load_dataset(dataset.name)
    table = fod.load_drop(again, "drop").table
    assert table.bounds.caps_by == ("quotas", "max_per_class")
    assert fod.report(again, "drop").title
    assert_whole(again, ["drop"])
