"""What the form of ``apply_drop`` shows, checks and hands on."""

import inspect
import time
from types import SimpleNamespace

import fiftyone as fo
import fiftyone.operators as foo
import pymongo.collection
import pytest
from reading import choices, message, output, problems, texts

import fiftyone_drop as fod


@pytest.fixture
def apply_drop_form(module_of_plugin):
    """The module of the form."""
    return module_of_plugin("forms.apply_drop")


@pytest.fixture(autouse=True)
def recent(module_of_plugin):
    """What forms have read lately is forgotten."""
    recent = module_of_plugin("forms.recent")
    recent._recent.clear()
    return recent


@pytest.fixture
def parse(apply_drop_form):
    """A function that returns the arguments of apply_drop for what a form, or a script, gives."""

    def arguments(dataset, params):
        context = SimpleNamespace(dataset=dataset, params=params)
        return apply_drop_form.ApplyDropForm(context).arguments()

    return arguments


@pytest.fixture
def validated(dataset, predict):
    """A dataset whose first 100 samples are tagged for validation, predicted and evaluated."""
    view = dataset[:100]
    view.tag_samples("held-out")
    predict(view, eval_key="val_eval")
    dataset.save_view("holdout-view", view)
    return dataset


# -- the form and apply_drop ----------------------------------------------------------------------


def test_every_field_of_the_form_is_a_parameter_of_apply_drop(apply_drop_form, form, validated):
    drawn = set()
    validated.add_sample_field("hardness", fo.FloatField, info={"hard": "high"})
    for source in apply_drop_form.SOURCES:
        for params in ({"recalls_from": source}, {"recalls_from": source, "select": "hardness"}):
            drawn |= set(form(validated, {"more": True} | params))
    shown_only = {"view_target", "keeps", "overlap", "to_settle"}
    for amount in ("size", "max_bytes"):
        drawn |= set(form(validated, {"amount": amount}))
    drawn |= set(form(validated, {"more": True, "suspects_by": "hardness"}))
    form_only = {"recalls_from", "recalls_of", "more", "amount"}
    form_only |= {"suspects_by", "suspects_below", "suspects_above"}
    parameters = set(inspect.signature(fod.apply_drop).parameters)
    assert drawn - shown_only - form_only <= parameters
    # `overwrite` shows once the key is taken, `recalls` are those of another run, and `query`
    # follows from `recalls_from`
    left_out = {"samples", "progress", "model", "recalls", "overwrite", "query", "cluster"}
    # Numbers for every class, which a form has no room for; thresholds are fields of the form
    left_out |= {"quotas", "weights", "drop_below", "drop_above"}
    left_out |= {"embeddings", "brain_key"}  # in Python, as docs/app.md says
    assert parameters - drawn == left_out


def test_the_defaults_of_the_form_are_those_of_apply_drop(form, dataset):
    properties = form(dataset, {"more": True, "recalls_from": "training"})
    parameters = inspect.signature(fod.apply_drop).parameters
    for name in set(properties) & set(parameters) - {"density", "label_field"}:
        assert properties[name].default == parameters[name].default, name


def test_every_rule_can_be_chosen(form, dataset):
    from fiftyone_drop.rules import RULES

    assert choices(form(dataset, {"more": True})["rule"]) == list(RULES)


def test_blank_fields_are_left_to_apply_drop(parse, dataset):
    params = {"density": 0.3, "key": "", "holdout": None, "more": True, "group_by": None}
    assert parse(dataset, params) == {"density": 0.3}


def test_fields_that_are_hidden_again_do_not_count(parse, dataset):
    params = {"density": 0.3, "more": False, "rule": "balanced", "seed": 7}
    params |= {"recalls_from": "training", "folds": 3, "eval_key": "val_eval"}
    assert parse(dataset, params) == {"density": 0.3, "query": "trained", "folds": 3}


def test_a_rule_without_recalls_takes_no_source_of_them(parse, form, dataset):
    params = {"density": 0.3, "more": True, "rule": "proportional"}
    params |= {"recalls_from": "evaluation"}
    assert "recalls_from" not in form(dataset, params)
    assert parse(dataset, params) == {"density": 0.3, "rule": "proportional"}


