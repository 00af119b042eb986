"""``extend_drop``: the dataset has grown; what was kept stays kept, and new samples get places."""

import itertools

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F
from shown import counts, ids
from whole_runs import assert_whole, contents

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning, run_changes
from fiftyone_drop.drafts import draft_of_run


@pytest.fixture
def grows(make_dataset, new_samples):
    """200 digits, and a function that adds some of the other 100 with a tag of their own."""
    dataset = make_dataset(200)

    def grow(rows, tag="more"):
        samples = new_samples(rows)
        for sample in samples:
            sample.tags = [tag]
        dataset.add_samples(samples, progress=False)
        return dataset.match_tags(tag)

    return dataset, grow


@pytest.mark.parametrize("rule", ["drop", "proportional", "balanced", "none"])
@pytest.mark.parametrize("density", [0.2, 0.5])
def test_what_was_kept_stays_kept_and_new_samples_get_their_places(grows, recalls, rule, density):
    dataset, grow = grows
    before = ids(dataset.apply_drop(density, recalls=recalls, rule=rule))
    more = grow(range(200, 300))
    view = fod.extend_drop(dataset, "drop", more)
    assert before <= ids(view)
    assert len(view) == fod.kept_size(300, density)
    assert ids(view) & ids(more)
    run = fod.load_drop(dataset, "drop")
    assert run.density == density
    assert run.config.found["extended_by"] == 100
    assert run.config.asked["rule"] == rule
    assert_whole(dataset, ["drop"])
    if rule != "none":
        assert counts(view) == run.table.by_class("quotas")
        assert run.table.by_class("sizes") == counts(dataset)
        for other in (0.1, 0.3, 0.7, 1.0):
            kept = counts(fod.drop_view(dataset, "drop", other))
            quotas = fod.kept_counts(dataset, "drop", [other])[0]
            assert [kept.get(name, 0) for name in run.table.classes] == quotas.tolist()


@pytest.mark.filterwarnings("ignore:the class recalls")
@pytest.mark.parametrize(("source", "query"), [(None, "closed-form"), ("val", None)])
def test_where_the_recalls_are_from_stays_in_the_record(grows, predict, source, query):
    dataset, grow = grows
    predict(dataset[100:], eval_key="val")
    dataset[:100].apply_drop(0.5, label_field="ground_truth", eval_key=source)
    before = fod.load_drop(dataset, "drop").config
    fod.extend_drop(dataset, "drop", grow(range(200, 300)))
    after = fod.load_drop(dataset, "drop").config
    assert before.asked["query"] == after.asked["query"] == query
    assert before.recalls_from == after.recalls_from


def test_an_extended_run_moves_both_ways_and_stays_nested(grows, recalls):
    dataset, grow = grows
    before = ids(dataset.apply_drop(0.5, recalls=recalls))
    fod.extend_drop(dataset, "drop", grow(range(200, 300)))
    kept = [ids(fod.set_density(dataset, "drop", d)) for d in (0.1, 0.3, 0.5, 0.8, 1.0)]
    assert all(smaller < larger for smaller, larger in itertools.pairwise(kept))
    assert kept[1] < before < kept[2]  # moved down, it keeps of the samples of before first
    assert_whole(dataset, ["drop"])


def test_a_run_is_extended_again_and_again(grows, recalls):
    dataset, grow = grows
    kept = ids(dataset.apply_drop(0.4, recalls=recalls, min_per_class=3))
    for i in range(4):
        rows = range(200 + 25 * i, 225 + 25 * i)
        view = fod.extend_drop(dataset, "drop", grow(rows, f"batch{i}"))
        assert kept <= ids(view)
        kept = ids(view)
    assert len(kept) == fod.kept_size(300, 0.4)
    assert fod.load_drop(dataset, "drop").config.found["extended_by"] == 100
    assert min(counts(view).values()) >= 3


def test_a_run_that_is_extended_by_all_differs_little_from_a_run_of_all(grows, recalls):
    """In its quotas only as far as what was kept must stay."""
    dataset, grow = grows
    dataset.apply_drop(0.5, recalls=recalls)
    view = fod.extend_drop(dataset, "drop", grow(range(200, 300)))
    whole = dataset.apply_drop(0.5, recalls=recalls, key="whole")
    ours, theirs = counts(view), counts(whole)
    assert sum(abs(ours[name] - theirs[name]) for name in theirs) <= 12
    assert len(ids(view) & ids(whole)) > 130


