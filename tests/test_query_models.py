"""Query models on a dataset: out-of-sample predictions, their evaluation, and scores."""

import fiftyone as fo
import numpy as np
import pytest

import fiftyone_drop as fod
from fiftyone_drop import DropError, field_writes
from fiftyone_drop.query_models import check_predictions_free

# 300 digits are few: whether their recalls can be told apart is not what is tested here
pytestmark = pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")


def test_a_query_model_brings_recalls_an_evaluation_and_scores(dataset):
    model = fod.train_query_model(dataset[:200], validation=dataset[200:], epochs=20)
    assert model.eval_key == "query_eval"
    assert dataset.exists("query_eval").count() == 100
    by_eval = fod.plan_drop(dataset[:200], 0.5, eval_key=model.eval_key)
    assert by_eval.recalls == pytest.approx(model.recalls)
    by_model = fod.plan_drop(dataset[:200], 0.5, validation=dataset[200:], model=model)
    assert by_model.recalls == pytest.approx(model.recalls)
    assert len(by_model.predictions.labels) == 100
    assert model.sample_ids == dataset[:200].values("id")
    assert list(model.scores) == ["el2n", "forgetting", "first_learned", "aum", "el2n_mean"]
    for values in model.scores.values():
        assert values.shape == (200,)
        assert np.isfinite(values).all()
    with pytest.raises(DropError, match="overwrite=True"):
        fod.train_query_model(dataset[:200], validation=dataset[200:])


@pytest.mark.usefixtures("few_steps")
def test_a_class_without_validation_samples_has_no_recall_and_missing_recall_gives_it_one(dataset):
    without_nines = dataset[200:].match(fo.ViewField("ground_truth.label") != "nine")
    model = fod.train_query_model(dataset[:200], validation=without_nines, epochs=1)
    assert sorted(model.recalls) == sorted(without_nines.distinct("ground_truth.label"))
    with pytest.raises(DropError, match=r"recalls: no recall for 'nine'; .* missing_recall="):
        fod.plan_drop(dataset[:200], 0.5, recalls=model.recalls)
    plan = fod.plan_drop(dataset[:200], 0.5, recalls=model.recalls, missing_recall=0.3)
    assert plan.recalls == model.recalls | {"nine": 0.3}


def test_a_query_model_holds_out_its_own_validation_samples(dataset):
    model = fod.train_query_model(dataset, holdout=0.25, epochs=5, key="short")
    held_out = dataset.exists("short_pred").values("id")
    assert not set(held_out) & set(model.sample_ids)
    assert len(held_out) + len(model.sample_ids) == 300
    again = fod.train_query_model(dataset, holdout=0.25, epochs=5, key="short", overwrite=True)
    assert again.recalls == model.recalls


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"holdout": 1.5}, "holdout"),
        ({"key": "a b"}, "key"),
        ({"epochs": 0}, "epochs"),
        ({"architecture": "alexnot"}, "architecture"),
    ],
)
def test_a_query_model_refuses_bad_arguments(dataset, arguments, word):
    with pytest.raises(DropError, match=word):
        fod.train_query_model(dataset, **arguments)


def test_scores_are_written_with_their_direction_and_order_a_run(dataset):
    model = fod.train_query_model(dataset, holdout=0.2, epochs=10)
    assert fod.compute_scores(dataset, model=model, prefix="my_") == ["my_el2n"]
    info = dataset.get_field("my_el2n").info
    assert info["hard"] == "high"
    assert info["score"] == "el2n"
    assert info["out_of_sample"] is False
    scores = np.array(dataset.values("my_el2n"))
    assert np.all((scores >= 0) & (scores <= np.sqrt(2) + 1e-6))
    in_sample = dataset.select(model.sample_ids, ordered=True).values("my_el2n")
    np.testing.assert_allclose(in_sample, model.scores["el2n"], atol=1e-5)
    view = dataset.apply_drop(density=0.2, rule="none", select="my_el2n")
    np.testing.assert_allclose(sorted(view.values("my_el2n")), np.sort(scores)[-60:])
    assert fod.compute_scores(dataset, model=model, prefix="my_") == ["my_el2n"]  # again is fine


@pytest.mark.usefixtures("few_steps")
def test_scores_without_a_model_are_out_of_sample(dataset):
    fod.compute_scores(dataset, folds=2)
    assert dataset.get_field("el2n").info["out_of_sample"] is True
    assert len(dataset.exists("el2n")) == 300


def test_a_field_that_holds_something_else_is_not_overwritten(dataset):
    dataset.set_values("el2n", [1.0] * 300)
    with pytest.raises(DropError, match=r"'el2n' exists .*prefix, or overwrite=True"):
        fod.compute_scores(dataset)
    assert dataset.values("el2n") == [1.0] * 300


@pytest.mark.parametrize("scores", ["el2n", ("el3n",)])
def test_unknown_scores_are_refused(dataset, scores):
    with pytest.raises(DropError, match="el2n"):
        fod.compute_scores(dataset, scores=scores)


# -- what is written ------------------------------------------------------------------------------


def test_names_that_are_taken_are_refused_without_overwrite(dataset, predict):
    assert check_predictions_free(dataset, "query", False) == ("query_pred", "query_eval")
    predict(dataset, "query_pred", eval_key="query_eval")
    with pytest.raises(DropError, match=r"^key: .* exists; pass overwrite=True"):
        check_predictions_free(dataset, "query", False)
    with pytest.raises(DropError, match=r"^key: must be a valid field name"):
        check_predictions_free(dataset, "a b", True)


