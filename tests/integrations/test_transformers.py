"""TransformersCallback, in trainings by the real Trainer: a tiny model with random weights."""

import numpy as np
import pytest
import torch
from transformers import (
    ResNetConfig,
    ResNetForImageClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning
from fiftyone_drop.integrations import TransformersCallback

SCORES = ("aum", "forgetting", "first_learned", "el2n_mean")


@pytest.fixture
def items(small):
    """Ids, pixels and labels."""
    names = sorted(small.distinct("ground_truth.label"))
    labels = [names.index(name) for name in small.values("ground_truth.label")]
    pixels = torch.randn(60, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    return list(zip(small.values("id"), pixels, labels, strict=True))


def collate(items):
    ids, pixels, labels = zip(*items, strict=True)
    return {
        "sample": list(ids),
        "pixel_values": torch.stack(pixels),
        "labels": torch.tensor(labels),
    }


def new_model():
    torch.manual_seed(0)
    config = ResNetConfig(
        num_channels=1, embedding_size=4, hidden_sizes=[8], depths=[1], layer_type="basic"
    )
    config.num_labels = 10
    return ResNetForImageClassification(config)


class Spy:
    """Keeps what a model gives in training."""

    def __init__(self, model):
        self.seen = []
        model.register_forward_hook(self.look, with_kwargs=True)

    def look(self, model, args, kwargs, output):
        assert "sample" not in kwargs
        if model.training:
            self.seen.append(output.logits.detach().clone())


class Batches:
    """A collator that keeps the ids of the batches."""

    def __init__(self):
        self.ids = []

    def __call__(self, items):
        self.ids.append([item[0] for item in items])
        return collate(items)


def trainer(folder, items, callback, *, model=None, collator=collate, epochs=3, more=(), **options):
    arguments = TrainingArguments(
        str(folder),
        **(
            {
                "num_train_epochs": epochs,
                "per_device_train_batch_size": 16,
                "learning_rate": 0.01,
                "remove_unused_columns": False,
                "report_to": "none",
                "save_strategy": "no",
                "use_cpu": True,
                "disable_tqdm": True,
            }
            | options
        ),
    )
    return Trainer(
        new_model() if model is None else model,
        arguments,
        data_collator=collator,
        train_dataset=items,
        eval_dataset=items[:20],
        callbacks=[callback, *more],
    )


def test_a_training_leaves_the_scores_of_its_logits(small, items, tmp_path):
    model, batches = new_model(), Batches()
    recorder = fod.DynamicsRecorder(small, scores=SCORES)
    training = trainer(
        tmp_path,
        items,
        TransformersCallback(recorder),
        model=model,
        collator=batches,
    )
    spy = Spy(model)
    training.train()
    by_hand = fod.DynamicsRecorder(small, scores=SCORES, prefix="hand_")
    assert len(spy.seen) == len(batches.ids) == 12
    for step, (ids, logits) in enumerate(zip(batches.ids, spy.seen, strict=True)):
        by_hand.update(ids, logits)
        if step % 4 == 3:
            by_hand.end_epoch()
    by_hand.finish()
    for name in SCORES:
        assert small.values(name) == small.values(f"hand_{name}")
    assert small.get_field("aum").info["presentations"] == [3, 3]
    assert "loss" in model(**{k: v for k, v in collate(items[:2]).items() if k != "sample"})


def test_an_evaluation_between_epochs_is_not_recorded(small, items, tmp_path):
    for prefix, strategy in (("with_", "epoch"), ("without_", "no")):
        recorder = fod.DynamicsRecorder(small, scores=SCORES, prefix=prefix)
        trainer(*(tmp_path, items, TransformersCallback(recorder)), eval_strategy=strategy).train()
    assert small.values("with_aum") == small.values("without_aum")


class StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step == self.step


@pytest.mark.parametrize(
    "saves",
    [{"save_strategy": "steps", "save_steps": 2}, {"save_strategy": "epoch"}],
    ids=["in steps", "in epochs"],
)
@pytest.mark.parametrize("stop", [12, 8, 6])
def test_a_training_goes_on_from_a_checkpoint_with_the_same_scores(
    small, items, tmp_path, stop, saves
):
    """After all epochs, after one, and within one, which the Trainer ends when it is stopped."""
    whole = fod.DynamicsRecorder(small, scores=SCORES)
    trainer(tmp_path / "whole", items, TransformersCallback(whole), **saves).train()
    first = TransformersCallback(fod.DynamicsRecorder(small, scores=SCORES), write=False)
    folder = tmp_path / "parts"
    trainer(folder, items, first, more=[StopAt(stop)], **saves).train()
    second = fod.DynamicsRecorder(small, scores=SCORES, prefix="second_")
    trainer(folder, items, TransformersCallback(second), **saves).train(resume_from_checkpoint=True)
    for name in SCORES:
        expected = small.values(name)
        np.testing.assert_allclose(small.values(f"second_{name}"), expected, rtol=1e-5)
    assert small.get_field("second_aum").info["epochs"] == 3


@pytest.mark.filterwarnings("ignore:Samples were presented unevenly")
def test_an_epoch_that_begins_again_is_recorded_once(small, items, tmp_path):
    """The Trainer takes 12 steps all the same: the last epoch is a half one."""
    options = {"save_strategy": "steps", "save_steps": 6, "ignore_data_skip": True}
    first = TransformersCallback(fod.DynamicsRecorder(small, scores=SCORES), write=False)
    trainer(tmp_path, items, first, more=[StopAt(6)], **options).train()
    second = TransformersCallback(fod.DynamicsRecorder(small, scores=SCORES))
    trainer(tmp_path, items, second, **options).train(resume_from_checkpoint=True)
    assert small.get_field("aum").info["epochs"] == 3
    assert small.get_field("aum").info["presentations"] == [2, 3]


@pytest.mark.filterwarnings("ignore:Samples were presented unevenly")
def test_a_training_that_stops_within_an_epoch_has_its_scores_too(small, items, tmp_path):
    recorder = fod.DynamicsRecorder(small, scores=SCORES)
    trainer(tmp_path, items, TransformersCallback(recorder), max_steps=7).train()
    assert small.get_field("aum").info["epochs"] == 2
    assert small.get_field("aum").info["presentations"] == [1, 2]


def test_a_checkpoint_without_a_recording_is_said(small, items, tmp_path):
    saves = {"save_strategy": "epoch"}
    first = TransformersCallback(fod.DynamicsRecorder(small, scores=SCORES), write=False)
    trainer(tmp_path, items, first, epochs=1, **saves).train()
    (file,) = tmp_path.glob("checkpoint-*/fiftyone_drop_recorder_0.pt")
    file.unlink()
    recorder = fod.DynamicsRecorder(small, scores=SCORES)
    with pytest.warns(DropWarning, match="goes on without what was recorded before"):
        trainer(tmp_path, items, TransformersCallback(recorder), epochs=2, **saves).train(
            resume_from_checkpoint=True
        )
    assert small.get_field("aum").info["epochs"] == 1


def test_batches_without_samples_are_refused_and_other_labels_too(small, items, tmp_path):
    recorder = fod.DynamicsRecorder(small, scores=SCORES)
    with pytest.raises(DropError, match=r"samples: 'sample' is not in the batch.*'labels'"):
        trainer(
            *(tmp_path, items, TransformersCallback(recorder)),
            collator=lambda rows: {k: v for k, v in collate(rows).items() if k != "sample"},
        ).train()
    with pytest.raises(DropError, match="targets: must be the labels of the samples, but 16 of 16"):
        trainer(
            *(tmp_path, items, TransformersCallback(recorder)),
            collator=lambda rows: collate([(i, x, (y + 1) % 10) for i, x, y in rows]),
        ).train()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_training_that_fails_leaves_nothing_to_the_next_of_its_model(
    small, items, tmp_path, error
):
    class Failing(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            raise error

    model = new_model()
    lost = TransformersCallback(fod.DynamicsRecorder(small, scores=SCORES), samples="sample")
    with pytest.raises(error):
        trainer(tmp_path, items, lost, model=model, more=[Failing()]).train()

    def renamed(rows):
        batch = collate(rows)
        return {"id": batch.pop("sample"), **batch}

    trainer(tmp_path, items, lost, model=model, epochs=1).train()  # the cell is run again
    assert small.get_field("aum").info["presentations"] == [1, 1]
    with pytest.warns(DropWarning, match="The recorder holds 1 epochs of a training before"):
        trainer(tmp_path, items, lost, model=model, epochs=1).train()
    found = {}
    for prefix, one in (("again_", model), ("fresh_", new_model())):
        one.load_state_dict(new_model().state_dict())
        recorder = fod.DynamicsRecorder(small, scores=SCORES, prefix=prefix)
        callback = TransformersCallback(recorder, samples="id")
        trainer(tmp_path, items, callback, model=one, collator=renamed, epochs=1).train()
        found[prefix] = small.values(f"{prefix}aum")
        assert not one._forward_hooks
        assert not one._forward_pre_hooks
    assert found["again_"] == found["fresh_"]


def test_a_batch_that_cannot_be_recorded_leaves_no_hook(small, items, tmp_path):
    model = new_model()
    callback = TransformersCallback(fod.DynamicsRecorder(small, scores=SCORES), samples="id")
    with pytest.raises(DropError, match="samples: 'id' is not in the batch"):
        trainer(tmp_path, items, callback, model=model).train()
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
    callback = TransformersCallback(fod.DynamicsRecorder(small[:5], scores=SCORES))
    with pytest.raises(DropError, match="logits: must have one column for each of the 5 classes"):
        trainer(tmp_path, items, callback, model=model).train()
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def test_two_recorders_of_one_training_are_both_kept(small, items, tmp_path):
    class Twice(Batches):
        def __call__(self, items):
            batch = super().__call__(items)
            return {"other": batch["sample"], **batch}

    one, other = (
        TransformersCallback(fod.DynamicsRecorder(small, scores=SCORES, prefix=name), samples=key)
        for name, key in (("one_", "sample"), ("other_", "other"))
    )
    trainer(tmp_path, items, one, collator=Twice(), more=[other], epochs=1).train()
    assert small.values("one_aum") == small.values("other_aum")
    assert None not in small.values("one_aum")


def test_a_checkpoint_elsewhere_is_found_by_its_name(small, items, tmp_path):
    saves = {"save_strategy": "epoch"}
    whole = fod.DynamicsRecorder(small, scores=SCORES)
    trainer(tmp_path / "whole", items, TransformersCallback(whole), epochs=2, **saves).train()
    first = TransformersCallback(fod.DynamicsRecorder(small, scores=SCORES), write=False)
    trainer(tmp_path / "first", items, first, epochs=2, more=[StopAt(4)], **saves).train()
    elsewhere = str((tmp_path / "first" / "checkpoint-4").rename(tmp_path / "kept"))
    second = TransformersCallback(fod.DynamicsRecorder(small, scores=SCORES, prefix="second_"))
    named = {"resume_from_checkpoint": elsewhere, **saves}
    trainer(tmp_path / "second", items, second, epochs=2, **named).train(elsewhere)
    np.testing.assert_allclose(small.values("second_aum"), small.values("aum"), rtol=1e-5)


def test_several_gpus_in_one_process_are_refused(small):
    class Arguments:
        n_gpu = 2

    callback = TransformersCallback(fod.DynamicsRecorder(small, scores=SCORES))
    with pytest.raises(DropError, match="recorder: one process must train on one GPU, but has 2"):
        callback.on_train_begin(Arguments, None, None, model=new_model())


@pytest.mark.parametrize("recorder", [None, "aum", fod.DynamicsRecorder])
def test_what_does_not_record_is_refused_before_the_training(recorder):
    with pytest.raises(DropError, match=r"^recorder: must be a fiftyone_drop.DynamicsRecorder"):
        TransformersCallback(recorder)