def test_bounds_and_samples_that_must_be_kept_hold_after_an_extension(grows, recalls):
    dataset, grow = grows
    gold = dataset.match(F("ground_truth.label") == "seven").limit(9)
    bounds = {"max_per_class": 25, "protect": ("three",), "min_per_class": {"nine": 12}}
    dataset.apply_drop(0.5, recalls=recalls, must_keep=gold, **bounds)
    view = fod.extend_drop(dataset, "drop", grow(range(200, 300)), size=150)
    found = counts(view)
    assert found["three"] == counts(dataset)["three"]
    assert found["nine"] >= 12
    assert max(n for name, n in found.items() if name != "three") <= 25
    run = fod.load_drop(dataset, "drop")
    least = run.table.bounds.least
    assert ids(gold) <= ids(fod.set_density(dataset, "drop", size=least))
    assert run.config.asked["max_per_class"] == 25
    assert run.config.asked["must_keep"].startswith("a view with the stages")


def test_a_tag_that_must_be_kept_and_thresholds_count_for_new_samples_too(grows):
    dataset, grow = grows
    dataset.set_values("aum", np.linspace(-1, 9, 200).tolist())
    dataset.limit(5).tag_samples("gold")
    arguments = {"must_keep": "gold", "drop_below": {"aum": 0}, "rule": "proportional"}
    dataset.apply_drop(0.3, **arguments)
    more = grow(range(200, 250))
    more.set_values("aum", [-5.0] * 20 + [5.0] * 30)
    golden = more.skip(45)
    golden.tag_samples("gold")
    view = fod.extend_drop(dataset, "drop", more)
    assert ids(golden) <= ids(view)
    assert ids(dataset.match_tags("gold")) <= ids(view)
    assert not ids(view) & ids(more.limit(20))
    assert dataset.match(F("drop_keep_at") > 0).match(F("aum") < 0).distinct("tags") == [
        "gold",
        "train",
    ]
    assert fod.load_drop(dataset, "drop").config.found["left_out"] == 15 + 20


@pytest.mark.filterwarnings("ignore::fiftyone_drop.errors.DropWarning")
def test_predictions_and_the_evaluation_of_the_run_stay_its_own(grows, few_steps, monkeypatch):
    dataset, grow = grows
    dataset.apply_drop(0.5, folds=2)
    before = dict(zip(*dataset.values(["id", "drop_pred.label"]), strict=True))
    recalls = fod.load_drop(dataset, "drop").recalls
    monkeypatch.setattr("fiftyone_drop.training.cross_validate", None)  # nothing is trained again
    fod.extend_drop(dataset, "drop", grow(range(200, 260)))
    after = dict(zip(*dataset.values(["id", "drop_pred.label"]), strict=True))
    assert {i: label for i, label in after.items() if label is not None} == before
    assert fod.load_drop(dataset, "drop").recalls == recalls
    assert dataset.load_evaluation_results("drop_eval") is not None
    assert_whole(dataset, ["drop"])
    fod.delete_drop(dataset, "drop")
    assert "drop_pred" not in dataset.get_field_schema()


@pytest.mark.filterwarnings("ignore:the class recalls")
def test_predictions_of_string_labels_stay_the_texts_that_they_are(grows, few_steps):
    dataset, grow = grows
    dataset.apply_drop(0.5, label_field="name", holdout=0.5)
    before = dict(zip(*dataset.exists("drop_pred").values(["id", "drop_pred"]), strict=True))
    fod.extend_drop(dataset, "drop", grow(range(200, 230)))
    after = dict(zip(*dataset.exists("drop_pred").values(["id", "drop_pred"]), strict=True))
    assert after == before


def test_a_class_that_only_new_samples_have_needs_a_recall(grows, recalls):
    dataset, grow = grows
    dataset.apply_drop(0.5, recalls=recalls)
    more = grow(range(200, 230))
    more.limit(3).set_values("ground_truth", [fo.Classification(label="zebra")] * 3)
    before = contents(dataset)
    with pytest.raises(DropError, match=r"^missing_recall: .* no recall of 'zebra'.* pass missing"):
        fod.extend_drop(dataset, "drop", more)
    assert contents(dataset) == before
    view = fod.extend_drop(dataset, "drop", more, missing_recall=0.1)
    assert counts(view)["zebra"] >= 1
    assert fod.load_drop(dataset, "drop").recalls["zebra"] == 0.1


def test_a_class_to_which_samples_of_the_run_were_relabelled_is_not_taken_for_a_new_one(
    grows, recalls
):
    dataset, grow = grows
    dataset.apply_drop(0.5, recalls=recalls)
    more = grow(range(200, 230))
    ones = dataset.match(F("ground_truth.label") == "one")
    ones.set_field("ground_truth.label", "One").save("ground_truth")
    words = r"no recall of 'One', to which samples of it were relabelled: fod.verify_drop"
    with pytest.raises(DropError, match=f"^key: .*{words}"):
        fod.extend_drop(dataset, "drop", more)
    with pytest.warns(DropWarning, match=f"{words}.*they get missing_recall=0.1"):
        fod.extend_drop(dataset, "drop", more, missing_recall=0.1)
    assert "relabelled" in fod.load_drop(dataset, "drop").config.warnings[-1]


