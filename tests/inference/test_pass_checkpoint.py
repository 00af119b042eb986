"""The checkpoint of a pass: found by the same call alone, and never the reason that one fails."""

import errno
import functools
import os
import shutil

import numpy as np
import pytest
import torch
from digit_models import TRANSFORM, Restless, interrupt, scored_again
from PIL import Image, ImageFile
from torchvision.transforms import v2

from fiftyone_drop import DropError, DropWarning, store
from fiftyone_drop.inference.image_model import ImageModel


def test_an_interrupted_call_goes_on_with_the_same_scores(broken, score, cache):
    samples, _ = broken
    names = ["el2n", "margin", "k_center"]
    with pytest.warns(DropWarning):
        expected = score(samples, names, Restless(), prefix="whole_", batch_size=10)
    module = Restless(calls=4)  # one of them to try the model out
    with pytest.raises(KeyboardInterrupt):
        score(samples, names, module, batch_size=10)
    assert "el2n" not in samples.get_field_schema()
    assert list(cache.glob("checkpoint-*/*.pt"))
    module = Restless()
    with pytest.warns(DropWarning, match="2 of 60"):
        found = score(samples, names, module, batch_size=10)
    assert module.sizes == [2, 10, 9, 10]  # three batches were there; one image is broken
    for name in names:
        np.testing.assert_array_equal(found[name], expected[f"whole_{name}"])
    assert list(cache.glob("*")) == []


def test_other_weights_do_not_find_the_checkpoint(small, score, cache):
    with pytest.raises(KeyboardInterrupt):
        score(small, ["el2n"], Restless(calls=2), batch_size=20)
    module = Restless()
    with torch.no_grad():
        module.inner[-1].bias += 1
    score(small, ["el2n"], module, batch_size=20)
    assert sum(module.sizes) == 62
    assert len(list(cache.glob("*"))) == 1


def test_corrected_code_does_not_find_the_checkpoint(small, score, cache):
    """As in a notebook, where the cell of the class runs again, and the same weights are loaded."""

    def after(cell):
        exec(
            f"class Again(Restless):\n    def forward(self, x): return {cell}",
            made := {**globals()},
        )
        return made["Again"]

    one, other = after("3 * super(Again, self).forward(x)"), after("super(Again, self).forward(x)")
    with pytest.raises(KeyboardInterrupt):
        score(small, ["el2n"], one(calls=2), batch_size=20)
    module = other()
    score(small, ["el2n"], module, batch_size=20)
    assert sum(module.sizes[1:]) == 60
    with pytest.raises(DropError, match="overwrite"):
        score(small.limit(30), ["el2n"], one())


def test_other_trainable_parameters_do_not_find_the_checkpoint_of_gradients(small, score, cache):
    whole = Restless()
    expected = score(small, ["grand"], whole, "whole_", batch_size=20)["whole_grand"]
    module = Restless(calls=len(whole.sizes) - 1)
    module.inner[0].requires_grad_(False)
    with pytest.raises(KeyboardInterrupt):
        score(small, ["grand"], module, batch_size=20)
    assert list(cache.glob("checkpoint-*/*.pt"))
    score(small, ["grand"], Restless(), batch_size=20)
    np.testing.assert_allclose(small.values("grand"), expected, rtol=1e-5)


def test_logits_go_on_whichever_parameters_are_trainable(small, score):
    interrupt(small, score)
    module = Restless()
    module.requires_grad_(False)
    score(small, ["el2n"], module, batch_size=20)
    assert sum(module.sizes[1:]) == 40


def test_another_precision_does_not_find_the_checkpoint(small, score, monkeypatch):
    expected = score(small, ["el2n"], Restless(), "whole_")["whole_el2n"]
    with monkeypatch.context() as patch:
        patch.setattr(ImageModel, "mixed", True)  # as on CUDA
        interrupt(small, score)
        half = score(small, ["el2n"], Restless(), "half_")["half_el2n"]
    assert not np.array_equal(half, expected)
    assert scored_again(small, score) == 60
    np.testing.assert_array_equal(small.values("el2n"), expected)


@pytest.mark.parametrize(
    "pair",
    [
        lambda by: lambda image: by * TRANSFORM(image),
        lambda by: functools.partial(lambda image, by: by * TRANSFORM(image), by=by),
        lambda by: v2.Compose([TRANSFORM, v2.Lambda(lambda image: by * image)]),
    ],
    ids=["closure", "partial", "Lambda"],
)
def test_another_transform_does_not_find_the_checkpoint(small, score, pair):
    interrupt(small, score, transform=pair(1))
    assert scored_again(small, score, transform=pair(2)) == 60
    assert scored_again(small, score, transform=pair(1)) == 40


def test_a_transform_that_draws_at_random_never_finds_a_checkpoint(small, score):
    rng = np.random.default_rng(0)

    def transform(image):
        return TRANSFORM(image) + rng.random()

    interrupt(small, score, transform=transform)
    assert scored_again(small, score, transform=transform) == 60


def test_images_that_have_changed_do_not_find_the_checkpoint(small, score, tmp_path):
    copies = [shutil.copy(path, tmp_path) for path in small.values("filepath")]
    small.set_values("filepath", copies)
    interrupt(small, score)
    Image.new("RGB", (8, 8)).save(copies[3])
    assert scored_again(small, score) == 60
    assert scored_again(small, score, prefix="again_") == 60  # that one was removed


