"""Training one query model, or one per fold: reproducible, and out of sample."""

import gc
import random

import numpy as np
import pytest
import torch
from PIL import Image

from fiftyone_drop import DropError
from fiftyone_drop.training import QueryModel, TrainingOptions, cross_validate, train

QUICK = TrainingOptions(epochs=2, batch_size=32, device="cpu")


def logits_of(model, paths):
    return np.concatenate([logits for _, logits in model.predict(paths)])


def test_the_same_seed_gives_the_same_logits_bit_for_bit(few):
    first, second = (logits_of(train(*few, QUICK), few[0]) for _ in range(2))
    assert np.array_equal(first, second)


def test_another_seed_gives_other_logits(few):
    other = TrainingOptions(epochs=2, batch_size=32, device="cpu", seed=52)
    assert not np.allclose(
        logits_of(train(*few, QUICK), few[0]), logits_of(train(*few, other), few[0])
    )


def test_dropout_follows_the_seed_too(few):
    options = TrainingOptions(
        architecture="mobilenet_v3_small", epochs=1, image_size=32, device="cpu"
    )
    paths, codes, names = few[0][:8], few[1][:8], few[2]
    first, second = (logits_of(train(paths, codes, names, options), paths) for _ in range(2))
    assert np.array_equal(first, second)


def test_global_random_states_are_left_alone(few):
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    model = train(*few, QUICK)
    logits_of(model, few[0])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert random.getstate() == before[2]


def test_every_epoch_counts_every_image_once(few):
    counted, seen = [], []
    train(*few, QUICK, progress=counted.append, on_batch=lambda i, _: seen.extend(i.tolist()))
    assert sum(counted) == 240
    assert sorted(seen) == sorted([*range(120)] * 2)


def test_logits_reach_the_recorder_detached_and_in_float32(few):
    kinds = set()
    train(*few, QUICK, on_batch=lambda _, x: kinds.add((x.dtype, x.requires_grad, x.shape[1])))
    assert kinds == {(torch.float32, False, 10)}


@pytest.mark.parametrize("n", [2, 3, 33])
def test_no_batch_is_a_single_image(few, n):
    sizes = []
    options = TrainingOptions(epochs=1, batch_size=2 if n < 4 else 32)
    train(few[0][:n], few[1][:n], few[2], options, on_batch=lambda i, _: sizes.append(len(i)))
    assert sum(sizes) == n
    assert min(sizes) >= 2


def test_an_unreadable_image_is_named(few, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image at all")
    paths = [*few[0][:7], str(broken)]
    with pytest.raises(DropError, match=r"broken\.png"):
        train(paths, few[1][:8], few[2], TrainingOptions(epochs=1, image_size=8))


def test_images_that_do_not_fit_in_memory_train_the_same_model(few, monkeypatch):
    in_memory = logits_of(train(*few, QUICK), few[0])
    monkeypatch.setattr("fiftyone_drop.engine.reader.CACHE_BYTES", 0)
    streamed = logits_of(train(*few, QUICK), few[0])
    assert np.array_equal(in_memory, streamed)


def test_photos_train_a_resnet_and_small_images_the_small_cnn(few, tmp_path):
    paths = [str(tmp_path / f"{i}.jpg") for i in range(4)]
    for i, path in enumerate(paths):
        noise = np.random.default_rng(i).integers(0, 256, (90, 120, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    model = train(paths, [0, 1, 0, 1], ("a", "b"), TrainingOptions(epochs=1, batch_size=2))
    assert (model.architecture, model.image_size) == ("resnet18", 104)
    assert logits_of(model, paths).shape == (4, 2)
    assert TrainingOptions().setup(few[0]).architecture == "small-cnn"


def test_small_resnet18_takes_images_of_eight_pixels(few):
    options = TrainingOptions(architecture="small-resnet18", epochs=1)
    model = train(few[0][:8], few[1][:8], few[2], options)
    assert logits_of(model, few[0][:8]).shape == (8, 10)


def test_models_are_gone_once_they_have_predicted(few):
    alive = []

    def count(*_):
        gc.collect()
        models = [one for one in gc.get_objects() if type(one) is QueryModel]
        alive.append(len(models))

    count()
    options = TrainingOptions(epochs=1, batch_size=32, device="cpu")
    gone = cross_validate(*few, np.arange(120) % 4, options, on_logits=count)
    assert gone == []
    before, *during = alive
    assert max(during) <= before + 2  # the one that predicts, and the one before


def test_a_trained_model_holds_no_gradients(few):
    model = train(*few, QUICK)
    assert all(weights.grad is None for weights in model.module.parameters())