def test_the_query_model_is_the_one_that_was_chosen(parse, form, dataset):
    for choice, query in (("closed-form", "closed-form"), ("training", "trained")):
        params = {"density": 0.3, "recalls_from": choice}
        assert parse(dataset, params) == {"density": 0.3, "query": query}
        proportional = params | {"more": True, "rule": "proportional"}
        assert parse(dataset, proportional) == {"density": 0.3, "rule": "proportional"}
    assert form(dataset)["recalls_from"].default == "closed-form"
    assert {"folds", "holdout"} <= set(form(dataset, {"recalls_from": "training"}))


def test_a_script_needs_no_switches_of_the_form(parse, dataset):
    params = {"density": 0.3, "rule": "balanced", "eval_key": "val_eval"}
    assert parse(dataset, params) == params


def test_a_chosen_source_without_its_value_never_trains_instead(parse, dataset):
    with pytest.raises(fod.DropError, match="eval_key: choose an evaluation run"):
        parse(dataset, {"density": 0.3, "recalls_from": "evaluation"})


def test_validation_samples_are_a_saved_view_or_a_tag(parse, validated):
    for value in ("view:holdout-view", "tag:held-out"):
        params = {"recalls_from": "validation", "validation": value, "pred_field": "predictions"}
        arguments = parse(validated, params)
        assert arguments["validation"].values("id") == validated[:100].values("id")
    with pytest.raises(fod.DropError, match=r"validation: .* but got 'view:nowhere'"):
        parse(validated, params | {"validation": "view:nowhere"})


def test_recalls_of_another_run_are_those_it_used(parse, dataset, recalls):
    dataset.apply_drop(0.5, key="first", recalls=recalls)
    params = {"recalls_from": "run", "recalls_of": "first"}
    assert parse(dataset, params)["recalls"] == pytest.approx(recalls)


# -- what is shown --------------------------------------------------------------------------------


def test_the_default_form_is_short_and_valid(form, dataset):
    properties = form(dataset)
    assert list(properties) == [
        *("view_target", "amount", "density", "keeps", "label_field", "recalls_from", "key"),
        "more",
    ]
    assert problems(properties) == {}
    assert properties["label_field"].default == "ground_truth"
    assert properties["recalls_from"].default == "closed-form"


def test_an_evaluation_is_the_first_choice_where_there_is_one(form, validated):
    properties = form(validated)
    assert properties["recalls_from"].default == "evaluation"
    assert choices(properties["eval_key"]) == ["val_eval"]
    assert properties["eval_key"].default == "val_eval"
    assert problems(properties) == {}


def test_only_evaluations_of_the_label_field_are_offered(form, validated):
    properties = form(validated, {"label_field": "name", "recalls_from": "evaluation"})
    assert choices(properties["eval_key"]) == []
    assert "none that fits" in problems(properties)["eval_key"]


def test_validation_offers_saved_views_tags_and_prediction_fields(form, validated):
    properties = form(validated, {"recalls_from": "validation"})
    assert choices(properties["validation"]) == ["view:holdout-view", "tag:held-out", "tag:train"]
    assert "predictions" in choices(properties["pred_field"])
    assert "ground_truth" not in choices(properties["pred_field"])
    assert problems(properties)["validation"] == "choose a saved view or a sample tag"


def test_only_score_fields_with_a_direction_can_be_selected_by(form, dataset):
    dataset.add_sample_field("hardness", fo.FloatField, info={"hard": "high"})
    dataset.add_sample_field("weight", fo.FloatField)
    properties = form(dataset, {"more": True, "select": "hardness"})
    assert choices(properties["select"]) == ["random", "hardness"]
    assert choices(properties["keep"]) == ["hardest", "easiest"]


def test_the_resulting_size_is_shown_for_the_target_view(form, dataset):
    assert message(form(dataset, {"density": 0.3})["keeps"]) == "Keeps 90 of 300 samples"
    view = dataset[:100]
    assert message(form(view, {"density": 0.3})["keeps"]) == "Keeps 30 of 100 samples"
    whole = form(view, {"density": 0.3, "view_target": "DATASET"})
    assert message(whole["keeps"]) == "Keeps 90 of 300 samples"


