"""The Python side of the panel: what it sends to its component, and the views that it sets."""

import asyncio
import json
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from bson import ObjectId
from fiftyone import ViewField as F
from fiftyone.operators.executor import execute_or_delegate_operator
from reading import choices, output, texts

import fiftyone_drop as fod

URI = "@fiftyone-drop/drop/drop_panel"


class PanelSession:
    """The panel as the App keeps it: its state and data, and what it has asked the App for."""

    def __init__(self, dataset, state=None):
        self.dataset = dataset
        self.state = dict(state or {})
        self.data = {}
        self.asked = []
        self.call("on_load")

    def call(self, method, **params):
        result = foo.execute_operator(
            URI,
            {"dataset": self.dataset},
            params={
                **params,
                "__method__": method,
                "panel_id": "panel",
                "panel_state": dict(self.state),
            },
        )
        assert result.error is None, result.error
        requests = [(r.operator_uri.split("/")[-1], r.params) for r in result.executor._requests]
        self.asked = requests
        for name, params in requests:
            if name == "patch_panel_state":
                self.state.update(params["state"])
            if name == "patch_panel_data":
                self.data.update(params["data"])
        return self

    def asked_for(self, operator):
        return next((params for name, params in self.asked if name == operator), None)

    @property
    def page(self):
        return json.loads(self.data["page"])

    @property
    def run(self):
        return self.page["run"]

    @property
    def view(self):
        """The view that the last call has set."""
        return fo.DatasetView._build(self.dataset, self.asked_for("set_view")["view"])


@pytest.fixture
def pruned(dataset, recalls):
    dataset.apply_drop(0.5, label_field="ground_truth", recalls=recalls)
    return dataset


def labels_of(view, field="ground_truth.label"):
    return Counter(view.values(field))


# -- what is sent ---------------------------------------------------------------------------------


def test_the_counts_are_those_of_the_views(pruned):
    run = PanelSession(pruned).run
    for i in (9, 34, run["own"], len(run["densities"]) - 1):
        view = fod.drop_view(pruned, "drop", run["densities"][i])
        assert dict(zip(run["names"], run["counts"][i], strict=True)) == labels_of(view)


def test_the_own_density_of_a_run_is_among_the_steps_whatever_it_is(pruned):
    fod.set_density(pruned, "drop", 0.3217)
    run = PanelSession(pruned).run
    assert run["densities"][run["own"]] == 0.3217
    assert run["densities"] == sorted(run["densities"])
    assert len(run["densities"]) == 101


def test_a_run_whose_samples_are_gone_is_said_to_be_and_counted_again(pruned):
    panel = PanelSession(pruned)
    assert panel.page["changes"] is None
    pruned.delete_samples(fod.drop_view(pruned, "drop", 0.1).values("id")[:12])
    panel.call("refresh")
    assert panel.page["changes"].startswith("Of the samples of the dataset, 12 are gone since")
    own = panel.run["counts"][panel.run["own"]]
    assert dict(zip(panel.run["names"], own, strict=True)) == labels_of(
        fod.drop_view(pruned, "drop")
    )


def test_counts_without_quotas_are_those_of_the_data(dataset):
    dataset.apply_drop(0.4, label_field="ground_truth", rule="none")
    run = PanelSession(dataset).run
    kept = labels_of(dataset.match(F("drop_kept") == True))  # noqa: E712
    assert dict(zip(run["names"], run["counts"][run["own"]], strict=True)) == kept
    assert run["recalls"] is None
    assert run["levels"] is None


def test_the_line_goes_through_the_classes_as_algorithm_1_has_them(dataset, recalls):
    dataset.apply_drop(0.5, recalls=recalls, min_per_class=0)
    run = PanelSession(dataset).run
    sizes = dict(zip(run["names"], run["sizes"], strict=True))
    for i in (4, 29, 59, 89):
        exact = fod.allocate(sizes, recalls, run["densities"][i])
        line = np.minimum(1, run["levels"][i] * (1 - np.array(run["recalls"])))
        np.testing.assert_allclose(line, exact.densities, atol=1e-12)


def test_the_line_goes_through_the_classes_between_their_limits(dataset, recalls):
    limits = {"min_per_class": {"one": 20}, "max_per_class": {"eight": 10}}
    dataset.apply_drop(0.5, recalls=recalls, protect=["three"], **limits)
    run = PanelSession(dataset).run
    i = run["own"]
    line = np.minimum(1, run["levels"][i] * (1 - np.array(run["recalls"])))
    kept, limited = np.array(run["counts"][i]), np.isin(run["names"], ["one", "eight", "three"])
    exact = line * np.array(run["sizes"])
    assert np.abs(kept - exact)[~limited].max() <= 1
    assert np.abs(kept - exact)[limited].min() > 1


def test_intervals_are_sent_with_the_observed_recalls_that_they_hold(two_classes):
    dataset = two_classes(val={"cat": 25, "dog": 50})
    dataset.match_tags("train").apply_drop(0.5, eval_key="val")
    run = PanelSession(dataset).run
    assert run["observed"] == [0.5, 1.0]
    for observed, (low, high) in zip(run["observed"], run["intervals"], strict=True):
        assert low <= observed <= high
    assert run["recalls"] != run["observed"]  # smoothing has moved them
    assert run["recalls"] == fod.load_drop(dataset, "drop").table.recalls.tolist()


def test_a_page_says_what_can_be_shown_of_a_run(pruned, predict):
    predict(pruned, eval_key="fits")
    pruned.set_values("other", [fo.Classification(label="x")] * len(pruned))
    pruned.evaluate_classifications("predictions", "other", eval_key="of_another_field")
    pruned.add_sample_field("el2n", fo.FloatField, info={"hard": "high"})
    pruned.add_sample_field("no_direction", fo.FloatField)
    page = PanelSession(pruned).page
    assert page["evaluations"] == ["fits"]
    assert page["scores"] == ["el2n"]


