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

import report  # noqa: E402
import run  # noqa: E402
import tasks  # noqa: E402
from data import Split  # noqa: E402
from presets import PRESETS  # noqa: E402
from training import Images, Training, channel_statistics  # noqa: E402

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
    more = ("--jobs", 2, "--brief", "--minutes", 0.2, "--methods", "full", "random")
    run.main(arguments(archive, tmp_path, *map(str, more), epochs=100_000))
    assert time.monotonic() - begun < 60
    assert "out of time: dropped balanced/full/1/0, " in capsys.readouterr().out
    assert multiprocessing.active_children() == []
    assert [r["task"][:4] for r in records(tmp_path)] == ["run "]


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


def test_differences_are_paired_and_their_intervals_are_those_of_scipy():
    ours, theirs = {0: 61.0, 1: 58.5, 2: 63.0, 7: 99.0}, {2: 55.5, 1: 54.0, 0: 53.0}
    expected = stats.ttest_rel([61.0, 58.5, 63.0], [53.0, 54.0, 55.5]).confidence_interval()
    difference = report.Difference.of(ours, theirs)
    low, high = difference.mean - difference.half, difference.mean + difference.half
    assert (low, high) == pytest.approx(expected)
    assert difference.n == 3
    assert difference.verdict(low - 0.1) == "holds"
    assert difference.verdict(low + 0.1) == "within noise"
    assert difference.verdict(difference.mean + 0.1) == "**fails**"
