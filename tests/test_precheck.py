"""What ``precheck`` says before a call is what the call then does."""

import fiftyone as fo
import pytest

import fiftyone_drop as fod
from fiftyone_drop import DropError, lease, precheck
from fiftyone_drop.scoring import SCORES


def refusal(call):
    """The argument and the message of the error that a call raises; None where it passes."""
    try:
        call()
    except DropError as error:
        return error.argument, error.message
    return None


# -- fields and samples ---------------------------------------------------------------------------


def test_fields_are_offered_for_what_calls_accept_them_as(dataset, predict):
    predict(dataset)
    dataset.add_sample_field("el2n", fo.FloatField, info={"hard": "high"})
    dataset.add_sample_field("no_direction", fo.FloatField)
    dataset.add_sample_field("lit", fo.BooleanField)
    assert precheck.label_fields(dataset) == ["ground_truth", "predictions", "name", "parity"]
    assert "ground_truth" not in precheck.label_fields(dataset, besides="ground_truth")
    assert precheck.score_fields(dataset) == ["el2n"]
    groups = precheck.group_fields(dataset, "ground_truth")
    assert {"parity", "lit"} <= set(groups)
    assert "ground_truth" not in groups


def test_the_default_label_field_is_that_of_the_call(dataset, predict):
    predict(dataset, eval_key="ev")
    assert precheck.default_label_field(dataset) == "ground_truth"
    dataset.set_values("other", [fo.Classification(label="x")] * len(dataset))
    said = refusal(lambda: precheck.default_label_field(dataset))
    assert said == refusal(lambda: fod.plan_drop(dataset, 0.5, rule="proportional"))
    assert said[0] == "label_field"


def test_an_empty_target_is_refused_as_by_the_call(make_dataset):
    empty = make_dataset(rows=[])
    said = refusal(lambda: precheck.target_size(empty))
    assert said == refusal(lambda: fod.plan_drop(empty, 0.5))


def test_class_sizes_leave_out_samples_without_a_label(dataset):
    dataset[:5].set_values("ground_truth", [None] * 5)
    sizes = precheck.class_sizes(dataset, "ground_truth")
    plan = fod.plan_drop(
        dataset, 0.5, label_field="ground_truth", rule="proportional", skip_unlabeled=True
    )
    assert sizes == plan.table.by_class("sizes")
    assert refusal(lambda: precheck.class_sizes(dataset, "nowhere"))[0] == "label_field"


def test_an_overlap_is_counted(dataset):
    assert precheck.overlap(dataset[:100], dataset[90:120]) == (10, 30)
    assert precheck.overlap(dataset[:100], dataset[100:]) == (0, 200)


def test_the_held_out_samples_are_not_trained_on():
    assert precheck.training_size(60, 0.25) == 45
    assert refusal(lambda: precheck.training_size(60, 1))[0] == "holdout"


# -- sources of recalls ---------------------------------------------------------------------------


def test_evaluations_and_runs_are_offered_for_their_own_classes(dataset, predict, recalls):
    predict(dataset, eval_key="ev")
    dataset.apply_drop(0.5, label_field="ground_truth", recalls=recalls, key="with_recalls")
    dataset.apply_drop(0.5, label_field="ground_truth", rule="proportional", key="without")
    assert precheck.evaluations(dataset, "ground_truth") == {"ev": "predictions"}
    assert precheck.evaluations(dataset, "name") == {}
    assert precheck.runs_with_recalls(dataset, "ground_truth") == ["with_recalls"]
    assert precheck.runs_with_recalls(dataset, "name") == []
    assert precheck.runs_with_recalls(dataset, "ground_truth", "parity") == []


def test_classes_without_a_validation_sample_are_named():
    assert precheck.unmeasured(["cat", "dog"], ["dog"]) == "no validation sample of 'cat'"
    assert precheck.unmeasured(["cat"], ["dog", "cat"]) is None


# -- effects --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["proportional", "none"])
@pytest.mark.parametrize(("density", "floor"), [(0.3, 1), (0.1, 20), (0, 1), (0.5, -1), (1, 0)])
def test_a_pruning_keeps_or_refuses_what_was_said(dataset, rule, density, floor):
    sizes = precheck.class_sizes(dataset, "ground_truth")

    def say():
        return precheck.kept(len(dataset), sizes, density=density, rule=rule, min_per_class=floor)

    def plan():
        return fod.plan_drop(
            dataset, density, label_field="ground_truth", rule=rule, min_per_class=floor
        )

    said, done = refusal(say), refusal(plan)
    assert (said is None) == (done is None)
    if said is None:
        assert say() == plan().table.quotas.sum()
    else:
        assert said[0] == done[0]


