"""One pass over images: every score, and out of memory, on a full disk or killed all the same."""

import collections
import contextlib
import sys
import textwrap

import fiftyone as fo
import numpy as np
import pytest
import torch
from digit_models import Restless, network, reference
from killed import leave_checkpoint
from PIL import Image

from fiftyone_drop import DropError
from fiftyone_drop.engine import checkpoint, images
from fiftyone_drop.inference import chunks
from fiftyone_drop.inference.chunks import BATCH_BYTES, start_batch_size
from fiftyone_drop.inference.image_model import READ_TWICE
from fiftyone_drop.scoring import (
    SCORES,
)

NEEDS = {name: score.needs for name, score in SCORES.items()}
FORWARD = [name for name, needs in NEEDS.items() if needs == "logits"]
FROM_IMAGES = [name for name, needs in NEEDS.items() if needs not in ("dynamics", "nothing")]


def test_every_score_of_images_comes_out_of_one_pass(small, score, cache, monkeypatch):
    opened = collections.Counter()
    original = images.open_file

    def count(path):
        opened[path] += 1
        return original(path)

    module = network()
    expected = reference(small, module)
    monkeypatch.setattr(images, "open_file", count)
    found = score(small, FROM_IMAGES, module, batch_size=13, workers=2)
    assert set(found) == set(expected) == set(FROM_IMAGES)
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-5, err_msg=name)
    twice = [opened.pop(path) for path in small.values("filepath")[:READ_TWICE]]
    # Once for the checkpoint's name, and the first of them to try the models on
    assert twice == [3] + [2] * (READ_TWICE - 1)
    known = [path for path in opened if path.endswith("known.png")]
    assert len(known) == 1  # the image by which the field knows a transform
    assert set(opened.values()) == {1}
    assert len(opened) == 60 - READ_TWICE + len(known)
    assert list(cache.glob("*")) == []


@pytest.mark.parametrize("wanted", [True, False])
def test_deterministic_algorithms_are_on_for_the_whole_pass(small, score, monkeypatch, wanted):
    seen, on = [], []

    @contextlib.contextmanager
    def algorithms(device, wanted):
        on.append(wanted)
        try:
            yield
        finally:
            on.clear()

    class Watching(Restless):
        def forward(self, images):
            seen.append(list(on))
            return super().forward(images)

    monkeypatch.setattr(chunks, "deterministic_algorithms", algorithms)
    score(small, ["el2n", "grand"], Watching(), deterministic=wanted)
    assert seen
    assert all(now == [wanted] for now in seen)
    assert on == []


def test_running_out_of_memory_halves_the_batch(small, score):
    expected = score(small, ["el2n"], network())["el2n"]
    module = Restless(most=9)
    found = score(small, ["el2n"], module, prefix="oom_", batch_size=32)
    np.testing.assert_allclose(found["oom_el2n"], expected, rtol=1e-5)
    assert module.sizes == [2, 32, 16, 8, 8, 8, 8, 8, 8, 8, 4]
    for allowed in (0, 1):  # calls that go well
        with pytest.raises(DropError, match="device: not even one image"):
            score(small, ["el2n"], Restless(most=0, allowed=allowed), prefix="no_")


def test_a_killed_process_leaves_what_it_had(digits, tmp_path, monkeypatch, capsys):
    code = """
        import contextlib, sys
        import numpy as np, torch
        from fiftyone_drop.engine import checkpoint
        from fiftyone_drop.engine.images import Square
        from fiftyone_drop.inference.image_model import ImageModel
        from fiftyone_drop.inference.image_pass import ImagePass
        from fiftyone_drop.inference.source import PassOptions, Request

        checkpoint.SECONDS, checkpoint.SHARE = 0, float("inf")
        folder, stop, *paths = sys.argv[1:]
        torch.manual_seed(0)

        class Model(torch.nn.Sequential):
            calls = 0
            def forward(self, images):
                Model.calls += 1
                if Model.calls > int(stop):
                    end()
                return super().forward(images.float())

        module = Model(torch.nn.Flatten(), torch.nn.Linear(192, 10))
        n = len(paths)
        model = ImageModel(tuple("0123456789"), "a model", module, Square(8))
        options = PassOptions(batch_size=7, workers=1)
        ids, labels = np.arange(n).astype("S24"), [np.arange(n) % 10]
        with contextlib.ExitStack() as stack:
            kept = stack.enter_context(checkpoint.Checkpoint(folder))
            kept.open(lambda: {"name": "test"})
            request = Request(ids, paths, labels, {"el2n": {}}, options, stack, None)
            run = ImagePass([model], request, kept)
            run.run(lambda n: None)
        print(Model.calls, run.table.tobytes().hex())
    """

    code = textwrap.dedent(code)
    paths = [str(path) for path in digits[0][:40]]
    for name in ("SECONDS", "SHARE"):
        monkeypatch.setattr(checkpoint, name, getattr(checkpoint, name))  # put back later

    def run(folder):
        monkeypatch.setattr(sys, "argv", ["-c", str(tmp_path / folder), "100", *paths])
        exec(code, {})
        return capsys.readouterr().out.split()

    leave_checkpoint(code, tmp_path / "killed", 4, *paths)
    again, whole = run("killed"), run("whole")
    assert whole[0] == "7"
    assert again[0] == "4"  # the first three batches were there
    assert again[1] == whole[1]
    assert list((tmp_path / "killed").iterdir()) == []


def test_the_mode_that_the_caller_is_in_does_not_matter(small, score):
    names = ["el2n", "grand", "class_mean_distance"]
    module = network()
    expected = score(small, names, module)
    with torch.inference_mode():
        found = score(small, names, module, prefix="i_", batch_size=16)
    for name in names:
        np.testing.assert_allclose(found[f"i_{name}"], expected[name], rtol=1e-5)


def test_images_of_several_sizes_need_a_transform_that_resizes(small, score, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "large.png")
    sample = fo.Sample(
        filepath=str(tmp_path / "large.png"), ground_truth=fo.Classification(label="one")
    )
    small.add_sample(sample)
    with pytest.raises(DropError, match=r"transform: .*\(3, 8, 8\) and, .*large.png, \(3, 9, 9\)"):
        score(small, ["el2n"], network())


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("side", [8, 32, 224, 512, 1024, 4096, 20_000])
def test_a_batch_to_start_with_takes_few_bytes_however_large_images_are(device, side):
    size = start_batch_size(torch.device(device), torch.Size((3, side, side)))
    usual = (1024 if side <= 64 else 256) // (1 if device == "cuda" else 4)
    assert size == usual or side > 224
    assert size == 1 or size * 12 * side**2 <= BATCH_BYTES
    assert size in (1, usual) or 2 * size * 12 * side**2 > BATCH_BYTES