def test_the_newest_run_is_shown_until_one_is_chosen(pruned, recalls):
    pruned.apply_drop(0.2, label_field="ground_truth", recalls=recalls, key="a_second")
    panel = PanelSession(pruned)
    assert panel.page["runs"] == ["a_second", "drop"]
    assert panel.run["key"] == "a_second"
    panel.call("open_run", key="drop")
    assert panel.run["key"] == "drop"
    # The choice outlives the page of the browser
    assert PanelSession(pruned, panel.state).run["key"] == "drop"
    assert panel.call("open_newest").run["key"] == "a_second"


def test_opening_a_run_again_reads_nothing_of_it(pruned, scans, module_of_plugin):
    PanelSession(pruned)
    tables = module_of_plugin("panel_data")._run
    before, hits = scans(pruned), tables.cache_info().hits
    PanelSession(pruned)
    assert scans(pruned) == before
    assert tables.cache_info().hits == hits + 1


def test_a_run_that_was_moved_or_made_again_is_sent_anew(pruned, recalls):
    panel = PanelSession(pruned)
    fod.set_density(pruned, "drop", 0.25)
    assert panel.call("refresh").run["density"] == 0.25
    pruned.apply_drop(0.25, label_field="ground_truth", rule="balanced", overwrite=True)
    assert panel.call("refresh").run["rule"] == "balanced"


# -- what is shown in the grid --------------------------------------------------------------------


@pytest.mark.parametrize("part", ["kept", "pruned", "all"])
def test_each_part_of_each_class_is_as_large_as_the_table_says(pruned, part):
    panel = PanelSession(pruned)
    run = panel.run
    i = 29
    for k, name in enumerate(run["classes"]):
        panel.call("show", key="drop", density=run["densities"][i], part=part, class_name=name)
        kept, size = run["counts"][i][k], run["sizes"][k]
        expected = {"kept": kept, "pruned": size - kept, "all": size}[part]
        assert labels_of(panel.view) == ({name: expected} if expected else {})


def test_labels_that_are_hard_to_match_are_matched_by_value(odd_dataset):
    odd_dataset.apply_drop(0.5, label_field="ground_truth", rule="proportional")
    panel = PanelSession(odd_dataset)
    assert "$$ROOT" in panel.run["classes"]
    for name, n in zip(panel.run["classes"], panel.run["sizes"], strict=True):
        panel.call("show", key="drop", density=0.5, part="all", class_name=name)
        assert labels_of(panel.view) == {name: n}


def test_a_cell_of_a_grouped_run_is_shown(dataset):
    dataset.apply_drop(0.5, label_field="ground_truth", rule="proportional", group_by="parity")
    panel = PanelSession(dataset)
    cell = panel.run["classes"][3]
    panel.call("show", key="drop", density=1.0, part="kept", class_name=cell)
    assert labels_of(panel.view) == {cell[0]: panel.run["sizes"][3]}
    assert labels_of(panel.view, "parity") == {cell[1]: panel.run["sizes"][3]}


def test_samples_come_hardest_first_whichever_end_that_is(pruned):
    rng = np.random.default_rng(0)
    for name, hard in (("el2n", "high"), ("aum", "low")):
        pruned.add_sample_field(name, fo.FloatField, info={"hard": hard})
        pruned.set_values(name, rng.random(len(pruned)).tolist())
        panel = PanelSession(pruned)
        panel.call("show", key="drop", density=0.5, part="kept", score=name)
        values = panel.view.values(name)
        assert values == sorted(values, reverse=hard == "high")


def test_the_bins_of_a_histogram_show_every_sample_once(pruned):
    pruned.add_sample_field("el2n", fo.FloatField, info={"hard": "high"})
    pruned.set_values("el2n", np.random.default_rng(0).random(len(pruned)).tolist())
    panel = PanelSession(pruned)
    panel.call("count_score", key="drop", score="el2n", density=0.3)
    sent = json.loads(panel.data["histogram"])
    assert sum(sent["kept"]) == len(fod.drop_view(pruned, "drop", 0.3))
    seen = []
    for i, n in enumerate(sent["kept"]):
        edges, is_last = sent["edges"][i : i + 2], i + 1 == len(sent["kept"])
        shown = {"density": 0.3, "part": "kept", "score": "el2n", "score_range": edges}
        ids = panel.call("show", key="drop", is_last=is_last, **shown).view.values("id")
        assert len(ids) == n
        seen += ids
    assert sorted(seen) == sorted(fod.drop_view(pruned, "drop", 0.3).values("id"))


def test_setting_a_view_goes_through_no_sample(pruned, scans):
    panel = PanelSession(pruned)
    before = scans(pruned)
    panel.call("show", key="drop", density=0.3, part="pruned", class_name="one")
    assert scans(pruned) == before


def test_both_parts_together_say_which_they_are_in_the_place_of_the_tags(pruned):
    panel = PanelSession(pruned)
    shown = panel.call("show", key="drop", density=0.4, part="all").view
    assert shown.count_values("tags") == {"kept": 120, "pruned": 180}
    assert shown.count_values("drop_kept") == {True: 120, False: 180}
    alone = panel.call("show", key="drop", density=0.4, part="kept").view
    assert alone.count_values("tags") == {"train": 120}
    assert pruned.count_values("tags") == {"train": 300}
    pruned.delete_sample_field("drop_kept")
    assert len(panel.call("show", key="drop", density=0.4, part="all").view) == 300


# -- drafts ---------------------------------------------------------------------------------------


def drawn(panel, density=0.5, **choices):
    """What the panel is sent of a draft that begins with the run "drop"."""
    choices = {"base": "drop"} | choices
    panel.call("draft", choices=choices, density=density, asked="d1.0.null")
    return json.loads(panel.data["draft"])


def test_a_draft_begins_as_the_run_and_says_what_can_be_chosen(pruned, predict):
    predict(pruned, eval_key="val")
    pruned.add_sample_field("el2n", fo.FloatField, info={"hard": "high"})
    panel = PanelSession(pruned)
    draft = drawn(panel)
    assert draft["run"]["counts"] == panel.run["counts"]
    assert draft["choices"]["recalls"] == "run:drop"
    assert list(draft["offered"]["recalls"]) == ["eval:val", "run:drop", "closed-form"]
    assert list(draft["offered"]["select"]) == ["random", "el2n"]
    assert list(draft["offered"]["rule"]) == list(fod.precheck.rules())


