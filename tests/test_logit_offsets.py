"""``class_offsets``: from a run and the logits of a model to what helps its worst class."""

from types import SimpleNamespace

import fiftyone as fo
import numpy as np
import pandas as pd
import pytest
import torch
from fiftyone import ViewField as F
from pages import run
from reports import PROPORTIONAL
from torch import nn
from torch.nn.functional import cross_entropy

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning

CLASSES = ("cat", "dog", "owl")
SIZES = {"cat": 120, "dog": 40, "owl": 20}


@pytest.fixture
def skewed(make_dataset):
    """180 unequal training samples, of which a run keeps half; 120 with logits that show it."""
    dataset = make_dataset()
    names = [name for name, size in SIZES.items() for _ in range(size)]
    names += list(np.resize(CLASSES, 120))
    dataset.set_values("ground_truth", [fo.Classification(label=name) for name in names])
    dataset.set_values("tags", [["train" if i < 180 else "val"] for i in range(300)])
    rng = np.random.default_rng(0)
    held_out = dataset.match_tags("val")
    truth = [CLASSES.index(name) for name in held_out.values("ground_truth.label")]
    logits = rng.normal(size=(120, 3)) + 2 * np.eye(3)[truth] + np.log([120, 40, 20])
    held_out.set_values(
        "guess",
        [fo.Classification(label=CLASSES[z.argmax()], logits=z.astype(np.float32)) for z in logits],
    )
    dataset.classes = {"guess": list(CLASSES)}
    dataset.save()
    held_out.evaluate_classifications("guess", "ground_truth", eval_key="val", progress=False)
    dataset.match_tags("train").apply_drop(0.5, label_field="ground_truth", **PROPORTIONAL)
    return dataset


def test_log_prior_offsets_follow_from_what_is_kept(skewed):
    offsets = fod.class_offsets(skewed, "drop")
    assert dict(zip(offsets.classes, offsets.kept, strict=True)) == {
        "cat": 60,
        "dog": 20,
        "owl": 10,
    }
    assert offsets["owl"] - offsets["cat"] == pytest.approx(np.log(6))
    assert sum(offsets.values()) == pytest.approx(0)
    assert offsets.before is None


@pytest.mark.parametrize("method", ["log-prior", "tuned"])
def test_both_ways_lift_the_worst_class_and_say_what_it_costs(skewed, method):
    offsets = fod.class_offsets(
        skewed, "drop", method, validation=skewed.match_tags("val"), pred_field="guess"
    )
    assert offsets.after.min() > offsets.before.min() + 0.2
    assert offsets.samples == 120
    assert offsets.trade_off[0][1] == offsets.before.min()
    assert offsets.trade_off[-1] == (1.0, offsets.after.min(), offsets.after.mean())
    assert "100% of the offsets: worst recall" in str(offsets)


def test_an_evaluation_names_the_samples_and_the_predictions(skewed):
    by_view = fod.class_offsets(
        skewed, "drop", "tuned", validation=skewed.match_tags("val"), pred_field="guess"
    )
    by_evaluation = fod.class_offsets(skewed, "drop", "tuned", eval_key="val")
    assert dict(by_evaluation) == dict(by_view)


def test_recalls_before_are_those_of_the_evaluation(skewed):
    report = skewed.load_evaluation_results("val").report()
    offsets = fod.class_offsets(skewed, "drop", eval_key="val")
    for name, recall in zip(offsets.classes, offsets.before, strict=True):
        assert recall == pytest.approx(report[name]["recall"])


def test_outputs_may_have_another_order_and_more_classes(skewed):
    offsets = fod.class_offsets(skewed, "drop")
    outputs = ("owl", "crane", "dog", "cat")
    found = offsets.for_outputs(outputs)
    assert found.dtype == np.float32
    assert found.tolist() == pytest.approx([offsets.get(name, 0) for name in outputs])
    with pytest.raises(DropError, match="classes: must name all outputs of the model, but has not"):
        offsets.for_outputs(("owl", "dog"))


def test_class_weights_make_every_class_count_alike_in_the_loss(skewed):
    import torch

    offsets = fod.class_offsets(skewed, "drop")
    kept = torch.repeat_interleave(torch.arange(3), torch.tensor(offsets.kept))
    weights = torch.tensor([offsets.class_weights[name] for name in offsets.classes]).float()
    losses = cross_entropy(torch.zeros(len(kept), 3), kept, weight=weights, reduction="none")
    by_class = torch.stack([losses[kept == k].sum() for k in range(3)])
    torch.testing.assert_close(by_class, by_class.mean().expand(3))
    assert weights[kept].mean().item() == pytest.approx(1)


