"""The operators ``set_density``, ``compare_drops`` and ``delete_drop``: forms, results, the App."""

import fiftyone as fo
import fiftyone.operators as foo
import pymongo.collection
import pytest
from fiftyone import ViewField as F
from reading import choices, message, names, output, problems, texts

import fiftyone_drop as fod

PLUGIN = "@fiftyone-drop/drop"


@pytest.fixture(autouse=True)
def at_once(module_of_plugin, monkeypatch):
    """No page has to fetch the dataset again, and forms start without memory."""
    monkeypatch.setattr(module_of_plugin("operators"), "SECONDS_TO_RELOAD", 0)
    module_of_plugin("forms.recent")._recent.clear()


@pytest.fixture
def run(dataset, recalls):
    """A dataset with one run."""
    dataset.apply_drop(0.5, recalls=recalls, key="first", min_per_class=2)
    return dataset


@pytest.fixture
def two_runs(run):
    """A dataset with two runs."""
    run.apply_drop(0.5, rule="proportional", key="second")
    return run


# -- set_density ----------------------------------------------------------------------------------


def test_the_density_starts_where_the_run_stands(form, run):
    properties = form(run, {"key": "first"}, operator="set_density")
    assert problems(properties) == {}
    assert properties["density"].default == 0.5
    assert message(properties["keeps"]).startswith("Keeps 150 of 300 samples; fewest of ")


def test_the_only_run_is_chosen_and_of_several_one_must_be(form, run, recalls):
    assert form(run, operator="set_density")["key"].default == "first"
    run.apply_drop(0.3, recalls=recalls, key="second")
    properties = form(run, operator="set_density")
    assert choices(properties["key"]) == ["first", "second"]
    assert problems(properties) == {"key": "choose a drop run"}


def test_the_notice_says_what_a_density_will_keep_of_the_class_that_keeps_least(form, run):
    label = message(form(run, {"key": "first", "density": 0.2}, operator="set_density")["keeps"])
    fod.set_density(run, "first", 0.2)
    kept = run.load_saved_view("first-kept").count_values("ground_truth.label")
    name, fewest = min(kept.items(), key=lambda item: (item[1], item[0]))
    size = run.count_values("ground_truth.label")[name]
    assert label == f"Keeps 60 of 300 samples; fewest of {name}, {fewest} of {size}"


@pytest.mark.parametrize(
    ("density", "words"),
    [(0.01, "the smallest density that works is"), (0, "in (0, 1]"), (30, "write 0.3")],
)
def test_a_density_that_the_run_refuses_is_shown_at_its_field(form, run, density, words):
    properties = form(run, {"key": "first", "density": density}, operator="set_density")
    assert words in problems(properties)["density"]
    assert "keeps" not in properties


def test_a_density_that_would_empty_a_class_is_shown_at_its_field(form, dataset, recalls):
    recalls["two"] = 1.0
    dataset.apply_drop(1.0, recalls=recalls, key="bare", min_per_class=0)
    properties = form(dataset, {"key": "bare", "density": 0.3}, operator="set_density")
    assert "nothing would be kept of 'two'" in problems(properties)["density"]


def test_a_run_without_quotas_is_not_counted_for_the_form(form, dataset, monkeypatch):
    dataset.apply_drop(0.5, rule="none", key="flat")
    monkeypatch.setattr(pymongo.collection.Collection, "aggregate", None)
    properties = form(dataset, {"key": "flat", "density": 0.25}, operator="set_density")
    assert message(properties["keeps"]) == "Keeps 75 of 300 samples"


def test_a_run_deleted_meanwhile_is_named(form, two_runs):
    properties = form(two_runs, {"key": "gone"}, operator="set_density")
    assert "does not exist" in problems(properties)["key"]


def test_after_setting_a_density_the_app_shows_what_is_kept(run_in_app, run):
    invocations = run_in_app(run, {"key": "first", "density": 0.3}, operator="set_density")
    assert names(invocations) == [
        *("set_progress", "show_output", "set_view", "reload_dataset"),
        "@fiftyone-drop/drop/show_saved_view",
    ]
    schema, data = output(invocations)
    assert "Kept 90 of 300 samples (density 0.3)" in texts(schema)
    kept = run.load_saved_view("first-kept").count_values("ground_truth.label")
    assert {row["class"]: row["quota"] for row in data["table"]} == kept
    assert sum(kept.values()) == 90
    assert invocations[-1][1] == {"name": "first-kept"}


def test_a_density_is_set_from_a_script(run):
    result = foo.get_operator(f"{PLUGIN}/set_density")(run, "first", 0.3).result
    assert (result["kept"], result["density"]) == (90, 0.3)
    assert fod.load_drop(run, "first").density == 0.3