@pytest.mark.filterwarnings("ignore:sample tags")
def test_a_draft_of_a_run_with_weights_begins_with_them_and_drops_them_for_a_rule(pruned, recalls):
    pruned[200:].untag_samples("train")
    pruned[200:].tag_samples("val")
    weights = {name: 1 + 9 * (name == "two") for name in recalls}
    pruned.apply_drop(0.5, key="w", weights=weights, progress=False)
    panel = PanelSession(pruned)
    run = fod.load_drop(pruned, "w").table

    def kept(**choices):
        draft = drawn(panel, base="w", **choices)
        assert "problem" not in draft
        return draft["run"]["counts"][draft["run"]["own"]]

    draft = drawn(panel, base="w")
    assert draft["choices"]["rule"] == draft["run"]["rule"] == "weights"
    assert draft["run"]["levels"] is None
    assert list(draft["offered"]["rule"]) == ["weights", *fod.precheck.rules()]
    assert kept() == run.quotas.tolist()
    for rule in ("balanced", "proportional"):
        assert kept(rule=rule) == list(fod.plan_drop(pruned, 0.5, rule=rule).quotas.values())
    plan = fod.plan_drop(pruned, 0.5, recalls=recalls)
    assert kept(rule="drop", recalls="run:drop") == list(plan.quotas.values())
    for samples in ("all", "run"):  # back again
        assert kept(rule="weights", samples=samples) == run.quotas.tolist()
    part = fod.plan_drop(pruned.match_tags("train"), 0.5, weights=weights)
    for rule in ("weights", "balanced", "weights"):
        found = kept(rule=rule, samples="tag:train")
        assert (found == list(part.quotas.values())) == (rule == "weights")
    problem = drawn(panel, base="drop", rule="weights")["problem"]
    assert problem.startswith("'Rule' must be one of 'none', 'drop'")


def test_a_draft_is_counted_at_each_density_and_nothing_is_written(pruned):
    panel = PanelSession(pruned)
    names = panel.run["names"]
    limits = [[names[0], "all", 0], [names[3], "exactly", 5]]
    kept = drawn(panel, limits=limits)["run"]["counts"][panel.run["own"]]
    assert (kept[0], kept[3], sum(kept)) == (panel.run["sizes"][0], 5, 150)
    rules = drawn(panel, rule="balanced")["run"]
    sizes = dict(zip(names, panel.run["sizes"], strict=True))
    quotas = fod.allocate(sizes, None, 0.3, rule="balanced").quotas
    assert rules["counts"][rules["densities"].index(0.3)] == quotas.tolist()
    pruned.reload()
    assert fod.list_drops(pruned) == ["drop"]


@pytest.mark.filterwarnings("ignore:300 of 300 samples")
def test_recalls_of_an_evaluation_are_measured_ones(pruned, predict):
    predict(pruned, eval_key="val")
    draft = drawn(PanelSession(pruned), recalls="eval:val")
    plan = fod.plan_drop(pruned, 0.5, eval_key="val")
    assert draft["run"]["recalls"] == plan.table.recalls.tolist()
    assert draft["run"]["intervals"] == plan.table.intervals.tolist()
    assert "also in the target view" in draft["warnings"][0]


def test_a_query_model_is_measured_only_when_somebody_says_so(pruned):
    assert drawn(PanelSession(pruned), recalls="closed-form")["unmeasured"]


def test_a_draft_that_cannot_be_says_why(pruned):
    panel = PanelSession(pruned)
    names = panel.run["names"]
    for limits, words in (
        ([[names[0], "exactly", 10**6]], "samples cannot be kept"),
        ([[name, "all", 0] for name in names[:9]], "samples"),
    ):
        assert words in drawn(panel, 0.2, limits=limits)["problem"]
    assert "no sample is left" in drawn(panel, left_out=pruned.values("id"))["problem"]


def test_a_problem_of_a_draft_is_a_sentence_about_what_the_panel_has(pruned):
    panel = PanelSession(pruned)
    names = panel.run["names"]
    limits = [[names[0], "least", 5]]
    problem = drawn(panel, limits=limits, rule="none")["problem"]
    assert problem.startswith("limits on classes need a rule that sets quotas")
    assert "'Rule'" in problem
    pruned[:200].apply_drop(0.5, rule="balanced", key="part", progress=False)
    problem = drawn(panel, base="part", keep_ids=[pruned.last().id])["problem"]
    assert problem.startswith("of the samples that are kept always, 1, the draft has none")
    assert "boolean field" not in problem
    kept = pruned.match(F("ground_truth.label") == names[0]).values("id")[:20]
    problem = drawn(panel, keep_ids=kept, limits=[[names[0], "most", 3]])["problem"]
    assert "20 of which must be kept" in problem
    problem = drawn(panel, 0.1, limits=[[name, "least", 20] for name in names])["problem"]
    assert problem.startswith("the density 0.1 keeps 30 of 300 samples")
    assert "'at least'" in problem
    assert "Samples to keep" not in problem
    problem = drawn(panel, select="nothing")["problem"]
    assert "'Select'" not in problem
    pruned.add_sample(fo.Sample("unlabelled.png"))
    problem = drawn(panel, samples="all")["problem"]
    field = "More in the form: Leave samples without a label out of the run"
    assert problem.endswith(f"leave them out of the run with '{field}'")
    problem = drawn(panel, samples="tag:nothing")["problem"]
    assert problem.startswith("'Samples' must be one of")


def test_a_draft_without_a_run_begins_with_the_training_split(two_classes):
    dataset = two_classes(val={"cat": 25, "dog": 50})
    panel = PanelSession(dataset)
    panel.call("draft", choices={"base": None}, asked="d1.0.null")
    draft = json.loads(panel.data["draft"])
    assert (draft["choices"]["samples"], draft["choices"]["recalls"]) == ("tag:train", "eval:val")
    assert sum(draft["run"]["sizes"]) == len(dataset.match_tags("train"))