@pytest.mark.parametrize(
    "arguments",
    [
        {"size": 100},
        {"size": 400},
        {"size": 250, "max_per_class": 20},
        {"size": 150, "max_per_class": 20, "protect": ["three"]},
        {"size": 20, "protect": ["three"]},
        {"density": 0.5, "min_per_class": {"one": 3}, "max_per_class": {"one": 2}},
        {"density": 0.5, "size": 3},
        {"density": 0.5, "protect": ["nobody"]},
    ],
)
def test_a_pruning_within_bounds_keeps_or_refuses_what_was_said(dataset, arguments):
    sizes = precheck.class_sizes(dataset, "ground_truth")
    arguments |= {"rule": "proportional"}

    def plan():
        return fod.plan_drop(dataset, label_field="ground_truth", **arguments)

    said = refusal(lambda: precheck.kept(len(dataset), sizes, **arguments))
    done = refusal(plan)
    assert (said is None) == (done is None)
    if said is None:
        assert precheck.kept(len(dataset), sizes, **arguments) == plan().table.quotas.sum()
    else:
        assert said == done


def test_how_many_files_fit_into_bytes_is_not_known_before(dataset, recalls):
    assert precheck.kept(300, {}, max_bytes=1000) is None
    dataset.apply_drop(0.5, label_field="ground_truth", recalls=recalls)
    assert precheck.kept_by_run(fod.load_drop(dataset, "drop"), max_bytes=1000) is None


def test_what_must_be_kept_can_have_the_name_of_a_flag_or_a_tag(dataset):
    dataset.set_values("checked", [True] * 300)
    assert precheck.must_keep_names(dataset) == ["checked", "train"]


def test_a_run_keeps_what_was_said_of_its_new_density(dataset, recalls):
    dataset.apply_drop(0.5, label_field="ground_truth", recalls=recalls)
    said = precheck.kept_by_run(fod.load_drop(dataset, "drop"), 0.2)
    counts = fod.set_density(dataset, "drop", 0.2).count_values("ground_truth.label")
    name, quota, size = said.fewest
    assert (said.kept, said.size) == (sum(counts.values()), 300)
    assert quota == counts[name] == min(counts.values())
    assert size == dataset.count_values("ground_truth.label")[name]
    too_small = refusal(lambda: precheck.kept_by_run(fod.load_drop(dataset, "drop"), 0.001))
    assert too_small == refusal(lambda: fod.set_density(dataset, "drop", 0.001))


@pytest.mark.parametrize("rule", ["drop", "none"])
def test_a_run_without_some_of_its_samples_keeps_what_is_there(
    dataset, make_dataset, recalls, tmp_path, rule
):
    dataset.apply_drop(0.5, label_field="ground_truth", recalls=recalls, rule=rule)
    file = fod.save_manifest(dataset, "drop", tmp_path / "drop.parquet")
    half = make_dataset(rows=range(0, 300, 2))
    fod.load_manifest(half, file, extra="ignore")
    for density in (0.5, 0.3):
        said = precheck.kept_by_run(fod.load_drop(half, "drop"), density)
        assert said.kept == len(fod.set_density(half, "drop", density))
        assert precheck.kept_by_run(fod.load_drop(half, "drop"), density) == said
    dataset.delete_samples(dataset.values("id")[::3])
    fod.set_density(dataset, "drop", 0.4)
    said = precheck.kept_by_run(fod.load_drop(dataset, "drop"), 0.2)
    assert said.kept == len(fod.set_density(dataset, "drop", 0.2))


@pytest.mark.parametrize("rule", ["drop", "none"])
def test_the_effect_on_a_whole_run_is_said_without_a_look_at_samples(dataset, recalls, scans, rule):
    dataset.apply_drop(0.5, label_field="ground_truth", recalls=recalls, rule=rule)
    fod.set_density(dataset, "drop", 0.4)
    run, before = fod.load_drop(dataset, "drop"), scans(dataset)
    assert precheck.kept_by_run(run, 0.3).kept == 90
    assert precheck.kept_by_run(run, 0.4).kept == 120
    assert scans(dataset) == before


def test_what_a_run_owns_is_gone_when_it_is_deleted(dataset, recalls):
    dataset.apply_drop(0.5, label_field="ground_truth", recalls=recalls)
    dataset.delete_saved_view("drop-pruned")
    assert precheck.outputs(dataset, "drop") == (
        ["drop_keep_at", "drop_kept"],
        ["drop-kept"],
        None,
    )
    fod.delete_drop(dataset, "drop")
    assert precheck.outputs(dataset, "drop") == ([], [], None)
    assert not dataset.has_field("drop_kept")


def test_what_has_lost_the_mark_of_a_run_is_not_announced_as_deleted(dataset, recalls):
    dataset.apply_drop(0.5, label_field="ground_truth", recalls=recalls)
    field = dataset.get_field("drop_kept")
    field.info = {}
    field.save()
    dataset.delete_saved_view("drop-kept")
    dataset.save_view("drop-kept", dataset.limit(3))
    assert precheck.outputs(dataset, "drop") == (["drop_keep_at"], ["drop-pruned"], None)
    fod.delete_drop(dataset, "drop")
    assert dataset.has_field("drop_kept")
    assert dataset.list_saved_views() == ["drop-kept"]


