"""Every command does what its function does, prints words or JSON, and ends with the right code."""

import inspect
import json
import re
import shlex
from pathlib import Path

import fiftyone as fo
import numpy as np
import pymongo
import pytest
from click.testing import CliRunner

import fiftyone_drop as fod
from fiftyone_drop.cli.main import main
from fiftyone_drop.scoring import SCORES
from fiftyone_drop.waiting import while_away

FUNCTIONS = {
    "plan": fod.plan_drop,
    "apply": fod.apply_drop,
    "list": fod.list_drops,
    "show": fod.load_drop,
    "move": fod.set_density,
    "verify": fod.verify_drop,
    "delete": fod.delete_drop,
    "scores": fod.compute_scores,
    "export": fod.drop_view,
}
NAME = "my-images"
# The commands on datasets; tests/plugin/test_installing.py has the other one
COMMANDS = sorted(set(main.commands) - {"install-plugin"})


@pytest.fixture
def call(tmp_path, monkeypatch):
    """A function that runs a line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(line, **kwargs):
        return CliRunner().invoke(main, shlex.split(line), **kwargs)

    return run


@pytest.fixture
def images(dataset, predict, recalls):
    """The dataset of the examples: an evaluation, predictions, logits, and a run."""
    dataset.name = NAME
    dataset.apply_drop(0.5, label_field="ground_truth", recalls=recalls)
    dataset.set_values("tags", [["train"] if i < 200 else ["val"] for i in range(300)])
    predict(dataset, eval_key="val_eval")
    dataset.classes = {"predictions": sorted(recalls)}
    logits = np.random.default_rng(0).normal(size=(300, 10))
    dataset.set_values("predictions.logits", list(logits))
    dataset.save_view("first", dataset.limit(150))
    return dataset


def json_of(result):
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


PAGE = Path(__file__).parents[2] / "docs" / "command_line.md"

# -- every command --------------------------------------------------------------------------------


def test_every_command_is_one_of_the_public_functions():
    assert sorted(FUNCTIONS) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_of_its_help_runs(name, images, call):
    example = main.commands[name].example
    shown = " ".join(call(f"{name} --help").output.split())
    assert shown.endswith(f"Example: {example}")
    program, _, line = example.partition(" ")
    assert program == "fiftyone-drop"
    assert line.split()[:2] == [name, NAME]
    result = call(line)
    assert result.exit_code == 0, (result.output, result.exception)


@pytest.mark.parametrize("name", COMMANDS)
def test_its_answer_can_be_json(name, images, call):
    line = main.commands[name].example.partition(" ")[2]
    assert json_of(call(f"{line} --json"))


@pytest.mark.parametrize("name", sorted(main.commands))
def test_the_page_shows_its_example(name):
    assert f"\n{main.commands[name].example}\n" in PAGE.read_text()


def test_the_page_lists_every_public_name_that_a_shell_lacks():
    section = PAGE.read_text().split("## In Python alone")[1].split("\n## ")[0]
    listed = set(re.findall(r"`(\w+)`", section))
    functions = {name for name in fod.__all__ if inspect.isfunction(getattr(fod, name))}
    commands = {function.__name__ for function in FUNCTIONS.values()}
    assert functions - commands == listed & functions - {"compute_scores", "drop_view"}
    parameters = set(inspect.signature(fod.drop_view).parameters)
    options = {parameter.name for parameter in main.commands["export"].params}
    assert parameters - options == listed & parameters


# Views and models have names on the command line; a transform has none
ONLY_HERE = {"dataset", "view", "tags", "as_json", "yes", "validation_view", "validation_tags"}
ONLY_HERE |= {"must_keep_view", "model_file", "export_dir", "dataset_type"}
ONLY_IN_PYTHON = {"samples", "dataset", "validation", "transform"}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "export"])
def test_its_options_are_the_arguments_of_the_function(name):
    options = {parameter.name: parameter for parameter in main.commands[name].params}
    arguments = inspect.signature(FUNCTIONS[name]).parameters
    assert set(options) - ONLY_HERE == set(arguments) - ONLY_IN_PYTHON
    for argument, parameter in arguments.items():
        if argument in ONLY_IN_PYTHON or parameter.kind is parameter.VAR_KEYWORD:
            continue
        shown = re.findall(r"\[default: (.*)\]", getattr(options[argument], "help", "") or "")
        default = parameter.default
        assert options[argument].required == (default is parameter.empty and argument == "key")
        if default not in (parameter.empty, None, False, ""):
            assert shown == [default[0] if isinstance(default, tuple) else str(default)], argument
        else:
            assert shown == [], argument


@pytest.mark.parametrize("name", COMMANDS)
def test_a_dataset_that_does_not_exist_is_one_sentence_and_code_1(name, call):
    line = main.commands[name].example.partition(" ")[2].replace(NAME, "no-such")
    result = call(line)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: dataset: 'no-such' does not exist")
    assert len(result.stderr.splitlines()) == 1


def test_a_list_of_no_runs_is_no_line(small, call):
    result = call(f"list {small.name}")
    assert (result.exit_code, result.stdout) == (0, "")


# -- plan and apply -------------------------------------------------------------------------------


def test_a_plan_is_that_of_plan_drop_and_writes_nothing(images, call):
    before = (images.list_runs(), list(images.get_field_schema()))
    answer = json_of(call(f"plan {NAME} --density 0.3 --eval-key val_eval --json"))
    with pytest.warns(fod.DropWarning):
        expected = fod.plan_drop(images, 0.3, eval_key="val_eval")
    assert answer == json.loads(json.dumps(expected.to_dict()))
    assert {row["class"]: row["quota"] for row in answer["table"]} == expected.quotas
    images.reload()
    assert (images.list_runs(), list(images.get_field_schema())) == before


def test_every_kind_of_value_arrives_as_python_would_pass_it(images, call, monkeypatch):
    images.save_view("gold", images.limit(2))
    passed = {}

    def remember(samples, **arguments):
        passed.update(arguments, samples=samples)
        raise fod.DropError("samples", "enough")

    monkeypatch.setattr("fiftyone_drop.plan_drop", remember)
    given = (
        "--view first --tags train --size 100 --recalls zero=0.5 --recalls 'a=b=1' "
        "--recalls '[\"one\", \"odd\"]=0.25' --group-by parity --protect two --protect '[x' "
        "--min-per-class 2 --max-per-class zero=7 --quotas four=3 --quotas five=0.5 "
        "--smoothing 0 --seed 0 --no-progress --skip-unlabeled --model a --model b "
        "--validation-tags val --must-keep-view gold"
    )
    assert call(f"plan {NAME} {given}").exit_code == 1
    assert len(passed.pop("samples")) == 150
    assert len(passed.pop("validation")) == 100
    assert passed.pop("must_keep").values("id") == images.limit(2).values("id")
    assert passed == {
        "size": 100,
        "recalls": {"zero": 0.5, "a=b": 1, ("one", "odd"): 0.25},
        "group_by": ("parity",),
        "protect": ("two", "[x"),
        "min_per_class": 2,
        "max_per_class": {"zero": 7},
        "quotas": {"four": 3, "five": 0.5},
        "smoothing": 0,
        "seed": 0,
        "progress": False,
        "skip_unlabeled": True,
        "model": ["a", "b"],
    }
    assert isinstance(passed["quotas"]["four"], int)


def test_a_run_is_written_as_apply_drop_writes_it(images, call, recalls):
    given = " ".join(f"--recalls {name}={recall}" for name, recall in recalls.items())
    answer = json_of(
        call(
            f"apply {NAME} --view first --label-field ground_truth --key half "
            f"--size 60 --protect zero {given} --json"
        )
    )
    images.reload()
    expected = images.load_saved_view("first").apply_drop(
        size=60, label_field="ground_truth", key="again", recalls=recalls, protect=["zero"]
    )
    assert images.values("half_keep_at") == images.values("again_keep_at")
    assert answer["kept"] == len(expected) == 60
    assert answer["key"] == "half"
    shown = call(f"show {NAME} --key half")
    assert shown.stdout == f"{fod.load_drop(images, 'half')}\n"


def test_a_run_is_replaced_only_if_that_is_asked_for(images, call):
    line = f"apply {NAME} --density 0.2 --rule balanced --label-field ground_truth"
    result = call(line)
    assert result.exit_code == 1
    assert "overwrite" in result.stderr
    assert fod.load_drop(images, "drop").density == 0.5
    result = call(f"{line} --overwrite")
    assert result.stdout.startswith("60 samples are kept, in the saved view 'drop-kept'\nclass")


def test_a_query_model_of_a_file_measures_recalls(images, call, tmp_path, few_steps):
    training = images.match_tags("train")
    model = fod.train_query_model(training, "ground_truth", epochs=1, holdout=0.2, key="q")
    model.save(tmp_path / "q.pt")
    line = (
        f"plan {NAME} --tags train --label-field ground_truth --density 0.5 --validation-tags val"
    )
    answer = json_of(call(f"{line} --model-file q.pt --json"))
    assert sum(row["measured_on"] for row in answer["table"]) == 100
    Path("none.pt").write_text("none")
    assert call(f"{line} --model-file none.pt").stderr.startswith("Error: model_file: must be a fi")
    result = call(f"{line} --model-file q.pt --model predictions")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "leave one of them out" in result.stderr


def test_warnings_are_sentences_on_stderr(images, call):
    result = call(f"plan {NAME} --density 0.5 --eval-key val_eval --json")
    answer = json_of(result)
    assert answer["warnings"]
    for message in answer["warnings"]:
        assert f"Warning: {message}\n" in result.stderr


# -- what follows a run ---------------------------------------------------------------------------


def test_runs_are_listed_shown_and_moved(images, call):
    assert call(f"list {NAME}").stdout == "drop\n"
    assert json_of(call(f"move {NAME} --key drop --density 0.25 --json"))["kept"] == 75
    assert json_of(call(f"show {NAME} --key drop --json"))["density"] == 0.25
    images.reload()
    assert len(images.load_saved_view("drop-kept")) == 75
    result = call(f"move {NAME} --key drop --density 1.5")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: density: must be")


def test_what_changed_is_told(images, call):
    assert json_of(call(f"verify {NAME} --key drop --json"))["unchanged"]
    first = images.first()
    first["ground_truth"].label = "other"
    first.save()
    answer = json_of(call(f"verify {NAME} --key drop --json"))
    assert (answer["unchanged"], answer["relabelled"]) == (False, [first.id])


@pytest.mark.parametrize(("said", "left"), [("n\n", ["drop"]), ("", ["drop"]), ("y\n", [])])
def test_a_run_is_deleted_if_the_answer_is_yes(images, call, said, left):
    result = call(f"delete {NAME} --key drop --json", input=said)
    assert "Delete the drop run 'drop' of 'my-images'?" in result.stderr
    assert result.exit_code == (1 if left else 0)
    assert fod.list_drops(images) == left
    assert result.stdout == ("" if left else '{\n  "key": "drop"\n}\n')


def test_conventions_of_scores_are_texts_and_whole_numbers(images, call, monkeypatch):
    passed = {}
    monkeypatch.setattr(
        "fiftyone_drop.compute_scores", lambda *_, **more: passed.update(more) or []
    )
    line = "--switches never_learned=inf --switches picks=30 --scores el2n --classes b --classes a"
    assert json_of(call(f"scores {NAME} {line} --json")) == {"fields": []}
    switches = {"never_learned": "inf", "picks": 30}
    assert passed == switches | {"scores": ("el2n",), "classes": ("b", "a")}
    passed.clear()
    line = "--switches picks=-1 --switches a=0.5 --switches b=c=d"
    assert call(f"scores {NAME} {line}").exit_code == 0
    assert passed == {"picks": -1, "a": 0.5, "b": "c=d"}


@pytest.mark.parametrize(
    ("switch", "remedy"),
    [
        ("seed=2", "pass --seed"),
        ("label_field=name", "pass --label-field"),
        ("overwrite=1", "pass --overwrite"),
        ("samples=x", "leave it out here"),
        ("transform=x", "leave it out here"),
    ],
)
def test_a_switch_never_becomes_an_argument(images, call, switch, remedy):
    before = list(images.get_field_schema())
    result = call(f"scores {NAME} --model predictions --seed 1 --switches {switch}")
    assert (result.exit_code, result.stdout) == (1, "")
    name = switch.partition("=")[0]
    assert result.stderr.startswith("Error: switches: must be conventions of scores")
    assert result.stderr.endswith(f"{name!r} is an argument of its own; {remedy}\n")
    images.reload()
    assert list(images.get_field_schema()) == before


def test_the_help_lists_the_scores_that_a_model_gives(call):
    shown = " ".join(call("scores --help").output.split())
    listed = re.search(r"A score: ([\w, ]+)\.", shown)[1].split(", ")
    assert sorted(listed) == sorted(n for n, s in SCORES.items() if s.needs != "dynamics")


def test_scores_are_written_with_their_switches(images, call):
    line = f"scores {NAME} --label-field ground_truth --model predictions --prefix my_"
    answer = json_of(call(f"{line} --scores entropy --scores el2n --json"))
    assert answer == {"fields": ["my_entropy", "my_el2n"]}
    images.reload()
    assert None not in images.values("my_el2n")
    result = call(f"{line} --scores entropy --switches picks=3")
    assert result.exit_code == 1
    assert "picks" in result.stderr


# -- export ---------------------------------------------------------------------------------------


def test_the_kept_images_lie_in_a_folder_per_class(images, call, tmp_path):
    assert call(f"export {NAME} kept --key drop").stdout == "150 samples are in kept\n"
    kept = images.load_saved_view("drop-kept").count_values("ground_truth.label")
    folders = {p.name: len(list(p.iterdir())) for p in (tmp_path / "kept").iterdir()}
    assert folders == kept


@pytest.mark.parametrize("kind", ["FiftyOneImageClassificationDataset", "FiftyOneDataset"])
def test_another_format_can_be_imported_again(images, call, tmp_path, made_datasets, kind):
    line = f"export {NAME} kept --key drop --density 0.2 --dataset-type {kind} --json"
    assert json_of(call(line))["samples"] == 60
    again = fo.Dataset.from_dir(str(tmp_path / "kept"), getattr(fo.types, kind))
    made_datasets.append(again)
    assert again.count_values("ground_truth.label") == fod.drop_view(
        images, "drop", 0.2
    ).count_values("ground_truth.label")


ODD = ["../../x", "/tmp/x", "a/../../x", "..", ".", "", "a/b", ".hidden", "a\\b", "x\0y"]


@pytest.mark.parametrize("name", ODD)
def test_a_class_that_leads_out_of_the_folder_is_refused_by_name(images, call, tmp_path, name):
    kept = images.load_saved_view("drop-kept").first()
    kept["ground_truth"].label = name
    kept.save()
    result = call(f"export {NAME} a/b/kept --key drop")
    assert (result.exit_code, result.stdout) == (1, "")
    assert repr(name) in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_export_never_joins_files_that_are_there(images, call, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine.txt").write_text("mine")
    result = call(f"export {NAME} kept --key drop")
    assert result.exit_code == 1
    assert "export_dir: must be a new or an empty folder" in result.stderr
    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["mine.txt"]


def test_labels_that_are_texts_can_leave_as_a_dataset_only(images, call):
    line = f"export {NAME} kept --key drop --label-field name"
    result = call(line)
    assert result.exit_code == 1
    assert "label_field: must be a Classification field" in result.stderr
    assert call(f"{line} --dataset-type FiftyOneDataset").exit_code == 0


# -- what is none of the user's arguments ---------------------------------------------------------


def unreachable(*_, **__):
    """The error of a server that nobody listens for."""
    address = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50"
    pymongo.MongoClient(address).admin.command("ping")


def away(*_, **__):
    """The error of a call that has waited for its database."""
    return while_away(unreachable, "the scores are in a checkpoint")


def unwritable(*_, **__):
    Path("/proc/nobody").mkdir()


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        (unreachable, "Error: the database failed (127.0.0.1:1: "),
        (away, "the scores are in a checkpoint: make the same call again"),
        (unwritable, "'/proc/nobody'"),
    ],
)
def test_a_database_that_is_away_and_a_file_are_a_sentence_and_code_1(
    images, call, monkeypatch, fails, words
):
    monkeypatch.setattr("fiftyone_drop.compute_scores", fails)
    result = call(f"scores {NAME}")
    assert (result.exit_code, result.stdout) == (1, "")
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_ctrl_c_and_a_mistake_of_ours_are_what_they_are(images, call, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    def wrong(*_, **__):
        raise AssertionError("ours")

    monkeypatch.setattr("fiftyone_drop.list_drops", stopped)
    result = call(f"list {NAME}")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.strip() == "Aborted!"
    monkeypatch.setattr("fiftyone_drop.list_drops", wrong)
    assert isinstance(call(f"list {NAME}").exception, AssertionError)


# -- wrong usage ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("plan", "Missing argument 'DATASET'"),
        ("show my-images", "Missing option '--key'"),
        ("plan my-images --densty 0.5", "No such option"),
        ("plan my-images --density half", "'half' is not a valid float"),
        ("plan my-images --recalls cat", "'cat' is not NAME=NUMBER"),
        ("plan my-images --recalls cat=good", "'cat=good' is not NAME=NUMBER"),
        ("plan my-images --recalls a=1 --recalls a=0", "names something twice"),
        ("plan my-images --min-per-class many", "'many' is not NAME=NUMBER"),
        ("plan my-images --min-per-class 2 --min-per-class a=3", "one number for all, or"),
        ("scores my-images --switches picks", "'picks' is not NAME=VALUE"),
        ("scores my-images --switches =1", "'=1' is not NAME=VALUE"),
        ("scores my-images --switches picks=1 --switches picks=2", "names something twice"),
        ("plan my-images --recalls cat=nan", "'cat=nan' is not NAME=NUMBER"),
        ("plan my-images --max-per-class inf", "'inf' is not NAME=NUMBER"),
        ("export my-images x --key drop --dataset-type Zip", "'Zip' is not one of"),
        ("plan my-images --model-file nowhere.pt", "does not exist"),
        ("prune my-images", "No such command 'prune'"),
    ],
)
def test_wrong_usage_is_code_2(call, line, message):
    result = call(line)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_a_saved_view_that_does_not_exist_is_named(images, call):
    for option in ("view", "validation-view", "must-keep-view"):
        result = call(f"plan {NAME} --density 0.5 --label-field ground_truth --{option} none")
        assert result.exit_code == 1
        argument = option.replace("-", "_")
        expected = f"Error: {argument}: 'my-images' has no saved view 'none'; there are 'drop-kept'"
        assert result.stderr.startswith(expected)