def test_half_the_strength_is_half_of_the_offsets(skewed):
    whole, half = (fod.class_offsets(skewed, "drop", strength=s) for s in (1, 0.5))
    np.testing.assert_allclose(half.offsets, whole.offsets / 2)


@pytest.mark.parametrize("method", ["log-prior", "tuned"])
def test_of_two_outputs_of_one_name_the_model_means_the_larger(skewed, method):
    """Each second owl speaks by an output of its own, which has the same name."""
    held_out = skewed.match_tags("val")
    by_one = fod.class_offsets(skewed, "drop", method, eval_key="val")
    table = np.array(held_out.values("guess.logits"))
    table = np.column_stack([table, table[:, 2]])
    table[::2, 2] = table[1::2, 3] = -30
    held_out.set_values("guess.logits", [row.astype(np.float32) for row in table])
    by_both = fod.class_offsets(skewed, "drop", method, eval_key="val", classes=(*CLASSES, "owl"))
    for name in ("before", "after", "offsets"):
        np.testing.assert_allclose(getattr(by_both, name), getattr(by_one, name), atol=1e-6)


@pytest.mark.parametrize("method", ["log-prior", "tuned"])
def test_what_a_model_says_of_other_classes_counts_as_wrong(skewed, method):
    held_out = skewed.match_tags("val")
    table = np.array(held_out.values("guess.logits"))
    rival = np.where(np.arange(120) % 3 == 0, table.max(1) + 3, -30)[:, None]
    table = np.hstack([table, rival])
    names = (*CLASSES, "wolf")
    held_out.set_values(
        "guess",
        [fo.Classification(label=names[z.argmax()], logits=z.astype(np.float32)) for z in table],
    )
    held_out.evaluate_classifications("guess", "ground_truth", eval_key="with_wolf", progress=False)
    offsets = fod.class_offsets(skewed, "drop", method, eval_key="with_wolf", classes=names)
    report = skewed.load_evaluation_results("with_wolf").report()
    assert offsets.before == pytest.approx([report[name]["recall"] for name in offsets.classes])
    with_offsets = table + offsets.for_outputs(names)
    truth = np.array([CLASSES.index(name) for name in held_out.values("ground_truth.label")])
    right = with_offsets.argmax(1) == truth
    assert offsets.after == pytest.approx([right[truth == k].mean() for k in range(3)])


@pytest.mark.parametrize("kind", [np.array, pd.Index, iter, lambda names: map(str, names)])
def test_names_of_outputs_come_in_any_sequence_and_no_set(skewed, kind):
    names = ("owl", "dog", "cat")
    table = np.array(skewed.match_tags("val").values("guess.logits"))[:, ::-1]
    skewed.match_tags("val").set_values("guess.logits", [z.astype(np.float32) for z in table])
    found = fod.class_offsets(skewed, "drop", eval_key="val", classes=kind(names))
    known = fod.class_offsets(skewed, "drop", eval_key="val", classes=names)
    np.testing.assert_array_equal(found.before, known.before)
    np.testing.assert_array_equal(found.for_outputs(kind(names)), known.for_outputs(names))
    for call in (
        lambda: fod.class_offsets(skewed, "drop", eval_key="val", classes=set(names)),
        lambda: found.for_outputs(set(names)),
    ):
        with pytest.raises(DropError, match=r"classes: .* got a set, which has no order"):
            call()


def test_a_wrong_order_of_classes_is_said(skewed):
    wrong = (*CLASSES[1:], CLASSES[0])
    with pytest.warns(DropWarning, match=r"Logits and labels do not .* 'cat' as 'dog'|circle"):
        found = fod.class_offsets(skewed, "drop", eval_key="val", classes=wrong)
    (words,) = found.warnings
    assert words.endswith("pass classes= in the order of the logits, or correct dataset.classes")


