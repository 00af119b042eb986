"""Random edits of a dataset are found exactly, each by its kind, and nothing else is."""

import zipfile
from collections import Counter
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whole_runs import contents

import fiftyone_drop as fod
from fiftyone_drop import DropError

KINDS = ("added", "removed", "left", "relabelled", "rescored", "unplaced")


def found(check):
    """What a verification names, by kind, as far as there is something."""
    named = {kind: set(getattr(check, kind)) for kind in KINDS}
    assert {kind: len(ids) for kind, ids in named.items()} == dict(check.counts)
    assert check.unchanged == (not any(named.values()))
    return {kind: ids for kind, ids in named.items() if ids}


@pytest.fixture
def scored(make_dataset):
    """A run of the first 50 of 60 digits, ordered by a score, with a view as its target."""
    dataset = make_dataset(60)
    dataset.set_values("difficulty", np.linspace(0, 1, 60).tolist())
    field = dataset.get_field("difficulty")
    field.info = {"hard": "high"}
    field.save()
    dataset.set_values("tags", [["train"] if i < 50 else ["test"] for i in range(60)])
    target = dataset.match_tags("train")
    target.apply_drop(
        0.5, label_field="ground_truth", rule="proportional", select="difficulty", progress=False
    )
    return dataset


def test_a_run_of_a_dataset_that_nobody_has_touched_is_unchanged(scored):
    before = contents(scored)
    check = fod.verify_drop(scored, "drop")
    assert check.unchanged
    assert found(check) == {}
    assert check.unknown == ()
    assert check.size == 50
    assert "nothing has changed since it was decided" in str(check)
    fod.set_density(scored, "drop", 0.3)
    scored.set_values("unrelated", [1] * 60)
    assert fod.verify_drop(scored.limit(3), "drop").unchanged
    scored.delete_sample_field("unrelated")
    assert contents(scored) == before


def edit(dataset, kind, i, new_samples):
    """Make one change of a kind to the sample of an id."""
    sample = dataset[i]
    if kind == "removed":
        dataset.delete_samples([i])
        return
    if kind == "left":
        sample.tags = ["test"]
    elif kind == "relabelled":
        label = "nine" if sample.ground_truth.label != "nine" else "an unknown class"
        sample.ground_truth = fo.Classification(label=label)
    elif kind == "rescored":
        sample.difficulty = np.nextafter(sample.difficulty, 2)
    elif kind == "unplaced":
        sample.drop_keep_at = None
    sample.save()


# Each example has a clone of its own
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.sampled_from([None, *KINDS[1:]]), min_size=50, max_size=50),
    st.integers(0, 4),
    st.randoms(use_true_random=False),
)
def test_every_edit_is_found_and_no_other(make_edited, new_samples, edits, more, random):
    dataset = make_edited()
    ids = dataset.match_tags("train").values("id")
    random.shuffle(edits)
    expected = {}
    for i, kind in zip(ids, edits, strict=True):
        if kind is not None:
            edit(dataset, kind, i, new_samples)
            expected.setdefault(kind, set()).add(i)
    if more:
        samples = new_samples(range(more))
        expected["added"] = set(dataset.add_samples(samples, progress=False))
    check = fod.verify_drop(dataset, "drop")
    assert found(check) == expected
    for kind in set(expected) - {"removed"}:
        assert set(check.view(kind).values("id")) == expected[kind]


@pytest.fixture
def make_edited(scored, made_datasets):
    """A function that makes a copy of the dataset, with its run."""

    def make():
        clone = scored.clone()
        made_datasets.append(clone)
        return clone

    return make


def test_several_changes_of_one_sample_are_all_named(scored, new_samples):
    i = scored.match_tags("train").first().id
    for kind in ("left", "relabelled", "rescored", "unplaced"):
        edit(scored, kind, i, new_samples)
    assert found(fod.verify_drop(scored, "drop")) == {
        kind: {i} for kind in ("left", "relabelled", "rescored", "unplaced")
    }


def test_it_prints_counts_and_the_first_ids(scored, new_samples):
    ids = scored.match_tags("train").values("id")
    for i in ids[:5]:
        edit(scored, "removed", i, new_samples)
    text = str(fod.verify_drop(scored, "drop"))
    assert text.startswith("Drop run 'drop' of 50 samples: the dataset has changed since")
    assert f"removed     5  of the run, and deleted from the dataset: {ids[0]}" in text
    assert "and 2 more" in text


def test_copies_that_carry_a_place_are_named_as_added(scored):
    copies = scored.match_tags("train").limit(2)
    before = set(scored.values("id"))
    scored.add_collection(copies.clone(), new_ids=True)
    assert found(fod.verify_drop(scored, "drop")) == {"added": set(scored.values("id")) - before}


