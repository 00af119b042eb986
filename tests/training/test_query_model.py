"""A trained model as a file and as a tool."""

import pickle

import numpy as np
import pytest
import torch

from fiftyone_drop.errors import DropError
from fiftyone_drop.training import QueryModel, TrainingOptions, train


@pytest.fixture(scope="module")
def model(few):
    return train(*few, TrainingOptions(epochs=1, device="cpu"))


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


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_size_below_one_is_refused(model, few, size):
    with pytest.raises(DropError, match=f"`batch_size`.*got {size}"):
        list(model.predict(few[0], batch_size=size))


def test_predicting_nothing_yields_nothing(model):
    assert list(model.predict([])) == []


def test_one_image_is_predicted_as_it_is_among_others(model, few):
    ((_, alone),) = model.predict(few[0][:1])
    ((_, together),) = model.predict(few[0])
    np.testing.assert_allclose(alone[0], together[0], atol=1e-5)


def test_the_head_maps_features_to_logits(model, few):
    for indices, logits, features in model.predict_features(few[0], batch_size=50):
        assert features.shape == (len(indices), model.head.in_features)
        with torch.no_grad():
            again = model.head(torch.from_numpy(features)).numpy()
        np.testing.assert_allclose(again, logits, atol=1e-5)


def test_inputs_are_what_the_module_takes(model, few):
    logits = np.concatenate([logits for _, logits in model.predict(few[0])])
    for indices, inputs in model.inputs(few[0], batch_size=50):
        assert (inputs.dtype, inputs.shape[1:]) == (torch.float32, (3, 8, 8))
        with torch.no_grad():
            np.testing.assert_allclose(model.module(inputs).numpy(), logits[indices], atol=1e-5)


def test_inputs_of_the_training_images_have_mean_zero_and_deviation_one(model, few):
    values = torch.cat([inputs for _, inputs in model.inputs(few[0])])
    np.testing.assert_allclose(values.mean((0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(values.std((0, 2, 3)), 1, atol=1e-3)