def test_samples_that_somebody_has_selected_are_the_first_choice(form, dataset):
    selected = dataset.take(30, seed=1).values("id")
    properties = form(dataset, selected=selected)
    assert properties["view_target"].default == "SELECTED_SAMPLES"
    assert "DATASET" in choices(properties["view_target"])
    assert message(properties["keeps"]).endswith("of 30 samples")


def test_splits_are_offered_with_their_sizes_and_the_right_ones_chosen(form, validated):
    validated[250:].tag_samples("val")
    validated[250:].untag_samples("train")
    properties = form(validated, {"recalls_from": "validation"})
    words = {c.value: c.label for c in properties["view_target"].view.choices}
    assert words["tag:train"] == "The split train (250 samples)"
    assert words["tag:val"] == "The split val (50 samples)"
    assert properties["view_target"].default == "tag:train"
    assert message(properties["keeps"]) == "Keeps 125 of 250 samples"
    assert properties["validation"].default == "tag:val"
    offered = {c.value: c.label for c in properties["validation"].view.choices}
    assert list(offered)[:2] == ["tag:train", "tag:val"]
    assert offered["tag:val"] == "The split val (50 samples)"
    assert offered["tag:held-out"] == "The 100 samples tagged held-out"
    whole = form(validated, {"view_target": "DATASET"})
    assert message(whole["keeps"]) == "Keeps 150 of 300 samples"
    assert form(validated, {"view_target": "tag:val"})["view_target"].default == "tag:train"


def test_recall_is_measured_on_the_split_that_was_set_apart(form, recent, dataset, predict):
    dataset[250:].tag_samples("val")
    dataset[250:].untag_samples("train")
    assert form(dataset)["recalls_from"].default == "closed-form"  # nobody has predicted it
    recent._recent.clear()
    predict(dataset, eval_key="on_all")
    dataset.set_values("predictions.confidence", [0.5] * 300)
    properties = form(dataset)
    assert problems(properties) == {}
    assert properties["recalls_from"].default == "validation"  # the evaluation saw the target
    assert (properties["validation"].default, properties["pred_field"].default) == (
        "tag:val",
        "predictions",
    )
    recent._recent.clear()
    predict(dataset[250:], eval_key="on_val")
    properties = form(dataset)
    assert properties["recalls_from"].default == "evaluation"
    assert properties["eval_key"].default == "on_val"
    assert "overlap" not in properties
    training = form(dataset, operator="train_query_model")
    assert training["recall_on"].default == "validation"
    assert training["validation"].default == "tag:val"


def test_the_messages_of_a_run_on_all_splits_name_what_to_choose(run_in_app, dataset):
    dataset[250:].tag_samples("val")
    dataset[250:].untag_samples("train")
    params = {"density": 0.5, "more": True, "rule": "proportional", "view_target": "DATASET"}
    schema, _ = output(run_in_app(dataset, params))
    assert "choose The split train in the form" in texts(schema)
    assert "match_tags" not in texts(schema)


@pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")
def test_a_part_of_a_run_in_the_grid_leads_to_the_samples_of_the_run(form, validated):
    view = validated[100:].apply_drop(0.3, eval_key="val_eval")
    for shown, params in ((view, {}), (validated, {"run": "drop"})):
        properties = form(shown, params)
        assert problems(properties) == {}
        assert properties["view_target"].default == "run:drop"
        assert properties["eval_key"].default == "val_eval"
        assert properties["key"].default == "drop_2"
        assert message(properties["keeps"]) == "Keeps 100 of 200 samples"


def test_a_problem_of_a_field_far_below_is_said_at_the_top_too(form, dataset):
    properties = form(dataset, {"more": True, "min_per_class": 10_000})
    assert list(properties)[:2] == ["view_target", "to_settle"]
    assert "Samples to keep of each class, at least" in message(properties["to_settle"])
    assert set(problems(properties)) == {"density", "min_per_class"}