def test_predictions_and_evaluations_of_others_are_never_replaced(dataset, predict):
    predict(dataset, "query_pred")
    with pytest.raises(DropError, match=r"^key: the field 'query_pred' holds no predictions that"):
        check_predictions_free(dataset, "query", True)
    predict(dataset, "other", eval_key="late_eval")
    with pytest.raises(DropError, match=r"^key: 'late_eval' is no evaluation of 'late_pred'"):
        check_predictions_free(dataset, "late", True)
    dataset.set_values("mine_eval", [True] * 300)
    with pytest.raises(DropError, match=r"^key: 'mine_eval' .* a field of somebody else"):
        check_predictions_free(dataset, "mine", False)


@pytest.mark.usefixtures("few_steps")
def test_predictions_that_cannot_be_replaced_stay_with_their_evaluation(
    make_dataset, monkeypatch, tmp_path
):
    dataset = make_dataset(100)
    how = {"epochs": 1, "scores": ["aum"], "checkpoint_dir": tmp_path}
    model = fod.train_query_model(dataset, seed=1, **how)
    before = dataset.values("query_pred.label"), dataset.values("query_eval")

    def fail(*arguments, **options):
        raise RuntimeError("no connection")

    with monkeypatch.context() as patch:
        patch.setattr(field_writes, "_clear_rest", fail)
        with pytest.raises(RuntimeError, match="no connection"):
            fod.train_query_model(dataset, seed=2, overwrite=True, **how)
    dataset.reload()
    assert (dataset.values("query_pred.label"), dataset.values("query_eval")) == before
    assert "query_pred_being_written" not in dataset.get_field_schema()
    assert dataset.exists("query_pred").count() == 100 - len(model.sample_ids)
    # Cut off while the new ones take their place: the old evaluation would not fit them
    with monkeypatch.context() as patch:
        patch.setattr(field_writes, "_finish", fail)
        with pytest.raises(RuntimeError, match="no connection"):
            fod.train_query_model(dataset, seed=2, overwrite=True, **how)
    with pytest.raises(DropError, match=r"^eval_key: the values of 'query_pred' are being repl"):
        fod.plan_drop(dataset, 0.5, eval_key="query_eval")
    again = fod.train_query_model(dataset, seed=2, overwrite=True, **how)
    assert dataset.exists("query_pred").count() == 100 - len(again.sample_ids)
    assert dataset.exists("query_eval").values("id") == dataset.exists("query_pred").values("id")


@pytest.mark.usefixtures("few_steps")
def test_an_evaluation_that_fails_leaves_no_predictions(dataset, monkeypatch, tmp_path):
    before = sorted(dataset.get_field_schema())

    def fail(*arguments, **options):
        raise RuntimeError("no connection")

    monkeypatch.setattr(fo.DatasetView, "evaluate_classifications", fail)
    with pytest.raises(RuntimeError, match="no connection"):
        fod.train_query_model(dataset, epochs=1, checkpoint_dir=tmp_path)
    assert sorted(dataset.get_field_schema()) == before
    assert dataset.list_evaluations() == []


@pytest.mark.usefixtures("few_steps")
def test_labels_that_are_strings_are_predicted_and_not_evaluated(dataset, tmp_path):
    model = fod.train_query_model(dataset, "name", epochs=1, checkpoint_dir=tmp_path)
    assert model.eval_key is None
    assert dataset.list_evaluations() == []
    assert dataset.exists("query_pred").count() == 300 - len(model.sample_ids)
    assert sorted(model.recalls) == sorted(dataset.distinct("name"))


@pytest.mark.usefixtures("few_steps")
def test_predictions_are_replaced_by_those_of_labels_of_the_same_kind_only(dataset, tmp_path):
    how = {"epochs": 1, "checkpoint_dir": tmp_path}
    fod.train_query_model(dataset, "name", **how)
    before = dataset.values("query_pred")
    with pytest.raises(DropError, match=r"^key: the field 'query_pred' holds .* of another kind"):
        fod.train_query_model(dataset, "ground_truth", overwrite=True, **how)
    assert dataset.values("query_pred") == before
    model = fod.train_query_model(dataset, "name", overwrite=True, seed=3, **how)
    assert dataset.exists("query_pred").count() == 300 - len(model.sample_ids)
    fod.train_query_model(dataset, "ground_truth", key="other", **how)
    with pytest.raises(DropError, match=r"^key: the field 'other_pred' holds .* of another kind"):
        fod.train_query_model(dataset, "name", key="other", overwrite=True, **how)


@pytest.mark.usefixtures("few_steps")
def test_predictions_whose_labels_are_gone_block_no_writer(make_dataset, monkeypatch, tmp_path):
    dataset = make_dataset(100)
    how = {"epochs": 1, "checkpoint_dir": tmp_path}
    fod.train_query_model(dataset, "ground_truth", **how)

    def die(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(field_writes, "_finish", die)
        with pytest.raises(KeyboardInterrupt):
            fod.train_query_model(dataset, "ground_truth", overwrite=True, **how)
    dataset.reload()
    dataset.rename_sample_field("ground_truth", "labels")
    dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, fo.Detections)
    dataset.apply_drop(0.5, label_field="labels", rule="proportional")
    assert dataset.list_evaluations() == []
    assert dataset.exists("query_pred").count() > 0


def test_an_option_that_no_training_and_no_score_has_is_refused(dataset):
    with pytest.raises(DropError, match=r"^epoch: no option has the name 'epoch'"):
        fod.train_query_model(dataset, epoch=3)
    with pytest.raises(DropError, match=r"^window: no option has the name 'window'"):
        fod.train_query_model(dataset, scores=("aum",), window=5)