def test_a_sample_that_gets_its_first_label_is_added(make_dataset):
    dataset = make_dataset(40)
    first, second = dataset.values("id")[:2]
    for i in (first, second):
        dataset[i]["ground_truth"] = None
        dataset.select(i).set_values("ground_truth", [None])
    dataset.apply_drop(0.5, label_field="ground_truth", rule="proportional", skip_unlabeled=True)
    assert fod.verify_drop(dataset, "drop").unchanged
    dataset.select(first).set_values("ground_truth", [fo.Classification(label="nine")])
    assert found(fod.verify_drop(dataset, "drop")) == {"added": {first}}


def test_labels_that_the_target_view_hides_are_none(make_dataset):
    dataset = make_dataset(60)
    target = dataset[:50].filter_labels("ground_truth", F("label") != "one", only_matches=False)
    target.apply_drop(0.5, label_field="ground_truth", rule="proportional", skip_unlabeled=True)
    check = fod.verify_drop(dataset, "drop")
    assert check.unchanged
    hidden = dataset[:50].match(F("ground_truth.label") == "one").values("id")[0]
    dataset.select(hidden).set_values("ground_truth.label", ["two"])
    assert found(fod.verify_drop(dataset, "drop")) == {"added": {hidden}}


def test_another_value_of_the_group_is_another_class(dataset):
    dataset.apply_drop(0.5, rule="proportional", group_by="parity")
    sample = dataset.first()
    sample.parity = "odd" if sample.parity == "even" else "even"
    sample.save()
    assert found(fod.verify_drop(dataset, "drop")) == {"relabelled": {sample.id}}


def test_labels_that_are_hard_to_show_are_compared_too(odd_dataset):
    odd_dataset.apply_drop(0.5, rule="proportional")
    assert fod.verify_drop(odd_dataset, "drop").unchanged


def test_what_cannot_be_known_is_said(scored, monkeypatch):
    scored.delete_sample_field("difficulty")
    check = fod.verify_drop(scored, "drop")
    assert check.counts["rescored"] is None
    assert not check.unchanged
    assert "the score field 'difficulty' is gone" in str(check)
    scored.delete_sample_field("ground_truth")
    check = fod.verify_drop(scored, "drop")
    assert check.counts["relabelled"] is None
    assert check.counts["removed"] == 0
    assert "no field 'ground_truth'" in str(check)
    assert "no change is known since" in str(check)


def test_a_target_view_that_is_too_large_or_broken_is_said(dataset, monkeypatch):
    dataset.set_values("mine", [1] * 300)
    target = dataset.match(fo.ViewField("mine") == 1)
    target.apply_drop(0.5, rule="proportional", key="of_a_field")
    monkeypatch.setattr("fiftyone_drop.run_changes.MAX_VIEW_BYTES", 10)
    target.apply_drop(0.5, rule="proportional", key="large")
    check = fod.verify_drop(dataset, "large")
    assert check.counts["added"] is check.counts["left"] is None
    assert check.counts["removed"] == 0
    assert "the target view was too large to be recorded" in str(check)
    dataset.delete_sample_field("mine")
    check = fod.verify_drop(dataset, "of_a_field")
    assert check.counts["left"] in (None, 300)


def test_an_earlier_run_says_what_it_does_not_know(tmp_path, made_datasets):
    archive = Path(__file__).parent / "data" / "runs_before_the_redesign.zip"
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path)
    dataset = fo.Dataset.from_dir(
        str(tmp_path), dataset_type=fo.types.FiftyOneDataset, name="old-to-verify", progress=False
    )
    made_datasets.append(dataset)
    check = fod.verify_drop(dataset, "drop")
    assert check.counts == {
        **dict.fromkeys(("added", "removed", "left", "rescored"), 0),
        **dict.fromkeys(("relabelled", "unplaced")),
    }
    assert not check.unchanged
    assert "Earlier versions did not store them" in str(check)
    assert "relabelled  not known" in str(check)
    assert fod.load_drop(dataset, "drop").changes is None
    ids = dataset.exists("drop_keep_at").values("id")
    dataset.delete_samples(ids[:4])
    dataset.add_samples([fo.Sample("/new.png", ground_truth=fo.Classification(label="one"))])
    check = fod.verify_drop(dataset, "drop")
    assert (check.counts["removed"], check.counts["added"]) == (4, 1)
    assert check.removed == ()
    assert fod.verify_drop(dataset, "scored").counts["rescored"] is None