def test_an_emptied_key_and_a_negative_seed_are_not_taken(form, dataset):
    wrong = problems(form(dataset, {"key": "", "more": True, "seed": -1}))
    assert set(wrong) == {"key", "seed"}


@pytest.mark.parametrize("forged", [{"key": ""}, {"seed": -1}])
def test_a_forged_key_or_seed_is_refused_with_the_field(run_in_app, dataset, forged):
    params = {"density": 0.5, "more": True, "rule": "proportional"} | forged
    schema, _ = output(run_in_app(dataset, params))
    assert "Nothing was pruned" in texts(schema)
    assert next(iter(forged)) in texts(schema)
    assert fod.list_drops(dataset) == []


def test_pruning_what_another_run_keeps_is_pointed_out(form, dataset, recalls):
    view = dataset.apply_drop(0.5, recalls=recalls)
    notice = form(view, {"key": "again", "view_target": "CURRENT_VIEW"})["part_of_drop"]
    assert message(notice) == "The target view is a part of the drop run 'drop', pruned already"
    assert "part_of_drop" not in form(dataset, {"key": "again"})


def test_typing_counts_the_samples_once(recent, form, dataset, monkeypatch):
    counted = []
    count = fo.Dataset.__len__
    monkeypatch.setattr(fo.Dataset, "__len__", lambda self: counted.append(1) or count(self))
    for density in (0.1, 0.12, 0.125):
        form(dataset, {"density": density})
    assert len(counted) == 1
    later = time.monotonic() + recent.SECONDS + 1
    monkeypatch.setattr(recent.time, "monotonic", lambda: later)
    form(dataset)
    assert len(counted) == 2


# -- bad input is shown at its field --------------------------------------------------------------


@pytest.mark.parametrize("density", [0, -0.5, 1.5, 50])
def test_a_bad_density_is_shown_at_its_field(form, dataset, density):
    properties = form(dataset, {"density": density})
    assert "in (0, 1]" in problems(properties)["density"]
    assert "keeps" not in properties


def test_a_density_that_keeps_nothing_names_one_that_works(form, dataset):
    assert (
        "the smallest density that works is"
        in problems(form(dataset, {"density": 0.001}))["density"]
    )


@pytest.mark.parametrize("key", ["my key", "1st", "_hidden"])
def test_a_key_that_is_no_field_name_is_shown_at_its_field(form, dataset, key):
    properties = form(dataset, {"key": key})
    assert "must be a valid field name" in problems(properties)["key"]
    assert "overwrite" not in properties


def test_a_taken_key_offers_to_replace_the_run(form, dataset, recalls):
    dataset.apply_drop(0.5, recalls=recalls)
    assert form(dataset)["key"].default == "drop_2"
    properties = form(dataset, {"key": "drop"})
    assert "there is a drop run 'drop' already" in problems(properties)["key"]
    assert properties["overwrite"].default is False
    assert problems(form(dataset, {"key": "drop", "overwrite": True})) == {}
    assert problems(form(dataset, {"key": "other"})) == {}


def test_a_key_whose_field_belongs_to_something_else_is_shown_at_its_field(form, dataset):
    dataset.add_sample_field("drop_kept", fo.BooleanField)
    assert "'drop_kept' exists" in problems(form(dataset, {"key": "drop"}))["key"]


def test_several_label_fields_ask_for_one(form, dataset):
    dataset.set_values("second", [fo.Classification(label="a")] * len(dataset))
    properties = form(dataset)
    assert "several fields" in problems(properties)["label_field"]
    assert problems(form(dataset, {"label_field": "second"})) == {}


def test_a_collection_that_cannot_be_pruned_shows_why_and_nothing_else(form, make_dataset):
    empty = make_dataset(rows=[])
    properties = form(empty)
    assert "the target view is empty" in problems(properties)["problem"]
    assert set(properties) == {"view_target", "problem"}


def test_without_a_dataset_the_form_says_so():
    import asyncio

    from fiftyone.operators.executor import resolve_type
    from fiftyone.operators.registry import OperatorRegistry

    request = {"dataset_name": None, "params": {}, "target": "inputs"}
    uri = "@fiftyone-drop/drop/apply_drop"
    properties = asyncio.run(resolve_type(OperatorRegistry(), uri, request)).type.properties
    assert problems(properties) == {"problem": "Open a dataset first"}