def test_new_samples_whose_view_shows_other_labels_are_refused_with_a_way_that_works(
    grows, recalls
):
    dataset, grow = grows
    dataset.apply_drop(0.5, recalls=recalls)
    more = grow(range(200, 300))
    shown = more.map_labels("ground_truth", {"one": "two"})
    with pytest.raises(DropError, match=r"^new_samples: the view changes .*view.save\('ground_tru"):
        fod.extend_drop(dataset, "drop", shown)
    hides = shown.exclude_fields("ground_truth")  # shows no labels at all
    assert len(fod.extend_drop(dataset, "drop", hides.limit(10))) == 105
    shown.save("ground_truth")
    fod.extend_drop(dataset, "drop", shown)
    assert fod.load_drop(dataset, "drop").table.by_class("sizes") == counts(dataset)


def test_another_amount_is_taken_if_it_holds_what_was_kept(grows, recalls):
    dataset, grow = grows
    dataset.apply_drop(size=100, recalls=recalls)
    more = grow(range(200, 300))
    with pytest.raises(DropError, match=r"^size: 80 samples are too few, .* what was kept before"):
        fod.extend_drop(dataset, "drop", more, size=80)
    assert len(fod.extend_drop(dataset, "drop", more, size=120)) == 120
    config = fod.load_drop(dataset, "drop").config
    assert (config.asked["size"], config.asked["density"]) == (120, None)


def test_quotas_of_all_classes_are_quotas_of_the_grown_classes(grows):
    dataset, grow = grows
    quotas = dict.fromkeys(counts(dataset), 0.5) | {"zero": 7}
    before = ids(dataset.apply_drop(quotas=quotas, rule="proportional"))
    view = fod.extend_drop(dataset, "drop", grow(range(200, 300)))
    assert before <= ids(view)
    sizes, found = counts(dataset), counts(view)
    assert found["zero"] == 7
    assert all(found[name] == fod.kept_size(sizes[name], 0.5) for name in found if name != "zero")


def test_what_cannot_be_extended_is_refused_and_nothing_changes(grows, recalls, make_dataset):
    dataset, grow = grows
    dataset.apply_drop(0.5, recalls=recalls)
    more = grow(range(200, 230))
    before = contents(dataset)
    refused = [
        (("nope", more), "key", "does not exist"),
        (("drop", dataset.match_tags("train")), "new_samples", "the run has all 200 of them"),
        (("drop", dataset.match_tags("nothing")), "new_samples", "is empty"),
        (("drop", make_dataset(5)), "new_samples", "add the samples to the dataset first"),
        (("drop", "more"), "new_samples", "must be a FiftyOne Dataset"),
    ]
    for (key, new), argument, words in refused:
        with pytest.raises(DropError) as caught:
            fod.extend_drop(dataset, key, new)
        assert caught.value.argument == argument
        assert words in caught.value.message
    more.set_values("ground_truth", [None] * 30)
    with pytest.raises(
        DropError, match=r"^key: .* cannot be extended as it was made. skip_unlabel"
    ):
        fod.extend_drop(dataset, "drop", more)
    assert contents(dataset) == before
    assert_whole(dataset, ["drop"])


def test_samples_that_are_gone_do_not_hinder_an_extension(grows, recalls):
    dataset, grow = grows
    kept = ids(dataset.apply_drop(0.5, recalls=recalls))
    gone = sorted(kept)[:20]
    dataset.delete_samples(gone)
    view = fod.extend_drop(dataset, "drop", grow(range(200, 300)))
    assert kept - set(gone) <= ids(view)
    assert len(view) == fod.kept_size(280, 0.5)


def test_a_run_that_was_moved_while_it_is_extended_is_left_alone(grows, recalls, monkeypatch):
    dataset, grow = grows
    dataset.apply_drop(0.5, recalls=recalls)
    more = grow(range(200, 300))
    from fiftyone_drop import extension

    decide = extension.decide

    def move_meanwhile(*arguments):
        fod.set_density(dataset, "drop", 0.8)
        return decide(*arguments)

    monkeypatch.setattr(extension, "decide", move_meanwhile)
    with pytest.raises(DropError, match=r"^key: .* was moved or replaced while"):
        fod.extend_drop(dataset, "drop", more)
    assert fod.load_drop(dataset, "drop").density == 0.8
    assert fod.load_drop(dataset, "drop").table.size == 200
    assert_whole(dataset, ["drop"])