def test_a_run_that_does_not_exist_and_another_kind_are_refused(scored):
    with pytest.raises(DropError, match=r"^key: .* does not exist"):
        fod.verify_drop(scored, "other")
    check = fod.verify_drop(scored, "drop")
    for kind in ("removed", "old", 3):
        with pytest.raises(DropError, match=r"^kind: must be one of \['added', 'left'"):
            check.view(kind)


# -- runs whose samples are gone ------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["drop", "none"])
def test_moving_a_run_whose_samples_are_gone_counts_what_is_there(dataset, recalls, rule):
    dataset.apply_drop(0.5, recalls=recalls, rule=rule)
    kept = dataset.match(fo.ViewField("drop_kept") == True).values("id")  # noqa: E712
    dataset.delete_samples(kept[:20])
    for density in (0.5, 0.3, 0.5):
        view = fod.set_density(dataset, "drop", density)
        run = fod.load_drop(dataset, "drop")
        counts = Counter(view.values("ground_truth.label"))
        assert run.table.by_class("quotas") == {name: counts[name] for name in run.table.classes}
        assert run.table.density == density
        assert run.table.size == 300
        assert "20 are gone" in run.changes
        assert fod.kept_counts(dataset, "drop", [density])[0].sum() == len(view)
    assert len(view) == 130


def test_a_class_that_was_deleted_does_not_hold_up_the_rest(dataset, recalls):
    dataset.apply_drop(0.5, recalls=recalls, min_per_class=0)
    dataset.delete_samples(dataset.match({"ground_truth.label": "zero"}))
    view = fod.set_density(dataset, "drop", 0.4)
    table = fod.load_drop(dataset, "drop").table
    assert table.by_class("quotas")["zero"] == 0
    assert table.quotas.sum() == len(view)


# -- runs that were made with more than a density -------------------------------------------------


def test_samples_that_thresholds_left_out_are_not_new(scored):
    scored.match_tags("train").apply_drop(
        0.5,
        label_field="ground_truth",
        rule="proportional",
        drop_below={"difficulty": 0.3},
        protect=["two"],
        key="b",
    )
    assert fod.load_drop(scored, "b").config.found["left_out"] > 0
    assert fod.verify_drop(scored, "b").unchanged
    more = scored.match_tags("test").match(F("ground_truth.label") == "two").limit(1)
    more.set_values("difficulty", [0.0])
    more.tag_samples("train")
    assert fod.verify_drop(scored, "b").added == tuple(more.values("id"))


@pytest.mark.filterwarnings("ignore:sample tags")
@pytest.mark.parametrize("now", ["of another kind", "gone"])
def test_a_threshold_of_a_field_that_is_of_another_kind_or_gone_is_said(scored, now):
    scored.apply_drop(
        0.5, label_field="ground_truth", rule="none", drop_above={"difficulty": 0.9}, key="b"
    )
    scored.delete_sample_field("difficulty")
    if now == "of another kind":
        scored.set_values("difficulty", ["hard"] * len(scored))
    check = fod.verify_drop(scored, "b")
    assert not check.unchanged
    assert "which samples are beyond a threshold: must be" in str(check)


@pytest.mark.filterwarnings("ignore:sample tags")
def test_an_extended_run_is_verified_with_the_samples_that_came(scored, recalls):
    scored.apply_drop(0.5, label_field="ground_truth", recalls=recalls, key="all")
    rest = scored.match_tags("test")
    fod.extend_drop(scored, "drop", rest)
    check = fod.verify_drop(scored, "drop")
    assert check.size == 60
    assert check.unchanged
    scored[:30].apply_drop(0.5, label_field="ground_truth", rule="none", key="part")
    fod.extend_drop(scored, "part", scored[30:40])
    check = fod.verify_drop(scored, "part")
    assert (check.counts["added"], check.counts["removed"]) == (None, 0)
    assert "the run was extended, and has no target view since then" in str(check)
    gone = scored[35:36].values("id")
    scored.delete_samples(gone)
    assert fod.verify_drop(scored, "part").removed == tuple(gone)


@pytest.mark.filterwarnings("ignore:sample tags")
def test_integers_and_several_groups_are_compared_as_the_run_has_them(scored):
    scored.set_values("number", [i % 3 for i in range(60)])
    scored.set_values("flag", [i % 2 == 0 for i in range(60)])
    scored.apply_drop(
        0.5, label_field="number", group_by=["flag", "ground_truth"], rule="none", key="cells"
    )
    assert fod.verify_drop(scored, "cells").unchanged
    scored[:1].set_values("flag", [False])
    assert fod.verify_drop(scored, "cells").relabelled == tuple(scored[:1].values("id"))