def test_a_density_below_the_floors_names_one_that_works(form, dataset):
    params = {"density": 0.1, "min_per_class": 20, "more": True}
    assert "fewer than the 200" in problems(form(dataset, params))["density"]
    assert problems(form(dataset, params | {"rule": "none"})) == {}


def test_a_floor_that_is_no_number_is_shown_at_its_field(form, dataset):
    properties = form(dataset, {"density": 0.5, "min_per_class": -1, "more": True})
    assert "must be a whole number >= 0" in problems(properties)["min_per_class"]
    assert "at least': must be" in problems(form(dataset, {"min_per_class": 1.5}))["problem"]


def test_samples_without_a_label_are_counted_until_they_are_left_out(form, dataset):
    dataset[:4].set_values("ground_truth", [None] * 4)
    params = {"label_field": "ground_truth", "density": 0.5, "more": True}
    assert "4 of 300 samples have no label" in problems(form(dataset, params))["label_field"]
    properties = form(dataset, params | {"skip_unlabeled": True})
    assert problems(properties) == {}
    assert message(properties["keeps"]) == "Keeps 148 of 296 samples"


EVALUATION = {"label_field": "ground_truth", "recalls_from": "evaluation", "eval_key": "val_eval"}


def test_validation_samples_in_the_target_view_are_counted(form, validated):
    words = "100 of 100 validation samples are in the target view too"
    assert words in message(form(validated, EVALUATION)["overlap"])
    assert "50 of 100" in message(form(validated[50:], EVALUATION)["overlap"])
    assert "overlap" not in form(validated[100:], EVALUATION)
    view = {"recalls_from": "validation", "validation": "view:holdout-view"}
    assert words in message(form(validated, EVALUATION | view)["overlap"])


def test_classes_without_a_recall_are_named_unless_one_is_given(form, dataset, predict):
    without = dataset.match(fo.ViewField("ground_truth.label") != "two")
    predict(without, eval_key="val_eval")
    without.tag_samples("no-twos")
    validation = {"recalls_from": "validation", "validation": "tag:no-twos"}
    for params, field in ((EVALUATION, "eval_key"), (EVALUATION | validation, "validation")):
        params = params | {"pred_field": "predictions", "more": True}
        assert "no validation sample of 'two'" in problems(form(dataset, params))[field]
        assert problems(form(dataset, params | {"missing_recall": 0.5})) == {}


def test_another_run_must_have_recalls_of_all_classes(form, dataset, recalls):
    del recalls["two"]
    dataset.match(fo.ViewField("ground_truth.label") != "two").apply_drop(
        0.5, recalls=recalls, key="no_twos"
    )
    params = {"label_field": "ground_truth", "recalls_from": "run", "recalls_of": "no_twos"}
    assert "no validation sample of 'two'" in problems(form(dataset, params))["recalls_of"]


def test_the_samples_are_read_once_for_many_keystrokes(form, validated, monkeypatch):
    form(validated, EVALUATION)
    monkeypatch.setattr(pymongo.collection.Collection, "aggregate", None)
    for density in (0.2, 0.25, 0.255):
        params = EVALUATION | {"density": density, "key": "other"}
        assert "keeps" in form(validated, params)