@pytest.mark.parametrize("name", ["pass.pt", "table.npy", "embeddings-0.npy"])
@pytest.mark.parametrize(
    "damage",
    [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"?" * len(data)],
    ids=["empty", "truncated", "overwritten"],
)
def test_a_damaged_checkpoint_is_reported_and_left(small, score, cache, name, damage):
    scores = ["el2n", "k_center"]
    expected = score(small, scores, Restless(), "whole_")["whole_k_center"]
    interrupt(small, score, scores)
    (path,) = cache.glob(f"*/{name}")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(DropWarning, match=rf"checkpoint {path} is damaged .* again"):
        assert scored_again(small, score, scores) == 60
    np.testing.assert_array_equal(small.values("k_center"), expected)
    assert list(cache.glob("*")) == []


def test_a_bit_that_flipped_in_a_checkpoint_is_noticed(small, score, cache):
    interrupt(small, score)
    (path,) = cache.glob("*/*.pt")
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    with pytest.warns(DropWarning, match="is damaged"):
        assert scored_again(small, score) == 60


@pytest.mark.parametrize("name", ["table", "embeddings-0"])
def test_scores_that_changed_on_the_disk_are_computed_again(small, score, cache, name):
    scores = ["el2n", "k_center"]
    expected = score(small, scores, Restless(), "whole_")
    with pytest.raises(KeyboardInterrupt):
        score(small, scores, Restless(calls=4), batch_size=15)  # the first tries the model out
    (path,) = cache.glob(f"*/{name}.npy")
    array = np.lib.format.open_memmap(path, mode="r+")
    (array[0, 0] if name == "table" else array)[20] += 1  # in the second batch
    array.flush()
    module = Restless()
    found = score(small, scores, module, batch_size=15)
    assert module.sizes[1:] == [15, 15]
    for name in scores:
        np.testing.assert_array_equal(found[name], expected[f"whole_{name}"])


def test_a_failure_to_write_the_scores_does_not_cost_the_pass(small, score, monkeypatch, cache):
    with monkeypatch.context() as patch:
        patch.setattr(store, "write_fields", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            scored_again(small, score, ["el2n", "k_center"])
    assert scored_again(small, score, ["el2n", "k_center"]) == 0
    assert small.exists("el2n").count() == small.exists("k_center").count() == 60
    assert list(cache.glob("*")) == []


def test_a_full_disk_is_reported_and_the_call_goes_on(small, score, monkeypatch, cache):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    expected = score(small, ["el2n", "k_center"], Restless(), "whole_")
    for function in ("fsync", "posix_fallocate"):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, full)
            with pytest.warns(DropWarning, match="No space left on device") as caught:
                interrupt(small, score, ["el2n", "k_center"])
            assert len(caught) == 1
            assert list(cache.glob("*")) == []
            with pytest.warns(DropWarning, match="No space left on device"):
                found = score(small, ["el2n", "k_center"], Restless())
        for name, values in found.items():
            np.testing.assert_array_equal(values, expected[f"whole_{name}"])


def test_images_that_can_be_read_meanwhile_have_the_scores_of_one_call(
    small, score, tmp_path, monkeypatch
):
    def truncate(row, at):
        path = tmp_path / f"{row}.png"
        noise = np.random.default_rng(row).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:at])
        paths[row] = str(path)

    paths, names = small.values("filepath"), ["el2n", "k_center"]
    for row in (13, 24, 27):  # none of those by which a checkpoint knows a transform
        truncate(row, 150)
    truncate(35, 20)  # which is no image to anything
    small.set_values("filepath", paths)
    with pytest.raises(KeyboardInterrupt):
        score(small, names, Restless(calls=5), batch_size=10)  # the first tries the model out
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    module = Restless()
    with pytest.warns(DropWarning, match="1 of 60 images cannot be read"):
        found = score(small, names, module, batch_size=10)
    with pytest.warns(DropWarning, match="1 of 60 images cannot be read"):
        expected = score(small, names, Restless(), "whole_", batch_size=10)
    assert module.sizes[1:] == [10, 10, 10, 10]  # not the batch of what is no image
    for name in names:
        np.testing.assert_array_equal(found[name], expected[f"whole_{name}"])
        assert np.flatnonzero(np.isnan(found[name])).tolist() == [35]


def test_a_batch_whose_output_is_not_finite_is_not_scored_again(small, score):
    class Faulty(Restless):
        def __init__(self, **faults):
            super().__init__(**faults)
            self.bad = TRANSFORM(Image.open(small.first().filepath).convert("RGB"))

        def forward(self, images):
            bad = (images == self.bad).flatten(1).all(1)
            return super().forward(images).masked_fill(bad[:, None], torch.nan)

    with pytest.raises(KeyboardInterrupt):
        score(small, ["el2n"], Faulty(calls=3), batch_size=20)
    module = Faulty()
    with pytest.warns(DropWarning, match="1 of 60 images have no scores"):
        score(small, ["el2n"], module, batch_size=20)
    assert module.sizes[1:] == [20]