def test_classes_that_cannot_be_tuned_for_are_named_with_their_samples(skewed):
    held_out = skewed.match_tags("val")
    owls = held_out.match(F("ground_truth.label") == "owl").values("id")
    few = held_out.exclude(owls[1:])
    samples = {"validation": few, "pred_field": "guess"}
    with pytest.warns(DropWarning, match=r"1 of 3 classes have too few .* for, 'owl' \(1\): "):
        offsets = fod.class_offsets(skewed, "drop", "tuned", **samples)
    others = [offsets.classes.index(name) for name in ("cat", "dog")]
    assert offsets.after[others].min() >= offsets.before[others].min()
    fod.class_offsets(skewed, "drop", "log-prior", **samples)  # a warning is an error


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "tuned"}, "validation: must be given with method='tuned'"),
        ({"method": "best"}, "method: must be one of"),
        ({"strength": 0}, r"strength: must be a number in \(0, 1\]"),
        ({"pred_field": "guess"}, "validation: must be given"),
        ({"eval_key": "val", "pred_field": "guess"}, "eval_key: must be given without"),
        ({"eval_key": "other"}, "eval_key: the evaluation 'other' does not exist"),
        ({"eval_key": "val", "classes": ("cat", "dog", "ant")}, "classes: must name every class"),
        ({"eval_key": "val", "classes": ("cat",)}, "classes: must name every"),
    ],
)
def test_what_cannot_be_is_refused_by_its_argument(skewed, given, message):
    with pytest.raises(DropError, match=f"^{message}"):
        fod.class_offsets(skewed, "drop", **given)


def test_what_an_evaluation_lacks_is_about_its_key(skewed):
    held_out = skewed.match_tags("val")
    held_out.set_values("guess.logits", [None] * 120)
    with pytest.raises(DropError, match=r"^eval_key: 120 of 120 samples have no logits"):
        fod.class_offsets(skewed, "drop", eval_key="val")
    held_out.clear_sample_field("ground_truth")
    with pytest.raises(DropError, match=r"^eval_key: must have samples of the classes of the run"):
        fod.class_offsets(skewed, "drop", eval_key="val")


def test_predictions_without_logits_are_refused(skewed):
    skewed.match_tags("val").set_values("bare", [fo.Classification(label="cat")] * 120)
    with pytest.raises(DropError, match=r"^pred_field: 120 of 120 samples have no logits"):
        fod.class_offsets(
            skewed,
            "drop",
            validation=skewed.match_tags("val"),
            pred_field="bare",
            classes=CLASSES,
        )


class TorchvisionLike(nn.Module):
    """What a ResNet of torchvision calls its last layer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, inputs):
        return self.fc(inputs)


class HuggingFaceLike(nn.Module):
    """What a classifier of Transformers has: ``config.id2label``, ``classifier``, ``logits``."""

    def __init__(self, names):
        super().__init__()
        self.config = SimpleNamespace(id2label=dict(enumerate(names)), num_labels=len(names))
        self.classifier = nn.Linear(4, len(names))

    def forward(self, inputs):
        return SimpleNamespace(logits=self.classifier(inputs))


def test_the_examples_of_the_page_run_and_shift_the_logits(skewed):
    torch.manual_seed(0)
    held_out, inputs = skewed.match_tags("val"), torch.randn(6, 4)
    held_out.set_values("predictions", held_out.values("guess"))
    plain, network = nn.Linear(4, 3), TorchvisionLike()
    hugging_face = HuggingFaceLike(("owl", "wolf", "dog", "cat"))
    before = network(inputs), hugging_face(inputs).logits
    names = {
        "dataset": skewed,
        "held_out": held_out,
        "classes": list(CLASSES),
        "images": inputs,
        "labels": torch.tensor([0, 1, 2, 0, 1, 2]),
        "model": plain,
        "network": network,
        "hf_model": hugging_face,
    }
    run("offsets.md", names)
    offsets, tuned = names["offsets"], names["tuned"]
    expected = torch.tensor([offsets[name] for name in CLASSES])
    assert torch.equal(names["predicted"], (plain(inputs) + expected).argmax(1))
    assert torch.allclose(network(inputs) - before[0], expected, atol=1e-5)
    others = torch.tensor([offsets["owl"], 0, offsets["dog"], offsets["cat"]])
    assert torch.allclose(hugging_face(inputs).logits - before[1], others, atol=1e-5)
    assert tuned.after.min() > tuned.before.min()
    assert names["part"]["cat"] == pytest.approx(tuned["cat"] / 2)
    assert names["adjusted"] > 0
    assert names["weighted"] > 0
