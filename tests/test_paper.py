"""The paper's experiment runs, goes on where it stopped, and reports what it measured.

On coloured squares instead of photos: what is tested is the machinery, not the claim.
"""

import io
import json
import multiprocessing
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from fiftyone_drop.engine import checkpoint
from fiftyone_drop.scoring import DynamicsRecorder

PAPER = Path(__file__).resolve().parents[1] / "benchmarks" / "paper"
sys.path.append(str(PAPER))

import costs  # noqa: E402
import places  # noqa: E402
import provenance  # noqa: E402
import report  # noqa: E402
import run  # noqa: E402
import strengths  # noqa: E402
import tasks  # noqa: E402
from data import Split  # noqa: E402
from presets import PRESETS  # noqa: E402
from records import PART, TUNED, Arm, Difference, Results, read  # noqa: E402
from training import Images, Training, channel_statistics  # noqa: E402

# A few images of noise teach a network nothing: the recorder takes its logits for those of others
BARELY_LEARNED = pytest.mark.filterwarnings("ignore:Logits and labels do not belong together")

CLASSES = ("blue", "green", "red")
TRAIN, TEST = 30, 12


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A tar archive of JPEG files of three classes: squares of a colour, and noise."""
    path = tmp_path_factory.mktemp("archive") / "squares.tar.xz"
    random = np.random.default_rng(0)
    with tarfile.open(path, "w:xz") as files:
        for split, size in (("train", TRAIN), ("test", TEST)):
            for k, name in enumerate(CLASSES):
                for i in range(size):
                    pixels = random.integers(0, 120, (32, 32, 3), dtype=np.uint8)
                    pixels[..., 2 - k] += 60
                    file = io.BytesIO()
                    Image.fromarray(pixels).save(file, "JPEG")
                    info = tarfile.TarInfo(f"cifar/{split}/{name}/{i:04}.jpg")
                    info.size = file.tell()
                    file.seek(0)
                    files.addfile(info, file)
    return path


def arguments(archive, folder, *more, per_class=20, epochs=3):
    given = {
        "--archive": archive,
        "--cache": folder / "cache",
        "--results": folder,
        "--epochs": epochs,
        "--per-class": per_class,
        "--device": "cpu",
        "--jobs": 1,
    }
    return [*(str(part) for pair in given.items() for part in pair), *more]


def records(folder):
    (path,) = folder.glob("*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def accuracies(folder):
    return {r["task"]: r["accuracy"] for r in records(folder) if "accuracy" in r}


@BARELY_LEARNED
@pytest.mark.slow
@pytest.mark.parametrize("preset", ["cpu", "fast", "paper"])
def test_every_preset_trains_on_what_the_methods_keep(archive, tmp_path, monkeypatch, preset):
    monkeypatch.setattr(tasks, "PUBLISHED_GRADIENTS", 2)
    methods = ("full", "random+drop", "k_center")
    more = ("--preset", preset, "--seeds", "0", "--methods", *methods)
    run.main(arguments(archive, tmp_path, *more, per_class=4))
    cells = {r["method"]: r for r in records(tmp_path) if "method" in r}
    assert set(cells) == set(methods)
    assert sum(cells["full"]["quotas"]) == 12
    assert sum(cells["random+drop"]["quotas"]) == sum(cells["k_center"]["quotas"]) == 6
    for cell in cells.values():
        # Six test images of each class: the other six are for validation
        sixths = 6 * np.array(cell["accuracy"])
        assert np.allclose(sixths, sixths.round(), atol=1e-3)


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_and_ends_with_the_same_accuracies(archive, tmp_path, capsys):
    methods = ("--methods", "full", "random+drop", "el2n+drop", "--seeds", "0")
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    run.main(arguments(archive, straight, *methods))
    script = [sys.executable, PAPER / "run.py", *arguments(archive, killed, *methods)]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if "query-short" in line:
                process.kill()
    assert len(accuracies(killed)) < 3
    run.main(arguments(archive, killed, *methods))
    assert accuracies(killed) == accuracies(straight)
    capsys.readouterr()
    run.main(arguments(archive, killed, *methods))
    assert capsys.readouterr().out.startswith("0 of 5 tasks")


@pytest.mark.slow
def test_several_jobs_that_are_out_of_time_are_dropped_and_leave_no_process(
    archive, tmp_path, capsys
):
    begun = time.monotonic()
    more = ("--jobs", 2, "--brief", "--minutes", 0.15, "--methods", "full", "random")
    run.main(arguments(archive, tmp_path, *map(str, more), epochs=100_000))
    assert time.monotonic() - begun < 60
    assert "out of time: dropped balanced/full/1/0, " in capsys.readouterr().out
    assert multiprocessing.active_children() == []
    assert [r["task"][:4] for r in records(tmp_path)] == ["run "]


@BARELY_LEARNED
@pytest.mark.slow
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS", 0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)  # after every epoch
    labels = np.arange(48) % 3
    pixels = np.random.default_rng(0).integers(0, 256, (48, 32, 32, 3), dtype=np.uint8)
    split = Split(pixels, labels, np.arange(48).astype("S2"))
    images = Images(split, torch.device("cpu"), *channel_statistics(split))
    recipe = PRESETS["cpu"].recipe

    def train(folder, stop=None):
        recorder = DynamicsRecorder(48, labels, scores=["forgetting"])
        epochs = []

        def after(module):
            epochs.append(module)
            if len(epochs) == stop:
                raise KeyboardInterrupt
            return torch.tensor([1.0, 2.0, 3.0])

        training = Training(recipe, images, 4, 0, 3, augment=True, checkpoint_dir=folder)
        module = training.run(after, recorder)
        return len(epochs), module.state_dict(), recorder.finish()["forgetting"]

    _, weights, forgotten = train(None)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, stop=3)
    epochs, resumed, again = train(tmp_path)
    assert epochs == 2
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)
    assert np.array_equal(forgotten, again)
    assert not list(tmp_path.iterdir())


@BARELY_LEARNED
@pytest.mark.slow
def test_minimax_quotas_keep_as_many_by_training_and_in_closed_form(archive, tmp_path):
    methods = ("random+minimax", "random+minimax-closed")
    run.main(arguments(archive, tmp_path, "--seeds", "0", "--methods", *methods, per_class=8))
    cells = {r["method"]: r for r in records(tmp_path) if "method" in r}
    assert set(cells) == set(methods)
    assert [sum(cell["quotas"]) for cell in cells.values()] == [12, 12]
    assert all("minimax" in cell["seconds"] for cell in cells.values())
    assert not any("query" in r["task"] for r in records(tmp_path))


@pytest.mark.slow
def test_the_report_says_what_was_measured(archive, tmp_path):
    more = ("--seeds", "0", "1", "--methods", "full", "random", "random+drop")
    run.main(arguments(archive, tmp_path, *more))
    (path,) = tmp_path.glob("*.jsonl")
    path.rename(tmp_path / "cpu.jsonl")
    page = tmp_path / "evidence.md"
    page.write_text(
        "<!-- cpu:overview -->\nstale words\n<!-- / -->\nbetween\n<!-- cpu:claims --><!-- / -->"
    )
    report.main(["--results", str(tmp_path), "--pages", str(page)])
    cells = [r["accuracy"] for r in records(tmp_path) if r.get("method") == "random+drop"]
    worst = 100 * np.mean([min(accuracy) for accuracy in cells])
    text = page.read_text()
    assert f"| Random + DRoP | {worst:.1f} (" in text
    assert "stale words" not in text
    assert "between" in text
    assert "| Random + DRoP: worst class above Random | balanced | " in text
    assert (tmp_path / "images" / "evidence-cpu-classes.png").stat().st_size > 10_000
    assert "| Random + DRoP | 2 |" in (tmp_path / "cpu.md").read_text()


def test_every_training_that_was_recorded_is_one_of_all():
    wanted = {
        (cell.dataset, cell.method, cell.density, cell.seed)
        for block in run.EVERYTHING
        for cell in run.cells(*block)
    }
    for preset in ("cpu", "fast"):
        found = read(places.RESULTS / f"{preset}.jsonl").cells
        assert {(*key, seed) for key, seeds in found.items() for seed in seeds} <= wanted


def test_differences_are_paired_and_their_intervals_are_those_of_scipy():
    ours, theirs = {0: 61.0, 1: 58.5, 2: 63.0, 7: 99.0}, {2: 55.5, 1: 54.0, 0: 53.0}
    expected = stats.ttest_rel([61.0, 58.5, 63.0], [53.0, 54.0, 55.5]).confidence_interval()
    difference = Difference.of(ours, theirs)
    low, high = difference.mean - difference.half, difference.mean + difference.half
    assert (low, high) == pytest.approx(expected)
    assert difference.n == 3
    assert difference.verdict(low - 0.1) == "holds"
    assert difference.verdict(low + 0.1) == "within noise"
    assert difference.verdict(difference.mean + 0.1) == "**fails**"
    assert Difference(2.0, float("nan"), 1).verdict(1) == "one seed says so"


def results_of(*cells):
    """Results of (method, machine, accuracies of two classes), all of seed 0, oldest first."""
    results = Results()
    for machine in ("old", "new"):
        facts = {"processor": machine, "cores": 2, "torch": "2"}
        results.add({"task": f"run {machine}", "machine": facts})
    for method, machine, accuracy in cells:
        key = {"dataset": "balanced", "method": method, "density": 0.5, "seed": 0}
        offsets = {"tuned": [0.6, 0.6]} if machine == "new" else {}
        results.add(key | {"run": machine, "accuracy": accuracy, "offsets": offsets})
    return results


DROP, RANDOM = Arm("random+drop", 0.5), Arm("random", 0.5)


def test_the_newest_training_counts_and_pairs_are_of_one_machine_where_both_are_there():
    both = [("random", "old", [0.5, 0.9]), ("random+drop", "old", [0.6, 0.9])]
    results = results_of(*both, ("random+drop", "new", [0.8, 0.9]))
    assert results.metric("worst class", DROP) == {0: 80}
    assert results.metric("worst class", RANDOM) == {0: 50}
    difference = results.difference("worst class", DROP, RANDOM)
    assert (difference.mean, difference.across) == (pytest.approx(10), 0)
    assert [len(one.cells) for one in results.machines.values()] == [2, 1]

    results = results_of(*both, *((method, "new", [0.7, 0.9]) for method, _, _ in both))
    assert results.difference("worst class", DROP, RANDOM).mean == 0


def test_a_pair_of_two_machines_is_said_to_be_one():
    results = results_of(("random", "old", [0.5, 0.9]), ("random+drop", "new", [0.8, 0.9]))
    assert results.difference("worst class", DROP, RANDOM).seeds == "1 (1 across machines)"
    tuned = Arm("random", 0.5, offsets=TUNED)
    assert results.difference("worst class", DROP, tuned) is None  # the old one has no offsets


def closed_forms(*seconds):
    """Results of (machine, seed, seconds of the closed form), beside trainings of 100 s each."""
    results = results_of()
    for n, (machine, seed, closed) in enumerate(seconds):
        run = f"2026-11-{n + 1:02}"
        facts = {"processor": machine, "cores": 2, "torch": "2", "commit": f"of {machine}"}
        results.add({"task": f"run {run}", "machine": facts})
        task = f"balanced/query-closed/{seed}"
        results.add({"task": task, "run": run, "seconds": {"algebra": [closed, closed]}})
        key = {"dataset": "balanced", "method": "full", "density": 1.0, "seed": seed}
        accuracy = {"accuracy": [0.5, 0.5], "seconds": {"train": [900, 100]}}
        results.add(key | accuracy | {"run": run, "task": "full"})
    return results


def test_the_cost_of_the_closed_form_is_judged_where_most_seeds_were_run():
    slow = [("old", seed, 24) for seed in range(3)]
    said = costs.closed_costs(closed_forms(*slow, ("new", 0, 5)))
    assert "(3; 2 cores of old, torch 2, commit of old) it takes 24.0%: **fails**" in said
    assert "| 1 | 5.0 s | 100 s | 5.0% |  | one seed says so |" in said
    quick = [("new", 0, 5), ("new", 1, 6), ("new", 2, 7)]
    said = costs.closed_costs(closed_forms(*slow, *quick))
    assert "(3; 2 cores of new, torch 2, commit of new) it takes 6.0%: holds" in said


def test_what_several_versions_of_the_code_trained_names_each_of_them():
    results = results_of(("random", "old", [0.5, 0.9]), ("random+drop", "new", [0.6, 0.9]))
    results.runs["old"]["machine"]["commit"], results.runs["new"]["machine"]["commit"] = "a", "b"
    cells = [*results.newest(RANDOM).values(), *results.newest(DROP).values()]
    assert provenance.commits(results, cells[:1]) == "commit a"
    assert provenance.commits(results, [*cells, cells[1]]) == "commits b (2), a (1)"


def test_a_training_without_offsets_does_not_hide_an_older_one_that_has_them():
    results = results_of(("random", "new", [0.5, 0.9]), ("random", "old", [0.4, 0.9]))
    assert results.metric("worst class", RANDOM) == {0: 40}
    assert results.metric("worst class", Arm("random", 0.5, offsets=TUNED)) == {0: 60}


def test_the_part_of_the_offsets_follows_from_the_validation_half_alone(tmp_path):
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 200)
    halves = [random.normal(size=(600, 3)) + 1.5 * np.eye(3)[labels] for _ in range(2)]
    halves = [half + [1.5, 0, -0.5] for half in halves]  # the model prefers the first class
    found = strengths.measure(*halves)
    assert (
        strengths.measure(halves[0], halves[1] + random.normal(size=3))["chosen"]
        == (found["chosen"])
    )
    offsets = tasks.tuned_offsets(halves[0], labels)
    recalls = [tasks.recalls_under(x * offsets, halves[0], labels) for x in (0, found["chosen"])]
    assert recalls[1].mean() >= recalls[0].mean() - strengths.AT_MOST - 1e-9
    assert min(found["by rule"]) > min(found["shares"]["0"]) + 0.1

    results = results_of(("random+drop", "new", found["shares"]["0"]))
    (cell,) = results.newest(DROP).values()
    version = {"task": "balanced/random+drop/0.5/0", "version": "v"}
    runs = [run | {"version": "v"} for run in results.runs.values()]
    lines = [json.dumps(record) for record in (*runs, cell | version)]
    (tmp_path / "cpu.jsonl").write_text("\n".join(lines))
    row = {name: cell[name] for name in ("dataset", "method", "density", "seed")} | found
    (tmp_path / "strengths-cpu.jsonl").write_text(json.dumps(row))
    arm = Arm("random+drop", 0.5, offsets=PART)
    worst = read(tmp_path / "cpu.jsonl").metric("worst class", arm)
    assert worst == {0: pytest.approx(100 * min(found["by rule"]))}


@pytest.mark.parametrize("page", places.PAGES, ids=lambda page: page.stem)
def test_the_pages_say_what_the_records_say(page):
    text = page.read_text()
    for preset in ("cpu", "fast"):
        results = read(places.RESULTS / f"{preset}.jsonl")
        assert report.fill(text, preset, results) == text, "run benchmarks/paper/report.py"