def test_runs_and_drafts_are_compared_as_the_dataset_is_now(pruned, recalls):
    fod.apply_drop(pruned, 0.5, recalls=recalls, key="even", rule="balanced")
    panel = PanelSession(pruned)
    for _ in range(2):
        expected = fod.compare_drops(pruned, "drop", "even")
        sent = json.loads(panel.call("compare", key="drop", other="even").data["comparison"])
        both = {"first_key": "drop", "second_key": "even", "asked": "a b"}
        sides = json.loads(panel.call("compare_drafts", **both).data["comparison"])
        assert sent["both"] == sides["both"] == expected.kept_by_both.tolist()
        assert sent["first"] == sides["first"] == expected.only_first.tolist()
        pruned.delete_samples(fod.drop_view(pruned, "drop", class_name="eight"))
        panel.call("refresh")


def test_two_drafts_and_a_draft_and_a_run_are_compared(pruned):
    panel = PanelSession(pruned)
    even = {"base": "drop", "rule": "balanced"}
    pruned.apply_drop(0.5, rule="balanced", key="even", progress=False)
    expected = fod.compare_drops(pruned, "drop", "even")
    for first in ({"first_key": "drop"}, {"first_choices": {"base": "drop"}, "first_density": 0.5}):
        panel.call("compare_drafts", asked="a b", second_choices=even, second_density=0.5, **first)
        sent = json.loads(panel.data["comparison"])
        assert sent["first"] == expected.only_first.tolist()
        assert sent["both"] == expected.kept_by_both.tolist()
        np.testing.assert_allclose(np.transpose(sent["densities"]), expected.densities)


def test_sides_of_other_classes_are_not_compared(pruned):
    pruned.apply_drop(0.5, label_field="name", rule="balanced", key="names", progress=False)
    panel = PanelSession(pruned)
    chosen = {"base": "names", "rule": "balanced"}
    sides = {"first_key": "drop", "second_choices": chosen, "second_density": 0.5}
    panel.call("compare_drafts", asked="a b", **sides)
    assert "'ground_truth'" in panel.data["unread"]
    assert "'name'" in panel.data["unread"]
    assert "comparison" not in panel.data
    # Another choice is read, and what was not is no more to be said
    panel.call("compare_drafts", asked="a c", **sides | {"second_choices": {"base": "drop"}})
    assert panel.data["unread"] is None


@pytest.mark.filterwarnings("ignore:sample tags")
def test_a_draft_is_compared_where_it_starts_until_its_slider_is_moved(pruned):
    pruned.apply_drop(0.3, rule="balanced", key="less", progress=False)
    panel = PanelSession(pruned)

    def kept(**sides):
        panel.call("compare_drafts", asked="a b", **sides)
        sent = json.loads(panel.data["comparison"])
        both = sum(sent["both"])
        return sum(sent["first"]) + both, sum(sent["second"]) + both, sent["warnings"]

    of_run = {"first_key": "drop", "second_choices": {"base": "less"}}
    *counts, (warning,) = kept(**of_run)
    assert counts == [150, 90]
    assert "0.5 and the second 0.3" in warning
    assert kept(**of_run, second_density=0.5) == (150, 150, [])
    bare = {"base": None, "recalls": "run:drop"}
    assert kept(first_choices=bare, second_choices={"base": "drop"})[:2] == (150, 150)


@pytest.fixture
def work(run_in_app):
    """A function that lets the operator behind a draft do something; what the panel is told."""

    def run(dataset, **params):
        told = run_in_app(
            dataset, {"asked": "d1.0", "panel_id": "p", **params}, operator="draft_work"
        )
        data = [params["data"] for name, params in told if name == "patch_panel_data"]
        return data, [name for name, _ in told]

    return run


def test_a_draft_is_written_by_an_operator_that_says_how_far_it_is(pruned, work):
    choices = {"base": "drop", "limits": [["one", "exactly", 5]]}
    data, asked = work(pruned, work="apply", choices=choices, density=0.4)
    assert json.loads(data[0]["working"])["label"] == "Writing the run"
    assert json.loads(data[-1]["applied"])["key"] == "drop_2"
    assert json.loads(data[-1]["page"])["key"] == "drop_2"
    assert asked[-1] == "reload_dataset"
    pruned.reload()
    made = fod.load_drop(pruned, "drop_2").table
    assert (made.by_class("quotas")["one"], made.quotas.sum()) == (5, 120)


def test_a_draft_that_cannot_be_written_says_why_and_leaves_nothing(pruned, work):
    choices = {"base": "drop", "limits": [["one", "exactly", 10**6]]}
    data, _ = work(pruned, work="apply", choices=choices, density=0.4)
    assert data[-1]["working"] is None
    assert "samples cannot be kept" in data[-1]["message"]
    pruned.reload()
    assert fod.list_drops(pruned) == ["drop"]


@pytest.mark.filterwarnings("ignore")
def test_recalls_are_measured_by_the_operator_and_known_from_then_on(pruned, work):
    choices = {"base": "drop", "recalls": "closed-form"}
    data, _ = work(pruned, work="measure", choices=choices, density=0.5)
    sent = json.loads(data[-1]["draft"])
    assert (
        sent["run"]["recalls_from"] == drawn(PanelSession(pruned), **choices)["run"]["recalls_from"]
    )
    assert "closed" in sent["run"]["recalls_from"]
    told = [json.loads(one["working"]) for one in data if one.get("working")]
    assert max(one["done"] for one in told) > 0
    assert "300 of 300" in told[-1]["label"]


def test_a_draft_is_read_again_when_a_label_has_changed(pruned):
    panel = PanelSession(pruned)
    before = dict(zip(panel.run["names"], drawn(panel)["run"]["sizes"], strict=True))
    sample = pruned.match(F("ground_truth.label") == "one").first()
    sample["ground_truth"].label = "two"
    sample.save()
    run = drawn(panel)["run"]
    after = dict(zip(run["names"], run["sizes"], strict=True))
    assert (after["one"], after["two"]) == (before["one"] - 1, before["two"] + 1)


