"""A trained model as a file and as a tool."""

import pickle

import numpy as np
import pytest
import torch
from interrupting import Small

from fiftyone_drop import DropError
from fiftyone_drop.engine.images import Square
from fiftyone_drop.training import QueryModel, TrainingOptions, train


@pytest.fixture(scope="module")
def model(few):
    return train(*few, TrainingOptions(epochs=1, device="cpu"))


def test_a_file_that_is_there_is_replaced_unless_it_must_not_be(model, tmp_path):
    path = tmp_path / "model.pt"
    model.save(path, overwrite=False)
    with pytest.raises(DropError, match=r"path: .*model.pt exists"):
        model.save(path, overwrite=False)
    model.save(path)
    assert QueryModel.load(path).classes == model.classes


def test_a_loaded_model_predicts_what_the_saved_one_did(model, few, tmp_path):
    model.save(tmp_path / "model.pt")
    loaded = QueryModel.load(tmp_path / "model.pt", device="cpu")
    for name in ("classes", "architecture", "image_size", "mean", "std"):
        assert getattr(loaded, name) == getattr(model, name)
    for (_, theirs), (_, ours) in zip(loaded.predict(few[0]), model.predict(few[0]), strict=True):
        assert np.array_equal(theirs, ours)


def test_loading_leaves_the_global_random_state_alone(model, tmp_path):
    model.save(tmp_path / "model.pt")
    before = torch.get_rng_state()
    QueryModel.load(tmp_path / "model.pt")
    assert torch.equal(torch.get_rng_state(), before)


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('the pickle ran')",))


@pytest.mark.parametrize(
    "write", [torch.save, lambda bomb, path: path.write_bytes(pickle.dumps(bomb, protocol=2))]
)
def test_a_pickle_with_code_is_refused_and_never_run(write, tmp_path):
    path = tmp_path / "bomb.pt"
    write({"format": Bomb()}, path)
    with pytest.raises(DropError, match=r"bomb\.pt"):
        QueryModel.load(path)


@pytest.mark.parametrize("content", [b"", b"text"])
def test_a_damaged_file_is_refused(content, tmp_path):
    path = tmp_path / "damaged.pt"
    path.write_bytes(content)
    with pytest.raises(DropError, match=r"damaged\.pt"):
        QueryModel.load(path)


def test_somebody_elses_weights_are_refused(tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(DropError, match=r"other\.pt"):
        QueryModel.load(tmp_path / "other.pt")


def test_a_file_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        QueryModel.load(tmp_path / "nowhere.pt")


def test_predicting_keeps_the_mode_of_every_layer(model, few):
    model.module.train()
    frozen = model.module.body[1].eval()
    modes = [layer.training for layer in model.module.modules()]
    for _ in model.predict(few[0], batch_size=50):
        assert [layer.training for layer in model.module.modules()] == modes
    assert not frozen.training
    model.module.eval()


def test_batches_stream_in_order_and_count_progress(model, few):
    counted = []
    batches = list(model.predict(few[0], batch_size=50, progress=counted.append))
    assert [len(indices) for indices, _ in batches] == [50, 50, 20] == counted
    assert np.concatenate([i for i, _ in batches]).tolist() == list(range(120))


@pytest.mark.parametrize("argument", ["batch_size", "workers"])
@pytest.mark.parametrize("value", [0, -1, True, 2.5, np.int64(0), "7"])
def test_numbers_below_one_are_refused(model, few, argument, value):
    with pytest.raises(
        DropError, match=rf"{argument}: must be a whole number (>= 1|in \[1, 1024\]) or None, but"
    ):
        list(model.predict(few[0], **{argument: value}))


@pytest.mark.parametrize("value", [np.int64(50), np.array(50)])
def test_numbers_of_numpy_are_numbers(model, few, value):
    sizes = [len(indices) for indices, _ in model.predict(few[0], batch_size=value, workers=value)]
    assert sizes == [50, 50, 20]


@pytest.mark.parametrize("path", [None, 3, b"model.pt", ""])
def test_a_path_is_a_text_or_a_path(model, path):
    for call in (model.save, QueryModel.load):
        with pytest.raises(DropError, match="path: must be a text"):
            call(path)


def test_predicting_nothing_yields_nothing(model):
    assert list(model.predict([])) == []


def test_one_image_is_predicted_as_it_is_among_others(model, few):
    ((_, alone),) = model.predict(few[0][:1])
    ((_, together),) = model.predict(few[0])
    np.testing.assert_allclose(alone[0], together[0], atol=1e-5)


def test_training_images_as_the_module_takes_them_have_mean_zero_and_deviation_one(model, few):
    read = Square(model.image_size)
    values = model.normalise(torch.stack([read(path) for path in few[0]]))
    assert (values.dtype, values.shape[1:]) == (torch.float32, (3, 8, 8))
    np.testing.assert_allclose(values.mean((0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(values.std((0, 2, 3)), 1, atol=1e-3)
    logits = np.concatenate([logits for _, logits in model.predict(few[0])])
    with torch.no_grad():
        np.testing.assert_allclose(model.module(values).numpy(), logits, atol=1e-5)


def model_of(few, most):
    return QueryModel(Small(most), few[2], "small-cnn", 8, (0.5,) * 3, (0.25,) * 3)


def predictions_of(model, paths):
    return [np.concatenate(column) for column in zip(*model.predict(paths), strict=True)]


def test_prediction_halves_its_batches_until_they_fit_and_leaves_nothing_out(few):
    model = model_of(few, most=40)
    indices, logits = predictions_of(model, few[0])
    assert indices.tolist() == list(range(120))
    assert model.module.sizes == [120, 60, 30, 30, 30, 30]
    _, whole = predictions_of(model_of(few, most=120), few[0])
    np.testing.assert_allclose(logits, whole, atol=1e-5)


def test_batches_stay_small_once_they_had_to_be_halved(few):
    model = model_of(few, most=20)
    sizes = [len(indices) for indices, _ in model.predict(few[0], batch_size=40)]
    assert sizes == [40, 40, 40]
    assert model.module.sizes == [40, 20, 20, 20, 20, 20, 20]


def test_one_passing_shortage_is_survived(few):
    model = model_of(few, most=100)
    batches = model.predict(few[0], batch_size=120)
    assert len(next(batches)[1]) == 120


def test_a_gpu_that_cannot_take_a_single_image_says_so(few):
    with pytest.raises(DropError, match="device: not even one image at a time fits"):
        list(model_of(few, most=0).predict(few[0][:3]))