# -- runs -----------------------------------------------------------------------------------------


def test_runs_are_listed_with_their_state_and_the_newest_is_complete(dataset):
    for key in ("b", "a", "c"):
        dataset.apply_drop(0.5, label_field="ground_truth", rule="proportional", key=key)
    assert precheck.newest_run(dataset) == "c"
    config = fod.load_drop(dataset, "c").config
    config.state = "writing"
    dataset.update_run_config("c", config)
    assert precheck.runs(dataset) == {"a": True, "b": True, "c": False}
    assert precheck.newest_run(dataset) == "a"
    assert precheck.runs_behind(dataset.match(fo.ViewField("b_kept"))) == ["b"]
    assert precheck.runs_behind(dataset) == []


def test_the_version_of_a_run_changes_with_the_run_alone(dataset):
    def apply(**more):
        dataset.apply_drop(0.5, label_field="ground_truth", rule="proportional", **more)

    apply()
    versions = [precheck.run_version(dataset, "drop")]
    apply(key="other")
    assert precheck.run_version(dataset, "drop") == versions[0]
    fod.set_density(dataset, "drop", 0.3)
    versions.append(precheck.run_version(dataset, "drop"))
    apply(overwrite=True)
    versions.append(precheck.run_version(dataset, "drop"))
    assert len(set(versions)) == 3
    assert refusal(lambda: precheck.run_version(dataset, "gone"))[0] == "key"


def test_a_run_without_its_order_is_refused(dataset):
    dataset.apply_drop(0.5, label_field="ground_truth", rule="proportional")
    assert refusal(lambda: precheck.check_run(dataset, "drop")) is None
    dataset.delete_sample_field("drop_keep_at")
    said = refusal(lambda: precheck.check_run(dataset, "drop"))
    assert said == refusal(lambda: fod.set_density(dataset, "drop", 0.3))


# -- scores and query models ----------------------------------------------------------------------


def test_every_score_is_one_of_some_model():
    training, logits, images = map(precheck.scores_of, ("training", "logits", "images"))
    assert training.keys() | images.keys() == SCORES.keys()
    assert logits.keys() < images.keys()
    assert training.keys() & images.keys() == {"el2n"}


def test_a_field_with_something_else_is_refused_as_a_score_field(dataset):
    dataset.add_sample_field("el2n", fo.FloatField)
    fields = {"margin": "margin", "el2n": "el2n"}
    refused = refusal(lambda: precheck.check_score_fields(dataset, fields, overwrite=False))
    assert refused[0] == "prefix"
    assert "'el2n'" in refused[1]
    assert refusal(lambda: precheck.check_score_fields(dataset, fields, overwrite=True)) is None


# -- what is not as usual -------------------------------------------------------------------------


def test_a_run_as_it_should_be_has_nothing_to_say(dataset, recalls):
    dataset.apply_drop(0.5, recalls=recalls)
    assert precheck.states(dataset, "drop") == []


def test_a_writer_an_unfinished_run_and_another_version_are_said_with_a_way_out(dataset, recalls):
    dataset.apply_drop(0.5, recalls=recalls)
    dataset.apply_drop(0.5, recalls=recalls, key="second")
    with lease.writing(dataset):
        (busy,) = precheck.states(dataset, "drop")
    assert "is writing runs or scores" in busy.words
    assert busy.way == "wait"
    for key, change in (
        ("drop", {"versions": {"fiftyone-drop": "0.0.1"}}),
        ("second", {"state": "writing"}),
    ):
        config = dataset.get_run_info(key).config
        for name, value in change.items():
            setattr(config, name, value)
        dataset.update_run_config(key, config)
    unfinished, other = precheck.states(dataset, "drop")
    assert unfinished[1:] == ("delete", "second")
    assert "The run 'second' was not written to its end" in unfinished.words
    assert other[1:] == ("again", "drop")
    assert "version 0.0.1" in other.words


# -- where a new run starts -----------------------------------------------------------------------


def test_the_samples_of_a_run_are_those_it_was_made_on(dataset, recalls):
    dataset.apply_drop(0.5, recalls=recalls)
    assert len(precheck.samples_of_run(dataset, "drop")) == 300
    dataset[:200].apply_drop(0.5, recalls=recalls, key="second")
    assert precheck.samples_of_run(dataset, "second").values("id") == dataset[:200].values("id")
    assert precheck.free_key(dataset, "drop") == "drop_2"
    assert precheck.free_key(dataset, "third") == "third"


def test_splits_are_counted_where_there_are_two(dataset):
    assert precheck.splits(dataset) == {}
    dataset[250:].untag_samples("train")
    dataset[250:].tag_samples("Val")
    assert precheck.splits(dataset) == {"train": 250, "Val": 50}