def test_what_took_long_to_read_is_kept_longer(recent, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(recent.time, "monotonic", lambda: now[0])
    read = []

    def slowly():
        read.append(1)
        now[0] += 10

    recent.recently("it", slowly)
    now[0] += 10 * recent.SECONDS - 1
    recent.recently("it", slowly)
    assert len(read) == 1
    now[0] += 2
    recent.recently("it", slowly)
    assert len(read) == 2


def test_a_form_asks_and_the_package_decides(dataset, recalls, module_of_plugin, monkeypatch):
    # What a form has read may be out of date when the operator is executed
    drawn = module_of_plugin("forms.base").Form
    monkeypatch.setattr(drawn, "draw", None)
    foo.execute_operator(
        "@fiftyone-drop/drop/apply_drop",
        {"dataset": dataset},
        params={"density": 0.5, "recalls": recalls},
    )
    assert fod.list_drops(dataset) == ["drop"]


# -- how much and which ---------------------------------------------------------------------------


def test_how_much_is_a_fraction_a_number_of_samples_or_of_bytes(form, parse, dataset):
    properties = form(dataset, {"amount": "size", "size": 100, "density": 0.3})
    assert "density" not in properties
    assert message(properties["keeps"]) == "Keeps 100 of 300 samples"
    arguments = parse(dataset, {"amount": "size", "size": 100, "density": 0.3})
    assert (arguments["size"], arguments.get("density")) == (100, None)
    assert parse(dataset, {"amount": "max_bytes", "max_bytes": 9000})["max_bytes"] == 9000
    assert "density" not in parse(dataset, {"size": 100})
    assert parse(dataset, {})["density"] == 0.5
    assert "say how many samples" in problems(form(dataset, {"amount": "size"}))["size"]
    too_many = problems(form(dataset, {"amount": "size", "size": 301}))
    assert "301 is more than the 300 samples" in too_many["size"]
    unknown = form(dataset, {"amount": "max_bytes", "max_bytes": 9000})
    assert "keeps" not in unknown
    assert problems(unknown) == {}


def test_bounds_are_shown_at_their_fields_and_passed_on(form, parse, dataset):
    params = {"more": True, "max_per_class": 10, "protect": ["three"], "must_keep": "train"}
    properties = form(dataset, params)
    assert "more than the" in problems(properties)["density"]
    assert "eight" in choices(properties["protect"])
    assert choices(properties["must_keep"]) == ["train"]
    params |= {"density": 0.3}
    assert problems(form(dataset, params)) == {}
    arguments = parse(dataset, params)
    assert arguments["protect"] == ["three"]
    assert arguments["max_per_class"] == 10
    assert arguments["must_keep"] == "train"
    assert parse(dataset, {"more": False} | params | {"more": False}).keys() == {"density"}
    assert "protect" not in parse(dataset, {"protect": []})
    contradiction = problems(form(dataset, {"more": True, "max_per_class": 0}))
    assert "each class, at least' asks for 1" in contradiction["max_per_class"]


def test_suspects_leave_by_a_score_field_and_thresholds(form, parse, dataset):
    dataset.add_sample_field("aum", fo.FloatField)
    properties = form(dataset, {"more": True, "suspects_by": "aum"})
    assert {"suspects_below", "suspects_above"} <= set(properties)
    assert "suspects_below" not in form(dataset, {"more": True})
    arguments = parse(dataset, {"suspects_by": "aum", "suspects_below": 0, "suspects_above": 9})
    assert arguments["drop_below"] == {"aum": 0}
    assert arguments["drop_above"] == {"aum": 9}
    assert "drop_above" not in parse(dataset, {"suspects_by": "aum", "suspects_below": 0})
    assert "needs a threshold" in problems(properties)["suspects_by"]
    with pytest.raises(fod.DropError, match="suspects_by: needs a threshold"):
        parse(dataset, {"suspects_by": "aum"})


def test_several_fields_divide_classes_into_cells(form, parse, dataset):
    properties = form(dataset, {"more": True, "group_by": ["parity", "name"]})
    assert problems(properties) == {}
    assert parse(dataset, {"group_by": ["parity", "name"]})["group_by"] == ["parity", "name"]
    assert parse(dataset, {"group_by": "parity"})["group_by"] == "parity"
    assert "group_by" not in parse(dataset, {"group_by": []})


def test_other_kinds_are_refused(parse, form, dataset):
    for params in (
        {"protect": "three"},
        {"protect": [3]},
        {"group_by": [3]},
        {"amount": "all"},
        {"max_per_class": [3]},
        {"must_keep": ["train"]},
    ):
        name = next(iter(params))
        assert form(dataset, {"more": True} | params)
        assert any(
            name in key or name in text
            for key, text in problems(form(dataset, {"more": True} | params)).items()
        )
