"""train_query_model records the scores that it was asked for."""

import numpy as np
import pytest

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.training.fitting import Listeners


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
    assert fod.import_scores(view, model, prefix="query_") == [f"query_{n}" for n in model.scores]
    assert dataset.get_field("query_aum").info["label_field"] == "ground_truth"


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
        (("aul",), "no score 'aul'"),
    ],
)
def test_scores_that_no_training_records_are_refused(make_dataset, scores, words):
    with pytest.raises(DropError, match=words):
        fod.train_query_model(make_dataset(20), scores=scores)
