"""Training dynamics recorded on the way: those of one model, on the samples it is trained on."""

import numpy as np
import pytest
from interrupting import OPTIONS, Interruption, recorder_of, same, stop_after

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.training import cross_validate, train
from fiftyone_drop.training.fitting import Listeners


def test_dynamics_are_those_of_a_hand_loop_over_the_batches(few):
    ours, theirs, steps = recorder_of(few), recorder_of(few), []

    def by_hand(indices, logits):
        theirs.update(indices, logits)
        steps.append(indices)
        if len(steps) % 4 == 0:
            theirs.end_epoch()

    train(*few, OPTIONS, recorder=ours, on_batch=by_hand)
    assert ours.epoch == theirs.epoch == 3
    assert same(ours.state_dict()["state"], theirs.state_dict()["state"])
    assert all(np.isfinite(values).all() for values in ours.finish().values())


def test_a_recorder_changes_nothing_in_the_training(few):
    with_it = train(*few, OPTIONS, recorder=recorder_of(few))
    without = train(*few, OPTIONS)
    assert same(with_it.module.state_dict(), without.module.state_dict())


def test_after_an_interruption_the_recorder_is_as_it_was_and_serves_the_same_call(few):
    used, fresh = recorder_of(few), recorder_of(few)
    with pytest.raises(Interruption):
        train(*few, OPTIONS, recorder=used, progress=stop_after(200))
    assert used.epoch == 0
    assert same(used.state_dict()["state"], fresh.state_dict()["state"])
    for recorder in (used, fresh):
        train(*few, OPTIONS, recorder=recorder)
    assert same(used.state_dict()["state"], fresh.state_dict()["state"])


def test_a_hold_out_records_the_samples_that_are_not_held_out(few):
    fold_of = np.where(np.arange(120) % 3 == 0, 0, -1)
    recorder = recorder_of(few)
    cross_validate(*few, fold_of, OPTIONS, on_logits=lambda *_: None, recorder=recorder)
    for values in recorder.finish().values():
        assert np.isnan(values).tolist() == (fold_of == 0).tolist()


def test_several_folds_have_no_common_dynamics(few):
    with pytest.raises(DropError, match="`recorder` to be None with 2 folds"):
        cross_validate(
            *few, np.arange(120) % 2, OPTIONS, on_logits=print, recorder=recorder_of(few)
        )


def test_a_recorder_of_other_labels_is_refused(few):
    other = recorder_of((few[0], np.roll(few[1], 1), few[2]))
    with pytest.raises(DropError, match=r"`recorder` to be of the same 120 samples and labels"):
        train(*few, OPTIONS, recorder=other)


@pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")
@pytest.mark.parametrize("hold_out", [True, False])
def test_a_query_model_has_the_scores_that_were_asked_for(make_dataset, tmp_path, hold_out):
    dataset = make_dataset(120)
    view = dataset if hold_out else dataset[:90]
    model = fod.train_query_model(
        view,
        validation=None if hold_out else dataset[90:],
        scores=("aum", "el2n", "forgetting"),
        checkpoint_dir=tmp_path,
        epochs=3,
        batch_size=32,
    )
    assert list(model.scores) == ["aum", "el2n", "forgetting"]
    assert len(model.sample_ids) == (120 - dataset.exists("query_pred").count() if hold_out else 90)
    assert set(model.sample_ids).isdisjoint(dataset.exists("query_pred").values("id"))
    for values in model.scores.values():
        assert values.shape == (len(model.sample_ids),)
        assert np.isfinite(values).all()
    assert list(tmp_path.iterdir()) == []


def test_the_recorded_scores_belong_to_their_ids(make_dataset, tmp_path, monkeypatch):
    dataset, seen = make_dataset(60), {}
    ids = dataset.values("id")
    labels = dataset.values("ground_truth.label")
    step = Listeners.step

    def watched(self, batch, logits, clean):
        for row, values in zip(batch, logits.tolist(), strict=True):
            seen.setdefault(ids[row], []).append((labels[row], values))
        step(self, batch, logits, clean)

    monkeypatch.setattr(Listeners, "step", watched)
    model = fod.train_query_model(
        dataset, scores=("aum",), holdout=0.5, epochs=3, checkpoint_dir=tmp_path
    )
    assert set(model.sample_ids) == set(seen)
    for sample_id, score in zip(model.sample_ids, model.scores["aum"], strict=True):
        margins = []
        for label, values in seen[sample_id]:
            own = values.pop(model.classes.index(label))
            margins.append(own - max(values))
        assert score == pytest.approx(np.mean(margins), abs=1e-5)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ("aum", r"scores: must be a sequence of names, such as \('aum',\)"),
        (("entropy",), r"'entropy'; compute it afterwards, with compute_scores"),
        (("aul",), "Unknown score 'aul'"),
    ],
)
def test_scores_that_no_training_records_are_refused(make_dataset, scores, words):
    with pytest.raises(DropError, match=words):
        fod.train_query_model(make_dataset(20), scores=scores)