@pytest.mark.filterwarnings("ignore:300 of 300 samples")
def test_a_draft_has_the_recalls_of_the_evaluation_that_was_made_last(pruned, predict):
    predict(pruned, eval_key="val")
    panel = PanelSession(pruned)
    before = drawn(panel, recalls="eval:val", samples="all")["run"]["observed"]
    pruned.delete_evaluation("val")
    labels = pruned.values("ground_truth.label")
    wrong = ["two" if label == "one" else label for label in labels]
    pruned.set_values("predictions.label", wrong)
    pruned.evaluate_classifications("predictions", "ground_truth", eval_key="val")
    run = drawn(panel, recalls="eval:val", samples="all")["run"]
    assert run["observed"] != before
    assert run["observed"][run["names"].index("one")] == 0


def test_what_is_written_is_read_again_even_where_nothing_tells_of_a_change(pruned, work):
    assert drawn(PanelSession(pruned))["run"]
    one = pruned.match(F("ground_truth.label") == "one").first().id
    label = {"$set": {"ground_truth.label": "two"}}
    pruned._sample_collection.update_one({"_id": ObjectId(one)}, label)
    work(pruned, work="apply", choices={"base": "drop"}, density=0.4)
    pruned.reload()
    sizes = fod.load_drop(pruned, "drop_2").table.by_class("sizes")
    assert sizes["one"] == pruned.count_values("ground_truth.label")["one"]


@pytest.mark.filterwarnings("ignore")
def test_recalls_that_take_long_are_measured_once(pruned, work):
    choices = {"base": "drop", "samples": "all", "recalls": "closed-form"}
    work(pruned, work="measure", choices=choices, density=0.5)
    panel = PanelSession(pruned)
    recalls = drawn(panel, **choices)["run"]["recalls"]
    pruned.match_tags("train").limit(1).tag_samples("seen")
    unweighted = drawn(panel, rule="drop-unweighted", **choices)
    assert unweighted["run"]["recalls"] == recalls
    work(pruned, work="apply", choices=choices, density=0.5)
    pruned.reload()
    assert fod.load_drop(pruned, "drop_2").table.recalls.tolist() == recalls
    panel.call("refresh")
    assert panel.data["draft"] is None
    assert drawn(panel, **choices)["run"]["recalls"] == recalls
    for label in ("two", "new"):
        sample = pruned.match(F("ground_truth.label") == "one").first()
        sample["ground_truth"].label = label
        sample.save()
        assert drawn(panel, **choices)["unmeasured"]
        work(pruned, work="measure", choices=choices, density=0.5)
        assert drawn(panel, **choices)["run"]


@pytest.mark.filterwarnings("ignore:sample tags")
@pytest.mark.parametrize("samples", ["all", "tag:train"])
def test_a_draft_of_other_samples_has_the_groups_of_its_run(pruned, samples):
    pruned[200:].untag_samples("train")
    pruned[200:].tag_samples("val")
    pruned.apply_drop(0.5, key="cells", rule="proportional", group_by="parity", progress=False)
    run = drawn(PanelSession(pruned), base="cells", samples=samples)["run"]
    assert run["group_by"] == "parity"
    view = pruned if samples == "all" else pruned.match_tags("train")
    cells = Counter(zip(*view.values(["ground_truth.label", "parity"]), strict=True))
    assert {tuple(c): n for c, n in zip(run["classes"], run["sizes"], strict=True)} == cells


def test_a_draft_of_other_samples_has_the_arguments_of_its_run(pruned, recalls):
    pruned[:10].set_field("ground_truth", None).save()
    options = {"min_per_class": 3, "smoothing": 0.0, "seed": 5}
    pruned.apply_drop(0.5, key="own", recalls=recalls, skip_unlabeled=True, **options)
    draft = drawn(PanelSession(pruned), base="own", samples="all")
    own = fod.load_drop(pruned, "own").table
    assert draft["run"]["floors"] == own.bounds.floors.tolist()
    assert draft["run"]["sizes"] == own.sizes.tolist()
    counts = draft["run"]["counts"][draft["run"]["own"]]
    assert counts == own.quotas.tolist()


@pytest.mark.filterwarnings("ignore:sample tags")
def test_a_draft_of_samples_without_a_class_of_its_run_can_be(pruned, recalls):
    limits = {"min_per_class": {"one": 9}, "max_per_class": {"two": 9}, "protect": ["three"]}
    pruned.apply_drop(0.5, key="own", recalls=recalls, must_keep=pruned[:3], **limits)
    rest = pruned.match(~F("ground_truth.label").is_in(["one", "two", "three"]))
    rest[3:].untag_samples("train")
    rest[3:].tag_samples("val")
    run = drawn(PanelSession(pruned), base="own", samples="tag:val")["run"]
    assert sum(run["sizes"]) == len(rest) - 3
    assert not {"one", "two", "three"} & set(run["names"])


def test_samples_of_a_run_are_those_of_a_draft_that_begins_with_one(pruned):
    panel = PanelSession(pruned)
    chosen = {"base": None, "samples": "run", "recalls": "run:drop"}
    panel.call("draft", choices=chosen, density=0.5, asked="d1.0.null")
    draft = json.loads(panel.data["draft"])
    assert draft["problem"] == "'Samples' must be one of 'all', but got 'run'"


def test_recalls_of_another_run_are_found_on_other_samples(pruned):
    chosen = {"samples": "all", "recalls": "run:drop"}
    for base in (None, "drop"):
        draft = drawn(PanelSession(pruned), base=base, **chosen)
        assert draft["run"]["recalls"] == fod.load_drop(pruned, "drop").table.recalls.tolist()
        assert draft["run"]["recalls_from"] == fod.load_drop(pruned, "drop").config.recalls_from