def test_a_density_that_is_too_small_leaves_the_run_as_it_is(run_in_app, run):
    params = {"key": "first", "density": 0.01}
    schema, _ = output(run_in_app(run, params, operator="set_density"))
    assert "The density was not changed" in texts(schema)
    assert "the smallest density that works is" in texts(schema)
    assert len(run.load_saved_view("first-kept")) == 150


# -- compare_drops --------------------------------------------------------------------------------


def test_comparing_takes_two_runs(form, run):
    properties = form(run, operator="compare_drops")
    assert "make another under another key" in problems(properties)["problem"]


def test_a_run_is_not_compared_with_itself(form, two_runs):
    properties = form(two_runs, {"key": "first", "other": "first"}, operator="compare_drops")
    assert problems(properties) == {"other": "choose a run other than the first"}


def test_runs_of_other_classes_are_not_compared(form, two_runs):
    two_runs.apply_drop(0.5, label_field="parity", rule="proportional", key="third")
    properties = form(two_runs, {"key": "first", "other": "third"}, operator="compare_drops")
    assert "those of 'parity'" in problems(properties)["other"]


def test_a_run_whose_order_was_deleted_is_said_at_the_key_and_not_moved(form, run, run_in_app):
    run.delete_sample_field("first_keep_at")
    properties = form(run, {"key": "first"}, operator="set_density")
    assert "'first_keep_at' of the drop run 'first' was deleted" in problems(properties)["key"]
    invoked = run_in_app(run, {"key": "first", "density": 0.3}, operator="set_density")
    assert "'first_keep_at'" in texts(output(invoked)[0])
    assert fod.load_drop(run, "first").density == 0.5


def test_the_only_two_runs_are_compared_and_of_several_both_must_be_chosen(form, two_runs):
    drawn = form(two_runs, operator="compare_drops")
    assert problems(drawn) == {}
    assert (drawn["key"].default, drawn["other"].default) == ("first", "second")
    turned = form(two_runs, {"key": "second"}, operator="compare_drops")
    assert (problems(turned), turned["other"].default) == ({}, "first")
    two_runs.apply_drop(0.5, rule="proportional", key="third", label_field="ground_truth")
    assert problems(form(two_runs, operator="compare_drops")) == {
        "key": "choose a drop run",
        "other": "choose a drop run",
    }
    properties = form(two_runs, {"key": "first", "other": "second"}, operator="compare_drops")
    assert problems(properties) == {}
    assert choices(properties["show"]) == ["none", "first", "second", "both"]


def kept_by(dataset, *keys, but=()):
    """The ids that all these runs keep and the others do not, from the kept fields."""
    view = dataset.view()
    for key in keys:
        view = view.match(F(f"{key}_kept"))
    for key in but:
        view = view.match(~F(f"{key}_kept"))
    return view.values("id")


def test_a_comparison_counts_by_class(two_runs):
    result = foo.get_operator(f"{PLUGIN}/compare_drops")(two_runs, "first", "second").result
    assert (result["key"], result["other"]) == ("first", "second")
    for column, keys, but in (
        ("kept_by_both", ["first", "second"], []),
        ("only_first", ["first"], ["second"]),
        ("only_second", ["second"], ["first"]),
    ):
        counts = two_runs.select(kept_by(two_runs, *keys, but=but)).count_values(
            "ground_truth.label"
        )
        assert {row["class"]: row[column] for row in result["table"] if row[column]} == counts


@pytest.mark.parametrize(
    ("show", "keys", "but"),
    [
        ("first", ["first"], ["second"]),
        ("second", ["second"], ["first"]),
        ("both", ["first", "second"], []),
    ],
)
def test_the_samples_of_a_comparison_are_shown_in_the_grid(run_in_app, two_runs, show, keys, but):
    params = {"key": "first", "other": "second", "show": show}
    invocations = run_in_app(two_runs, params, operator="compare_drops")
    assert names(invocations) == ["set_progress", "show_output", "set_view"]
    view = fo.DatasetView._build(two_runs, invocations[-1][1]["view"])
    assert view.values("id") == kept_by(two_runs, *keys, but=but)


def test_only_the_table_is_shown_by_default(run_in_app, two_runs):
    params = {"key": "first", "other": "second", "show": "none"}
    invocations = run_in_app(two_runs, params, operator="compare_drops")
    assert names(invocations) == ["set_progress", "show_output"]
    schema, data = output(invocations)
    both = len(kept_by(two_runs, "first", "second"))
    assert f"{both} samples are kept by both" in texts(schema)
    assert data["table"][0].keys() == {
        *("class", "density first", "density second"),
        *("kept by both", "only first", "only second"),
    }


# -- delete_drop ----------------------------------------------------------------------------------


def test_the_form_lists_what_will_go_before_it_goes(form, run):
    warning = message(form(run, {"key": "first"}, operator="delete_drop")["deletes"])
    for name in ("first_keep_at", "first_kept", "first-kept", "first-pruned"):
        assert name in warning
    assert "first_pred" not in warning
    assert run.has_saved_view("first-kept")


