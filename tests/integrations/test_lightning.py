"""LightningCallback, in trainings by the real library: on the CPU, a small network, real digits."""

import logging
import warnings

import lightning.pytorch as lightning
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.integrations import LightningCallback

pytestmark = pytest.mark.filterwarnings("ignore:::lightning")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
SCORES = ("aum", "forgetting", "first_learned", "el2n_mean")


class Classifier(lightning.LightningModule):
    """A network whose training is the same in every run."""

    def __init__(self, result=lambda loss, logits: {"loss": loss, "logits": logits}):
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Linear(16, 10)
        self.result = result
        self.seen = []

    def training_step(self, batch, batch_index):
        ids, inputs, targets = batch
        logits = self.network(inputs)
        self.seen.append((self.current_epoch, list(ids), logits.detach().clone()))
        return self.result(cross_entropy(logits, targets), logits)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5)


@pytest.fixture
def loader(small):
    """Batches of ids, inputs and labels, shuffled in the same way in every run."""
    names = sorted(small.distinct("ground_truth.label"))
    labels = [names.index(name) for name in small.values("ground_truth.label")]
    inputs = torch.randn(60, 16, generator=torch.Generator().manual_seed(1))
    items = list(zip(small.values("id"), inputs, labels, strict=True))

    def make():
        order = torch.Generator().manual_seed(2)
        return DataLoader(items, batch_size=16, shuffle=True, generator=order)

    return make


def fit(module, loader, *callbacks, epochs=3, path=None, **options):
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **({"enable_checkpointing": False} | options),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        trainer.fit(module, loader, ckpt_path=path)
    return trainer


def by_hand(samples, module, epochs=3):
    """The scores of what a module has seen, recorded without Lightning."""
    recorder = fod.DynamicsRecorder(samples, scores=SCORES, prefix="hand_")
    for epoch in range(epochs):
        for when, ids, logits in module.seen:
            if when == epoch:
                recorder.update(ids, logits)
        recorder.end_epoch()
    return recorder.finish()


def test_a_fit_leaves_the_scores_of_its_logits(small, loader):
    module = Classifier()
    recorder = fod.DynamicsRecorder(small, scores=SCORES)
    fit(module, loader(), LightningCallback(recorder, samples=0, targets=2))
    for name, hand in zip(SCORES, by_hand(small, module), strict=True):
        assert small.values(name) == small.values(hand)
    assert small.get_field("aum").info["epochs"] == 3
    assert small.get_field("aum").info["presentations"] == [3, 3]


@pytest.mark.parametrize(
    ("saves", "until", "steps"),
    [
        ({"save_on_train_epoch_end": True}, {"epochs": 2}, 12),
        ({"every_n_train_steps": 4}, {"epochs": 2}, 12),
        ({"every_n_train_steps": 2}, {"max_steps": 6}, 12),
        # Lightning counts that epoch, and goes on with the next
        ({"save_on_train_epoch_end": True}, {"max_steps": 6}, 10),
    ],
    ids=["after an epoch", "with its last batch", "within one", "after one that was stopped"],
)
@pytest.mark.parametrize("validates", [False, True])
@pytest.mark.filterwarnings("ignore:Samples were presented unevenly")
def test_a_fit_goes_on_from_a_checkpoint_with_the_same_scores(
    small, loader, tmp_path, saves, until, steps, validates
):
    class Validating(Classifier):
        def validation_step(self, batch, batch_index):
            pass

        def val_dataloader(self):
            return data

    def go(recorder, *more, path=None, **options):
        module = Validating() if validates else Classifier()
        callback = LightningCallback(recorder, samples=0)
        fit(module, data, callback, *more, path=path, **options)
        return module

    data = loader()
    first = fod.DynamicsRecorder(small, scores=SCORES, prefix="first_")
    saver = ModelCheckpoint(tmp_path, filename="last", **saves)
    began = go(first, saver, enable_checkpointing=True, **until)
    second = fod.DynamicsRecorder(small, scores=SCORES)
    both = go(second, path=tmp_path / "last.ckpt")
    both.seen = began.seen + both.seen
    assert len(both.seen) == steps
    by_hand(small, both)
    for name in SCORES:
        assert small.values(name) == small.values(f"hand_{name}")
    assert small.get_field("aum").info["epochs"] == 3


