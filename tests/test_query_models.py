"""Query models on a dataset: out-of-sample predictions, their evaluation, and scores."""

import logging

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning
from fiftyone_drop.population import read_population
from fiftyone_drop.query import stratified_folds, stratified_holdout
from fiftyone_drop.recall import class_recalls

# 300 digits are few: whether their recalls can be told apart is not what is tested here
pytestmark = pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")


@pytest.fixture
def population(dataset):
    return read_population(dataset, "ground_truth")


def test_folds_divide_each_class_evenly(population):
    k = len(population.classes)
    fold_of = stratified_folds(population.codes, population.ids, k, 5, seed=1)
    for code in range(k):
        sizes = np.bincount(fold_of[population.codes == code], minlength=5)
        assert sizes.max() - sizes.min() <= 1


def test_a_hold_out_takes_its_share_of_each_class_and_at_least_one(population):
    k = len(population.classes)
    for holdout in (0.2, 0.001):
        held_out = stratified_holdout(population.codes, population.ids, k, holdout, seed=1) == 0
        shares = np.bincount(population.codes[held_out], minlength=k)
        expected = np.maximum(1, np.floor(holdout * population.sizes + 0.5))
        assert shares.tolist() == expected.tolist()


def test_folds_depend_on_ids_and_seed_and_not_on_the_order_of_rows(population):
    k = len(population.classes)
    rows = np.random.default_rng(0).permutation(len(population))
    shuffled = population.select(rows)
    fold_of = stratified_folds(population.codes, population.ids, k, 5, seed=1)
    again = stratified_folds(shuffled.codes, shuffled.ids, k, 5, seed=1)
    assert again.tolist() == fold_of[rows].tolist()
    other = stratified_folds(population.codes, population.ids, k, 5, seed=2)
    assert other.tolist() != fold_of.tolist()


@pytest.fixture
def pruned(dataset, caplog):
    """The one-liner on 300 digits, with nothing given: query models are cross-validated."""
    fiftyone_logger = logging.getLogger("fiftyone")
    fiftyone_logger.propagate = True
    with caplog.at_level(logging.INFO, "fiftyone"):
        view = dataset.apply_drop(density=0.5)
    return dataset, view, caplog.text


def test_the_one_line_call_trains_predicts_evaluates_and_prunes(pruned):
    dataset, view, log = pruned
    assert "5 query models" in log
    assert "245 images at 8x8" in log
    assert "about" in log
    run = fod.load_drop(dataset, "drop")
    # Every sample has an out-of-sample prediction, and the recalls are those of the evaluation
    assert dataset.exists("drop_pred").count() == 300
    assert run.config.pred_field == "drop_pred"
    report = dataset.load_evaluation_results("drop_eval").report()
    table = run.table
    for name, correct, support in zip(table.classes, table.correct, table.support, strict=True):
        assert correct / support == pytest.approx(report[name]["recall"])
    assert report["accuracy"] > 0.8
    np.testing.assert_array_equal(table.recalls, class_recalls(table.correct, table.support))
    assert view.count_values("ground_truth.label") == table.by_class("quotas")
    # The stored evaluation makes another run without training
    again = dataset.match(F("drop_kept") == True)  # noqa: E712
    with pytest.warns(DropWarning, match="150 of 300|300 of 300|also in the target view"):
        assert len(again.apply_drop(density=0.5, eval_key="drop_eval", key="again")) == 75


def test_deleting_the_run_deletes_what_it_had_to_predict(dataset):
    before = sorted(dataset.get_field_schema())
    dataset.apply_drop(density=0.5, holdout=0.3)
    assert dataset.exists("drop_pred").count() == dataset.exists("drop_eval").count() == 91
    assert fod.load_drop(dataset, "drop").table.support.sum() == 91
    fod.delete_drop(dataset, "drop")
    assert sorted(dataset.get_field_schema()) == before
    assert dataset.list_evaluations() == []


def test_the_same_seed_prunes_the_same_samples(dataset):
    plans = [fod.plan_drop(dataset, 0.5, holdout=0.3, seed=seed) for seed in (3, 3, -4)]
    assert plans[0].kept_ids == plans[1].kept_ids != plans[2].kept_ids


def test_string_labels_are_predicted_too_but_fiftyone_cannot_evaluate_them(dataset):
    dataset.delete_sample_field("ground_truth")
    dataset.apply_drop(density=0.5, label_field="name", holdout=0.3)
    run = fod.load_drop(dataset, "drop")
    assert run.config.eval_key is None
    assert dataset.list_evaluations() == []
    predicted = dataset.exists("drop_pred")
    right = np.array(predicted.values("drop_pred.label")) == np.array(predicted.values("name"))
    assert right.sum() == run.table.correct.sum()


def test_group_recalls_come_from_models_of_the_labels(dataset):
    plan = fod.plan_drop(dataset, 0.5, holdout=0.4, group_by="parity", missing_recall=0.5)
    assert len(plan.recalls) == 20
    assert set(plan.predictions.labels) <= set(dataset.distinct("ground_truth.label"))


def test_an_image_that_cannot_be_read_is_named_and_nothing_is_written(dataset, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    dataset.add_sample(
        fo.Sample(filepath=str(broken), ground_truth=fo.Classification(label="zero"))
    )
    with pytest.raises(DropError, match=r"broken\.png"):
        dataset.apply_drop(density=0.5, holdout=0.3)
    assert dataset.list_runs() == []
    assert "drop_pred" not in dataset.get_field_schema()


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