def test_an_extension_that_was_cut_off_is_ended_by_the_same_call(grows, recalls, monkeypatch):
    dataset, grow = grows
    dataset.apply_drop(0.5, recalls=recalls)
    more = grow(range(200, 300))

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_changes, "finish_replacing", killed)
        with pytest.raises(KeyboardInterrupt):
            fod.extend_drop(dataset, "drop", more)
    view = fod.extend_drop(dataset, "drop", more)
    assert len(view) == fod.kept_size(300, 0.5)
    assert ids(view) & ids(more)
    assert_whole(dataset, ["drop"])
    with pytest.raises(DropError, match="the run has all 100 of them already"):
        fod.extend_drop(dataset, "drop", more)


def test_a_move_that_was_cut_off_is_no_extension(grows, recalls, monkeypatch):
    dataset, _ = grows
    dataset.apply_drop(0.5, recalls=recalls)

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_changes, "finish_moving", killed)
        with pytest.raises(KeyboardInterrupt):
            fod.set_density(dataset, "drop", 0.3)
    with pytest.raises(DropError, match="the run has all 200 of them already"):
        fod.extend_drop(dataset, "drop", dataset, density=0.9)


# -- samples that a run leaves out ----------------------------------------------------------------


def test_a_call_that_offers_the_samples_again_that_thresholds_leave_out_changes_nothing(grows):
    dataset, grow = grows
    dataset.set_values("loss", np.linspace(0, 1, 200).tolist())
    arguments = {"rule": "proportional", "drop_above": {"loss": 0.5}}
    dataset[:140].apply_drop(0.5, **arguments)  # the first hundred are below the threshold
    before = contents(dataset)
    for _ in range(2):
        with pytest.raises(
            DropError, match=r"^new_samples: the run has all 200 of them already, but for 100 that"
        ):
            fod.extend_drop(dataset, "drop", dataset)
    assert contents(dataset) == before
    grow(range(200, 240)).set_values("loss", [0.2] * 30 + [0.9] * 10)
    fod.extend_drop(dataset, "drop", dataset)
    found = fod.load_drop(dataset, "drop").config.found
    assert (found["size"], found["extended_by"], found["left_out"]) == (130, 30, 110)
    assert fod.verify_drop(dataset, "drop").unchanged
    grow(range(240, 250), "few").set_values("loss", [0.1] * 5 + [0.9] * 5)
    fod.extend_drop(dataset, "drop", dataset.match_tags("few"))
    found = fod.load_drop(dataset, "drop").config.found
    assert (found["size"], found["extended_by"], found["left_out"]) == (135, 35, 115)


def test_new_samples_without_a_label_are_none_for_a_run_that_skips_them(grows):
    dataset, grow = grows
    dataset.apply_drop(0.5, rule="proportional", skip_unlabeled=True)
    more = grow(range(200, 210))
    labels = more.values("ground_truth")
    more.set_values("ground_truth", [None] * 10)
    before = contents(dataset)
    with pytest.raises(DropError, match="has all 10 of them already, but for 10 that it leaves"):
        fod.extend_drop(dataset, "drop", more)
    assert contents(dataset) == before
    more.set_values("ground_truth", labels[:4] + [None] * 6)
    fod.extend_drop(dataset, "drop", more)
    assert fod.load_drop(dataset, "drop").config.found["extended_by"] == 4


# -- classes that are gone ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits",
    [
        {"max_per_class": {"one": 5}},
        {"min_per_class": {"one": 5, "two": 4}},
        {"protect": ["one"]},
        {"quotas": {"one": 3}},
        {"weights": "of every class"},
        {"group_by": "parity", "max_per_class": {"one": 5, ("two", "even"): 2}},
        {"group_by": "parity", "protect": [("one", "odd")]},
    ],
)
def test_a_limit_on_a_class_that_was_deleted_has_no_effect(grows, limits):
    dataset, grow = grows
    if "weights" in limits:
        limits = {"weights": {name: i + 1.0 for i, name in enumerate(sorted(counts(dataset)))}}
    rule = {} if "weights" in limits else {"rule": "proportional"}
    dataset.apply_drop(0.5, **rule, **limits)
    dataset.delete_samples(dataset.match(F("ground_truth.label") == "one"))
    more = grow(range(200, 250))
    ones = more.match(F("ground_truth.label") == "one")
    rest = more.exclude(ones)
    view = fod.extend_drop(dataset, "drop", rest)
    assert "one" not in counts(view)
    if "group_by" not in limits:
        assert_whole(dataset, ["drop"])
    fod.verify_drop(dataset, "drop")
    assert draft_of_run(dataset, "drop").plan(0.5).table.size == len(dataset) - len(ones)
    # Where the class is back, its limit is too
    view = fod.extend_drop(dataset, "drop", ones, density=0.6)
    if "max_per_class" in limits:
        assert counts(view)["one"] <= 5 * (2 if "group_by" in limits else 1)
    if limits.get("protect") == ["one"]:
        assert counts(view)["one"] == len(ones)
    if "quotas" in limits:
        assert counts(view)["one"] == 3