def test_what_has_gone_already_is_not_listed(form, run):
    run.delete_saved_view("first-pruned")
    warning = message(form(run, {"key": "first"}, operator="delete_drop")["deletes"])
    assert "first-pruned" not in warning


def test_an_incomplete_run_can_be_deleted_in_the_app(form, run_in_app, run):
    config = run.get_run_info("first").config
    config.state = "writing"
    run.update_run_config("first", config)
    properties = form(run, operator="delete_drop")
    assert [choice.label for choice in properties["key"].view.choices] == ["first (incomplete)"]
    run_in_app(run, {"key": "first"}, operator="delete_drop")
    assert run.list_runs() == []
    assert not run.has_field("first_kept")


def test_a_run_deleted_meanwhile_can_no_longer_be_chosen(form, run):
    properties = form(run, {"key": "gone"}, operator="delete_drop")
    assert problems(properties) == {"key": "there is no drop run 'gone' any more"}


def test_a_deleted_run_leaves_nothing_and_its_view_is_left(run_in_app, two_runs):
    shown = two_runs.load_saved_view("first-kept")
    invocations = run_in_app(shown, {"key": "first"}, operator="delete_drop")
    assert names(invocations) == ["set_progress", "show_output", "clear_view", "reload_dataset"]
    two_runs.reload()
    assert fod.list_drops(two_runs) == ["second"]
    assert not two_runs.has_field("first_kept")
    assert two_runs.list_saved_views() == ["second-kept", "second-pruned"]


def test_a_view_that_has_nothing_to_do_with_the_run_stays(run_in_app, two_runs):
    invocations = run_in_app(two_runs[:10], {"key": "first"}, operator="delete_drop")
    assert names(invocations) == ["set_progress", "show_output", "reload_dataset"]


def test_the_view_of_a_run_whose_key_ends_alike_stays(run_in_app, run):
    run.apply_drop(0.5, rule="proportional", key="st")
    shown = run.load_saved_view("first-kept")
    invocations = run_in_app(shown, {"key": "st"}, operator="delete_drop", view_name="first-kept")
    assert "clear_view" not in names(invocations)


def test_deleting_from_a_script_says_what_went(run):
    result = foo.get_operator(f"{PLUGIN}/delete_drop")(run, "first").result
    assert result["fields"] == ["first_keep_at", "first_kept"]
    assert result["views"] == ["first-kept", "first-pruned"]
    with pytest.raises(Exception, match="has no drop run 'first'"):
        foo.get_operator(f"{PLUGIN}/delete_drop")(run, "first")


# -- other people's words --------------------------------------------------------------------------


def test_a_class_name_is_shown_as_it_is_and_never_as_markdown(form, run_in_app, dataset, recalls):
    name = "![x](http://nowhere.example/x.png) *two* <b>_`$"
    labels = dataset.values("ground_truth.label")
    dataset.set_values("ground_truth.label", [name if old == "two" else old for old in labels])
    del recalls["two"]
    recalls[name] = 0.999
    dataset.apply_drop(0.3, recalls=recalls, key="odd")
    field = form(dataset, {"key": "odd"}, operator="set_density")["keeps"]
    assert f"fewest of {name}, 1 of" in message(field)
    assert "](" not in field.view.label
    params = {"key": "odd", "density": 0.001}
    *_, (_, shown) = run_in_app(dataset, params, operator="set_density")
    assert "0.001" not in str(shown)  # its dot is escaped
    assert "density: 0.001 keeps 0 of 300 samples" in texts(shown["outputs"])


# -- delegated ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("set_density", ["first", 0.3]),
        ("compare_drops", ["first", "second"]),
        ("delete_drop", ["first"]),
    ],
)
def test_it_can_be_queued(delegated, two_runs, name, arguments):
    operation = delegated(name, two_runs, *arguments)
    assert operation.run_state == "completed", operation.result.error
    assert operation.result.result["key"] == "first"


def test_a_run_moves_to_a_number_of_samples_or_of_bytes(run, run_in_app, form):
    properties = form(run, {"key": "first", "amount": "size", "size": 77}, operator="set_density")
    assert message(properties["keeps"]).startswith("Keeps 77 of 300 samples")
    assert "density" not in properties
    set_density = foo.get_operator(f"{PLUGIN}/set_density")
    assert set_density(run, "first", size=77).result["kept"] == 77
    params = {"key": "first", "amount": "max_bytes", "max_bytes": 20_000}
    assert (
        message(form(run, params, operator="set_density")["keeps"])
        == "Keeps as many samples as fit"
    )
    schema, _ = output(run_in_app(run, params, operator="set_density"))
    kept = len(run.load_saved_view("first-kept"))
    assert 0 < kept < 300
    assert f"Kept {kept} of 300 samples" in texts(schema)