def test_drafts_of_many_threads_are_remembered_and_forgotten(pruned, module_of_plugin):
    drafting = module_of_plugin("drafting")
    choices = drafting.Choices.of(pruned, {"base": "drop"})

    def ask(i):
        if i % 5 == 0:
            drafting.forget(pruned)
        return drafting.find(pruned, choices._replace(left_out=(pruned_ids[i % 20],)))

    pruned_ids = pruned.values("id")
    with ThreadPoolExecutor(8) as pool:
        drafts = list(pool.map(ask, range(60)))
    assert all(len(draft.population) == 299 for draft in drafts)
    assert len(drafting._drafts) <= drafting.REMEMBERED


def test_the_work_of_a_draft_is_seen_with_what_runs(pruned, work, module_of_plugin):
    jobs = module_of_plugin("jobs")
    jobs._jobs.clear()
    data, _ = work(pruned, work="apply", choices={"base": "drop"}, density=0.4)
    done = [json.loads(one["working"])["done"] for one in data if one["working"]]
    assert len(done) > 2
    assert done == sorted(done)
    (job,) = jobs.on(pruned.name)
    assert (job.label, job.result["key"]) == ("DRoP: apply a draft", "drop_2")
    assert jobs.at_work(pruned.name) == []


def test_the_work_of_a_draft_can_be_cancelled_and_leaves_nothing(
    pruned, work, module_of_plugin, monkeypatch
):
    jobs = module_of_plugin("jobs")
    monkeypatch.setattr(module_of_plugin("worker"), "SECONDS_BETWEEN_REPORTS", 0)
    report = jobs.Job.report

    def cancels(self, fraction, words, **more):
        if fraction:
            self.cancel()
        report(self, fraction, words, **more)

    monkeypatch.setattr(jobs.Job, "report", cancels)
    data, _ = work(pruned, work="apply", choices={"base": "drop"}, density=0.4)
    assert (data[-1]["working"], data[-1]["message"]) == (None, "Cancelled. Nothing was written")
    pruned.reload()
    assert fod.list_drops(pruned) == ["drop"]


@pytest.fixture
def held(pruned, request_of, module_of_plugin, monkeypatch):
    """A function that begins to apply a draft, whose work waits: its stream, and the way on."""
    go_on, drafting = threading.Event(), module_of_plugin("drafting")
    read_again = drafting.read_again
    module_of_plugin("jobs")._jobs.clear()

    def waits(*args):
        assert go_on.wait(30)
        return read_again(*args)

    def start(**params):
        monkeypatch.setattr(drafting, "read_again", waits)
        params = {"asked": "d1.0", "panel_id": "p", "work": "apply", **params}
        request = request_of(pruned, params, operator="draft_work")
        stream = asyncio.run(execute_or_delegate_operator(request["operator_uri"], request)).result
        next(stream)
        return stream, go_on

    yield start
    go_on.set()
    for job in module_of_plugin("jobs").on(pruned.name):
        assert job.ended.wait(30)


def test_a_draft_that_is_at_work_is_not_begun_once_more(pruned, held, work):
    choices = {"base": "drop", "rule": "balanced"}
    stream, go_on = held(choices=choices, density=0.4)
    (told,), _ = work(pruned, work="apply", choices=choices, density=0.4)
    assert "at work already" in told["message"]
    assert "working" not in told
    go_on.set()
    list(stream)
    pruned.reload()
    assert fod.list_drops(pruned) == ["drop", "drop_2"]
    work(pruned, work="apply", choices=choices, density=0.4)  # it has ended
    pruned.reload()
    assert fod.list_drops(pruned) == ["drop", "drop_2", "drop_3"]


def test_other_work_begins_beside_what_is_at_work(pruned, module_of_plugin):
    jobs = module_of_plugin("jobs")
    jobs._jobs.clear()
    begun = [jobs.start(pruned.name, "x", about) for about in (None, None, ("apply", 0.4), 1)]
    with pytest.raises(jobs.AtWorkError):
        jobs.start(pruned.name, "x", ("apply", 0.4))
    jobs.start("another dataset", "x", ("apply", 0.4))
    begun[2].end(({}, {}), None)
    jobs.start(pruned.name, "x", ("apply", 0.4))


def test_whoever_cancels_a_draft_whose_page_was_closed_sees_how_it_ends(
    pruned, held, run_in_app, module_of_plugin
):
    stream, go_on = held(choices={"base": "drop"}, density=0.4)
    stream.close()  # the tab
    (job,) = module_of_plugin("jobs").on(pruned.name)
    assert job.in_background

    def go_on_when_cancelled():
        while not job.is_cancelled:
            time.sleep(0.01)
        go_on.set()

    threading.Thread(target=go_on_when_cancelled, daemon=True).start()
    cancels = run_in_app(pruned, {"job": job.key, "action": "cancel"}, operator="running")
    schema, _ = output([one for one in cancels if one[0] == "show_output"][-1:])
    assert "Nothing was written" in texts(schema)
    pruned.reload()
    assert fod.list_drops(pruned) == ["drop"]


def test_refreshing_ends_the_wait_for_work_unless_it_goes_on_for_this_page(pruned, held):
    panel = PanelSession(pruned)
    assert panel.call("refresh").data["working"] is None
    stream, _ = held(choices={"base": "drop"}, density=0.4)
    del panel.data["working"]
    assert "working" not in panel.call("refresh").data
    stream.close()  # the connection
    assert panel.call("refresh").data["working"] is None


@pytest.mark.parametrize("doing", ["apply", "measure", "nothing that it can"])
def test_the_panel_does_not_wait_for_work_on_a_run_that_is_deleted(pruned, work, doing):
    fod.delete_drop(pruned, "drop")
    data, _ = work(pruned, work=doing, choices={"base": "drop"}, density=0.4)
    assert data[-1]["working"] is None
    assert data[-1]["message"]


# -- report, comparison, forms --------------------------------------------------------------------


def test_the_report_is_that_of_the_package(pruned, predict):
    predict(pruned, eval_key="after")
    panel = PanelSession(pruned)
    panel.call("report", key="drop", eval_key="after")
    expected = fod.report(pruned, "drop", "after").to_dict()
    sent = json.loads(panel.data["report"])["report"]
    assert sent.pop("offsets")
    assert sent == json.loads(json.dumps(expected))


