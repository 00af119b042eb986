"""The paper's experiment runs, goes on where it stopped, and reports what it measured.

On coloured squares instead of photos: what is tested is the machinery, not the claim.
"""

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PAPER = Path(__file__).resolve().parents[1] / "benchmarks" / "paper"
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


def command(archive, folder, *arguments, epochs=3):
    return [
        sys.executable,
        PAPER / "run.py",
        *("--archive", archive, "--cache", folder / "cache", "--results", folder),
        *("--epochs", str(epochs), "--per-class", "20", "--device", "cpu", "--jobs", "1"),
        *arguments,
    ]


def run(*arguments, **settings):
    done = subprocess.run(
        command(*arguments, **settings), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def records(folder):
    (path,) = folder.glob("*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def accuracies(folder):
    return {r["task"]: r["accuracy"] for r in records(folder) if "accuracy" in r}


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["cpu", "fast", "paper"])
def test_every_preset_trains_on_what_the_methods_keep(archive, tmp_path, preset):
    methods = ("full", "random+drop", "k_center")
    run(archive, tmp_path, "--preset", preset, "--seeds", "0", "--methods", *methods, epochs=2)
    cells = {r["method"]: r for r in records(tmp_path) if "method" in r}
    assert set(cells) == set(methods)
    assert sum(cells["full"]["quotas"]) == 60
    assert sum(cells["random+drop"]["quotas"]) == sum(cells["k_center"]["quotas"]) == 30
    for cell in cells.values():
        # Six test images of each class: the other six are for validation
        sixths = 6 * np.array(cell["accuracy"])
        assert np.allclose(sixths, sixths.round(), atol=1e-3)


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_and_ends_with_the_same_accuracies(archive, tmp_path):
    methods = ("--methods", "full", "random+drop", "el2n+drop", "--seeds", "0")
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    run(archive, straight, *methods)
    with subprocess.Popen(
        command(archive, killed, *methods), stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if "query-short" in line:
                process.kill()
    done = len(records(killed))
    assert done < len(records(straight))
    run(archive, killed, *methods)
    assert accuracies(killed) == accuracies(straight)
    assert run(archive, killed, *methods).startswith("0 of 5 tasks")


@pytest.mark.slow
def test_an_interrupted_training_ends_with_the_same_weights():
    """A training inside a cell goes on from its last epoch."""
    out = subprocess.run(
        [sys.executable, "-c", RESUMED, PAPER], capture_output=True, text=True, check=False
    )
    assert out.stdout == "same\n", out.stdout + out.stderr


RESUMED = """
import sys
import tempfile

import numpy as np
import torch

sys.path.insert(0, sys.argv[1])
from data import Split
from presets import PRESETS
from training import Images, Training, channel_statistics

from fiftyone_drop.scoring import DynamicsRecorder
from fiftyone_drop.training import checkpoint

checkpoint.SECONDS, checkpoint.SHARE = 0, 1e9  # after every epoch
random = np.random.default_rng(0)
labels = np.arange(48) % 3
pixels = random.integers(0, 256, (48, 32, 32, 3), dtype=np.uint8)
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
    try:
        module = training.run(after, recorder)
    except KeyboardInterrupt:
        return None
    return len(epochs), module.state_dict(), recorder.finish()["forgetting"]


with tempfile.TemporaryDirectory() as folder:
    _, weights, forgotten = train(None)
    assert train(folder, stop=3) is None
    epochs, resumed, again = train(folder)
same = all(torch.equal(weights[name], resumed[name]) for name in weights)
print("same" if same and epochs == 2 and np.array_equal(forgotten, again) else "different")
"""


@pytest.mark.slow
def test_the_report_says_what_was_measured(archive, tmp_path):
    run(archive, tmp_path, "--seeds", "0", "1", "--methods", "full", "random", "random+drop")
    (path,) = tmp_path.glob("*.jsonl")
    path.rename(tmp_path / "cpu.jsonl")
    page = tmp_path / "evidence.md"
    page.write_text(
        "Before\n<!-- cpu:overview -->\nold\n<!-- / -->\nbetween\n<!-- cpu:claims --><!-- / -->"
    )
    done = subprocess.run(
        [sys.executable, PAPER / "report.py", "--results", tmp_path, "--page", page],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cells = [r["accuracy"] for r in records(tmp_path) if r.get("method") == "random+drop"]
    worst = 100 * np.mean([min(accuracy) for accuracy in cells])
    text = page.read_text()
    assert f"| Random + DRoP | {worst:.1f} (" in text
    assert "old" not in text
    assert "between" in text
    assert "| worst class above Random | 0.5 |" in text
    assert (tmp_path / "images" / "evidence-cpu-classes.png").stat().st_size > 10_000
    assert "| Random + DRoP | 2 |" in (tmp_path / "cpu.md").read_text()