def test_a_fit_that_failed_leaves_no_batches_to_the_next(small, loader):
    class Failing(Classifier):
        fails = True

        def on_train_batch_end(self, outputs, batch, batch_index):
            if self.fails and self.current_epoch == fails_in and batch_index == 1:
                raise KeyError

    for fails_in, kept in ((0, 0), (1, 1)):
        recorder = fod.DynamicsRecorder(small, scores=["aum"], prefix=f"after_{fails_in}_")
        callback, module = LightningCallback(recorder, samples=0), Failing()
        with pytest.raises(KeyError):
            fit(module, loader(), callback)
        module.fails = False
        if kept:
            with pytest.warns(
                fod.DropWarning, match="The recorder holds 1 epochs of a training befo"
            ):
                fit(module, loader(), callback)
        else:
            fit(module, loader(), callback)
        info = small.get_field(f"after_{fails_in}_aum").info
        assert info["presentations"] == [3 + kept, 3 + kept]


def test_batches_may_be_mappings_and_fields_may_be_written_later(small, loader):
    class Named(Classifier):
        def training_step(self, batch, batch_index):
            parts = batch["id"], batch["image"], batch["label"]
            return super().training_step(parts, batch_index)[1]

    def collate(items):
        ids, images, labels = zip(*items, strict=True)
        return {"id": ids, "image": torch.stack(images), "label": torch.tensor(labels)}

    data = loader()
    data.collate_fn = collate
    module = Named(lambda loss, logits: (None, {"loss": loss, "out": {"head": logits}}))
    recorder = fod.DynamicsRecorder(small, scores=SCORES)
    callback = LightningCallback(
        recorder, "id", targets="label", logits=lambda out: out["out"]["head"], write=False
    )
    fit(module, data, callback)
    assert "aum" not in small.get_field_schema()
    assert recorder.finish() == list(SCORES)
    by_hand(small, module)
    assert small.values("aum") == small.values("hand_aum")


def test_a_step_that_is_skipped_is_not_recorded(small, loader):
    module = Classifier()
    module.result = lambda loss, logits: (
        None if len(module.seen) == 1 else {"loss": loss, "logits": logits}
    )
    recorder = fod.DynamicsRecorder(small, scores=SCORES)
    with pytest.warns(fod.DropWarning, match=r"presented unevenly: 1 to 2 times in 2 epochs"):
        fit(module, loader(), LightningCallback(recorder, samples=0), epochs=2)


@pytest.mark.parametrize(
    ("arguments", "result", "words"),
    [
        ({"samples": 0}, lambda loss, logits: loss, r"logits: 'logits' is not in .*return {'loss'"),
        ({"samples": 3}, None, "samples: 3 is not in the list; say where a batch has it"),
        ({"samples": 0, "targets": "y"}, None, "targets: 'y' is not in the list"),
        ({"samples": 0, "logits": "out"}, None, "logits: 'out' is not in the dict with the keys"),
        ({"samples": 0, "targets": lambda batch: 1 + batch[2]}, None, "targets: must be the label"),
    ],
)
def test_what_a_batch_lacks_is_named(small, loader, arguments, result, words):
    module = Classifier() if result is None else Classifier(result)
    recorder = fod.DynamicsRecorder(small, scores=SCORES)
    with pytest.raises(DropError, match=words):
        fit(module, loader(), LightningCallback(recorder, **arguments))


@pytest.mark.parametrize("recorder", [None, "aum", fod.DynamicsRecorder])
def test_what_does_not_record_is_refused_before_the_training(recorder):
    with pytest.raises(DropError, match=r"^recorder: must be a fiftyone_drop.DynamicsRecorder"):
        LightningCallback(recorder, 0)


@pytest.mark.parametrize("argument", ["samples", "targets", "logits"])
@pytest.mark.parametrize("value", [1.5, "", b"id", [0], True])
def test_an_odd_place_is_refused_by_the_name_of_the_argument(argument, value):
    with pytest.raises(DropError) as refused:
        LightningCallback(None, **({"samples": 0} | {argument: value}))
    assert refused.value.argument == argument