@pytest.mark.filterwarnings("ignore:Logits and labels do not belong together")
def test_the_report_says_what_offsets_would_do_to_the_worst_class(pruned, module_of_plugin):
    labels = pruned.values("ground_truth.label")
    classes = sorted(set(labels))
    rng = np.random.default_rng(51)
    logits = rng.normal(size=(len(labels), len(classes)))
    logits[np.arange(len(labels)), [classes.index(label) for label in labels]] += 1
    predictions = [
        fo.Classification(label=classes[int(np.argmax(row))], logits=row) for row in logits
    ]
    pruned.classes["predictions"] = classes
    pruned.save()
    pruned.set_values("predictions", predictions)
    pruned.evaluate_classifications("predictions", "ground_truth", eval_key="after")
    panel = PanelSession(pruned).call("report", key="drop", eval_key="after")
    said = json.loads(panel.data["report"])["report"]["offsets"]
    found = fod.class_offsets(pruned, "drop", eval_key="after")
    worst = int(np.nanargmin(found.before))
    assert f"({found.classes[worst]}) would go from {found.before[worst]:.3f} to" in said
    assert f"to {found.after[worst]:.3f};" in said
    panel.call("report", key="drop")
    assert "reach from" in json.loads(panel.data["report"])["report"]["offsets"]
    logits[np.arange(len(labels)), [classes.index(label) for label in labels]] += 9
    pruned.set_values("predictions.logits", list(logits))
    for stated, words in (
        (
            classes[1:] + classes[:1],
            "; correct the classes that the dataset states for these predictions, in Python.",
        ),
        (
            None,
            "This evaluation does not say what they do (classes: must be given with stored "
            "logits, in their order, unless the dataset states them).",
        ),
    ):
        pruned.classes = {} if stated is None else {"predictions": stated}
        pruned.save()
        panel.call("report", key="drop", eval_key="after")
        said = json.loads(panel.data["report"])["report"]["offsets"]
        assert words in said
        assert "would go from" not in said


@pytest.mark.parametrize("score", [None, "el2n"])
def test_strips_show_every_sample_of_a_class_once_of_a_run_and_of_a_draft(pruned, score):
    pruned.add_sample_field("el2n", fo.FloatField, info={"hard": "low"})
    values = np.random.default_rng(0).random(len(pruned)).tolist()
    pruned.set_values("el2n", values)
    panel = PanelSession(pruned)
    run = panel.run
    for of in ({"key": "drop"}, {"choices": {"base": "drop"}}):
        seen = {"kept": [], "pruned": []}
        for page in range(3):
            shown = {"density": 0.5, "class_name": "one", "score": score, "page": page}
            sent = json.loads(panel.call("strips", asked="x", **of, **shown).data["strips"])
            for part, ids in seen.items():
                ids += [i for i, _ in sent[part]]
        assert len(seen["kept"]) == run["counts"][run["own"]][run["names"].index("one")]
        for part, ids in seen.items():
            view = fod.drop_view(pruned, "drop", part=part, class_name="one", score=score)
            expected = view.values("id")
            assert (ids if score else sorted(ids)) == (expected if score else sorted(expected))


def test_the_samples_that_one_run_keeps_are_as_many_as_the_comparison_says(pruned):
    pruned.apply_drop(0.5, label_field="ground_truth", rule="balanced", key="even")
    panel = PanelSession(pruned)
    sent = json.loads(panel.call("compare", key="drop", other="even").data["comparison"])
    assert sum(sent["first"]) > 0
    for which in ("first", "second", "both"):
        panel.call("show_difference", key="drop", other="even", which=which)
        counts = {n: c for n, c in zip(sent["names"], sent[which], strict=True) if c}
        assert labels_of(panel.view) == counts


def test_a_class_that_only_one_run_has_is_null_to_the_component(pruned):
    part = pruned.match(F("ground_truth.label") != "one")
    part.apply_drop(0.5, label_field="ground_truth", rule="balanced", key="part")
    panel = PanelSession(pruned).call("compare", key="drop", other="part")
    sent = json.loads(panel.data["comparison"])
    assert sent["densities"][1][sent["names"].index("one")] is None
    assert sent["densities"][0][sent["names"].index("one")] is not None


@pytest.mark.parametrize(
    ("operator", "params", "follow"),
    [
        ("apply_drop", {}, "open_newest"),
        ("apply_drop", {"run": "drop"}, "open_newest"),
        ("compute_scores", {}, "refresh"),
        ("set_density", {"key": "drop", "density": 0.3}, "refresh"),
        ("delete_drop", {"key": "drop"}, "refresh"),
        ("export_run", {"key": "drop"}, "refresh"),
        ("open_panels", {"key": "drop"}, None),
        ("running", {"job": "a1"}, "refresh"),
    ],
)
def test_a_form_opens_with_what_the_panel_shows_and_the_panel_follows_it(
    pruned, operator, params, follow
):
    panel = PanelSession(pruned).call("open_form", operator=operator, **params)
    prompt = panel.asked_for("prompt_user_for_operation")
    assert prompt["operator_uri"] == f"@fiftyone-drop/drop/{operator}"
    assert prompt["params"] == params
    assert prompt["on_success"] == (follow and f"{URI}#{follow}")
    assert foo.operator_exists(prompt["operator_uri"])


def test_an_operator_at_work_is_said_and_its_form_is_the_way_to_it(pruned, module_of_plugin, form):
    jobs = module_of_plugin("jobs")
    first, _ = (jobs.start(pruned.name, label) for label in ("DRoP: one", "DRoP: two"))
    states = PanelSession(pruned).page["states"]
    assert [state["way"] for state in states] == ["follow"] * 2
    (of_first,) = (state["of"] for state in states if "DRoP: one" in state["words"])
    assert of_first == first.key
    panel = PanelSession(pruned).call("open_form", operator="running", job=of_first)
    params = panel.asked_for("prompt_user_for_operation")["params"]
    drawn = form(pruned, params, operator="running")
    assert "action" in drawn
    assert first.key in choices(drawn["job"])


