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


def run(archive, folder, *arguments, epochs=3):
    done = subprocess.run(
        [
            sys.executable,
            PAPER / "run.py",
            *("--archive", archive, "--cache", folder / "cache", "--results", folder),
            *("--epochs", str(epochs), "--per-class", "20", "--device", "cpu", "--jobs", "2"),
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def records(folder):
    (path,) = folder.glob("*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["cpu", "fast", "paper"])
def test_every_preset_trains_on_what_the_methods_keep(archive, tmp_path, preset):
    methods = ("full", "random+drop", "k_center")
    run(archive, tmp_path, "--preset", preset, "--methods", *methods, "--seeds", "0")
    cells = {r["method"]: r for r in records(tmp_path) if "method" in r}
    assert set(cells) == set(methods)
    assert sum(cells["full"]["quotas"]) == 60
    assert sum(cells["random+drop"]["quotas"]) == sum(cells["k_center"]["quotas"]) == 30
    for cell in cells.values():
        # Six test images of each class: the first six are for validation
        assert all(
            round(6 * a, 3) == pytest.approx(round(6 * a), abs=1e-2) for a in cell["accuracy"]
        )