# -- what can be missing --------------------------------------------------------------------------


def test_an_empty_panel_says_what_to_do_next(dataset, make_dataset):
    assert "New run" in PanelSession(dataset).page["text"]
    for field in ("ground_truth", "name", "parity"):
        dataset.delete_sample_field(field)
    assert "no class labels" in PanelSession(dataset).page["title"]


EVENTS = {
    "draft": {"choices": {"base": "drop"}, "asked": "d1"},
    "compare_drafts": {"first_key": "drop", "second_key": "other", "asked": "d1"},
    "show": {"density": 0.3, "part": "kept"},
    "report": {},
    "count_score": {"score": "el2n", "density": 0.3},
    "compare": {"other": "other"},
    "show_difference": {"other": "other", "which": "first"},
    "open_form": {"operator": "delete_drop"},
}


READS = ("draft", "compare_drafts", "report", "compare")


def test_the_component_reads_what_python_takes_for_reading(module_of_plugin):
    """What is read takes back no words about a click, on both sides."""
    panel = module_of_plugin("panel").DropPanel
    reads = {name for name in dir(panel) if getattr(getattr(panel, name), "is_read", False)}
    source = Path(module_of_plugin("panel").__file__).parent / "js" / "src" / "events.js"
    (listed,) = re.findall(r"^const READS = (\[.*\]);$", source.read_text(), re.MULTILINE)
    assert set(json.loads(listed)) == reads
    assert reads >= set(READS)


@pytest.mark.parametrize("event", EVENTS)
def test_a_run_deleted_meanwhile_is_said_and_the_others_are_shown(pruned, recalls, event):
    pruned.apply_drop(0.2, label_field="ground_truth", recalls=recalls, key="other")
    panel = PanelSession(pruned).call("open_run", key="drop")
    drawn = panel.run["version"]
    fod.delete_drop(pruned, "drop")
    panel.call(event, key="drop", version=drawn, **EVENTS[event])
    assert "'drop'" in panel.data["message"]
    assert panel.page["runs"] == ["other"]
    assert panel.run["key"] == "other"
    assert panel.asked_for("set_view") is None
    # What works is not reproached with what did not
    panel.call("refresh")
    assert panel.data["message"] is None


def test_a_deleted_field_is_said_and_no_view_is_shown(pruned):
    panel = PanelSession(pruned)
    pruned.delete_sample_field("drop_keep_at")
    panel.call("show", key="drop", density=0.3, part="kept")
    assert "drop_keep_at" in panel.data["message"]
    assert panel.asked_for("set_view") is None
    assert "drop_keep_at" in panel.page["text"]


def test_a_density_that_keeps_nothing_is_said(make_dataset):
    dataset = make_dataset(limit=20)
    dataset.apply_drop(
        0.5,
        label_field="ground_truth",
        rule="proportional",
        min_per_class=0,
        allow_empty_classes=True,
    )
    panel = PanelSession(dataset).call("show", key="drop", density=0.01, part="kept")
    assert "keeps 0 of 20" in panel.data["message"]


@pytest.mark.parametrize("event", [e for e in EVENTS if e != "open_form"])
def test_a_run_changed_meanwhile_is_sent_anew_and_nothing_else_happens(pruned, recalls, event):
    pruned.apply_drop(0.2, label_field="ground_truth", recalls=recalls, key="other")
    panel = PanelSession(pruned).call("open_run", key="drop")
    drawn = panel.run["version"]
    fod.set_density(pruned, "drop", 0.35)
    panel.call(event, key="drop", version=drawn, **EVENTS[event])
    assert "'drop' was changed" in panel.data["message"]
    assert (panel.run["key"], panel.run["density"]) == ("drop", 0.35)
    assert panel.asked_for("set_view") is None
    # What its tab then reads takes none of that back; a click does
    now = panel.run["version"]
    for read in READS:
        panel.call(read, key="drop", version=now, **EVENTS[read])
        assert "'drop' was changed" in panel.data["message"]
    panel.call("show", key="drop", version=panel.run["version"], density=0.3, part="kept")
    assert panel.data["message"] is None
    assert len(panel.view) == len(fod.drop_view(pruned, "drop", 0.3))


def test_what_the_grid_shows_is_not_saved_with_the_page(pruned):
    # The App would read the whole dataset again: once for the view, and once for the panel's state
    panel = PanelSession(pruned)
    panel.call("show", key="drop", density=0.3, part="pruned", class_name="one")
    assert panel.asked_for("patch_panel_state") is None


def test_a_run_whose_classes_cannot_be_read_is_said_and_can_be_deleted(dataset):
    dataset.apply_drop(0.4, label_field="ground_truth", rule="none")
    dataset.rename_sample_field("ground_truth", "renamed")
    panel = PanelSession(dataset)
    assert panel.page["key"] == "drop"
    assert "ground_truth" in panel.page["text"]


def test_refreshing_forgets_what_was_counted(pruned):
    panel = PanelSession(pruned).call("report", key="drop")
    panel.call("refresh", key="drop")
    assert panel.data["report"] is None


def test_a_label_that_is_empty_can_be_seen(dataset):
    labels = dataset.values("ground_truth.label")
    dataset.set_values("ground_truth.label", ["" if x == "one" else x for x in labels])
    dataset.apply_drop(0.5, label_field="ground_truth", rule="proportional")
    panel = PanelSession(dataset)
    assert panel.run["names"][0] == "(empty label '')"
    panel.call("show", key="drop", density=1, part="all", class_name=panel.run["classes"][0])
    assert len(panel.view) == labels.count("one")


# -- the component ---------------------------------------------------------------------------------


def test_the_app_draws_the_component(pruned):
    panel = PanelSession(pruned)
    view = panel.asked_for("show_panel_output")["output"]["view"]
    assert view["component"] == "DropPanel"
    assert view["show"] == f"{URI}#show"
