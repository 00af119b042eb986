"""Every sample is predicted by a query model that has not seen it."""

import warnings

import fiftyone as fo
import numpy as np
import pytest
from digit_models import network, own
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.cross_validation import (
    cross_predict,
    stratified_folds,
    stratified_holdout,
    train_and_predict,
)
from fiftyone_drop.population import read_outcomes, read_population
from fiftyone_drop.training import TrainingOptions

pytestmark = pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")


@pytest.fixture
def population(dataset):
    return read_population(dataset, "ground_truth", filepaths=True)


# -- folds ----------------------------------------------------------------------------------------


def codes_and_ids(sizes):
    """Samples of classes of these sizes, in any order."""
    codes = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    return codes.astype(np.int32), np.array([b"%024x" % (i * 7919) for i in range(len(codes))])


def shares(codes, fold_of, folds):
    """(K, folds) int, how many samples of each class are in each fold."""
    table = np.zeros((codes.max() + 1, folds), dtype=int)
    np.add.at(table, (codes, fold_of), 1)
    return table


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    folds=st.integers(2, 7),
    seed=st.integers(-(2**63), 2**63 - 1),
)
def test_folds_are_balanced_in_size_and_over_classes(sizes, folds, seed):
    codes, ids = codes_and_ids(sizes)
    ours = shares(codes, stratified_folds(codes, ids, len(sizes), folds, seed), folds)
    assert np.ptp(ours.sum(axis=0)) <= 1
    assert np.ptp(ours, axis=1).max() <= 1
    if max(sizes) < folds:
        return  # scikit-learn refuses these
    split = StratifiedKFold(folds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with fewer samples than folds
        tests = [test for _, test in split.split(np.zeros(len(codes)), codes)]
    theirs = np.stack([np.bincount(codes[test], minlength=len(sizes)) for test in tests], axis=1)
    assert np.ptp(ours.sum(axis=0)) <= np.ptp(theirs.sum(axis=0))
    assert np.all(np.ptp(ours, axis=1) <= np.ptp(theirs, axis=1))


@pytest.mark.parametrize(("classes", "of_each", "fold"), [(100, 3, 60), (30, 2, 12)])
def test_classes_smaller_than_the_number_of_folds_fill_all_folds_alike(classes, of_each, fold):
    codes, ids = codes_and_ids([of_each] * classes)
    for seed in range(5):
        sizes = np.bincount(stratified_folds(codes, ids, classes, 5, seed))
        assert sizes.tolist() == [fold] * 5


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


# -- query models ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_steps")
def test_there_are_as_many_query_models_as_folds_however_small_the_classes(make_dataset):
    dataset = make_dataset(60)
    labels = [fo.Classification(label=f"class {i % 30}") for i in range(60)]
    dataset.set_values("ground_truth", labels)
    plan = fod.plan_drop(dataset, 0.5, folds=5)
    assert plan.recalls_from == "5 cross-validated query models"
    assert plan.table.support.tolist() == [2] * 30


@pytest.mark.usefixtures("few_steps")
def test_a_sample_is_predicted_by_the_model_of_its_fold(population, tmp_path):
    predictions = cross_predict(
        population, 3, None, 5, False, keep_models=True, checkpoint_dir=tmp_path
    )
    fold_of = stratified_folds(population.codes, population.ids, 10, 3, 5)
    assert predictions.rows.tolist() == list(range(300))
    assert predictions.ids.tolist() == population.ids.tolist()
    assert len(predictions.models) == 3
    for fold, model in enumerate(predictions.models):
        rows = np.flatnonzero(fold_of == fold)
        logits = np.concatenate(
            [batch for _, batch in model.predict([population.filepaths[i] for i in rows])]
        )
        predicted = [population.label_names[code] for code in logits.argmax(axis=1)]
        assert [predictions.labels[i] for i in rows] == predicted
    right = np.array(predictions.labels) == np.array(population.label_of)
    assert predictions.correct.tolist() == right.tolist()


@pytest.mark.usefixtures("few_steps")
def test_a_model_on_a_hold_out_predicts_that_alone(population, tmp_path):
    predictions = cross_predict(population, 5, 0.25, 5, False, checkpoint_dir=tmp_path)
    held_out = np.flatnonzero(
        stratified_holdout(population.codes, population.ids, 10, 0.25, 5) == 0
    )
    assert predictions.rows.tolist() == held_out.tolist()
    assert predictions.ids.tolist() == population.ids[held_out].tolist()
    assert predictions.source == "a query model on a hold-out of 0.25"
    assert predictions.models == []


@pytest.mark.usefixtures("few_steps")
def test_a_model_of_all_samples_predicts_the_validation_samples(dataset, tmp_path):
    target, validation = dataset[:200], dataset[200:]
    population = read_population(target, "ground_truth", filepaths=True)
    outcomes = read_outcomes(validation, population.classes, "ground_truth", None, ["filepath"])
    options = TrainingOptions(seed=3)
    predictions = train_and_predict(population, outcomes, options, False, checkpoint_dir=tmp_path)
    (model,) = predictions.models
    logits = np.concatenate([batch for _, batch in model.predict(validation.values("filepath"))])
    assert predictions.labels == [population.label_names[code] for code in logits.argmax(axis=1)]
    right = np.array(predictions.labels) == np.array(validation.values("ground_truth.label"))
    assert predictions.correct.tolist() == right.tolist()


@pytest.mark.usefixtures("few_steps")
def test_the_same_seed_prunes_the_same_samples(dataset):
    plans = [fod.plan_drop(dataset, 0.5, holdout=0.3, seed=seed) for seed in (3, 3, -4)]
    assert plans[0].kept_ids == plans[1].kept_ids != plans[2].kept_ids


@pytest.mark.parametrize("how", [{"query": "closed-form"}, {"holdout": 0.3}], ids=str)
def test_an_image_that_cannot_be_read_is_named_and_nothing_is_written(dataset, tmp_path, how):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    dataset.add_sample(
        fo.Sample(filepath=str(broken), ground_truth=fo.Classification(label="zero"))
    )
    with pytest.raises(DropError, match=r"broken\.png") as refused:
        dataset.apply_drop(density=0.5, **how)
    assert refused.value.argument == "samples"
    assert dataset.list_runs() == []
    assert "drop_pred" not in dataset.get_field_schema()


@pytest.mark.parametrize(
    ("argument", "arguments"), [("folds", {"folds": 2}), ("holdout", {"holdout": 0.9})]
)
def test_too_few_samples_to_train_on_are_about_what_divides_them(make_dataset, argument, arguments):
    with pytest.raises(DropError, match="at least 2 samples") as refused:
        fod.plan_drop(make_dataset(2), 0.9, min_per_class=0, progress=False, **arguments)
    assert refused.value.argument == argument


# -- before a training ----------------------------------------------------------------------------


@pytest.fixture
def no_training(monkeypatch):
    """A training that begins is an error."""

    def fail(*arguments, **options):
        raise AssertionError("a training has begun")

    monkeypatch.setattr("fiftyone_drop.training.cross_validate", fail)
    monkeypatch.setattr("fiftyone_drop.training.train", fail)


@pytest.fixture
def spoiled(dataset, tmp_path):
    """A function that replaces the files of some rows by what cannot be read; their ids."""

    def spoil(*rows):
        paths, ids = dataset.values(["filepath", "id"])
        for row in rows:
            paths[row] = str(tmp_path / f"{row}.png")
            if row % 2:
                (tmp_path / f"{row}.png").write_bytes(b"no image")
        dataset.set_values("filepath", paths)
        return [ids[row] for row in rows]

    return spoil


@pytest.mark.usefixtures("no_training")
def test_all_images_that_cannot_be_read_are_named_at_once_and_before_the_training(dataset, spoiled):
    ids = spoiled(3, 100, 299)
    for call in (dataset.apply_drop, lambda density: fod.train_query_model(dataset)):
        with pytest.raises(DropError, match=r"^samples: 3 of 300 images cannot be read") as caught:
            call(0.5)
        assert all(one in caught.value.message for one in ids)
        with pytest.raises(AssertionError, match="has begun"):
            dataset.exclude(ids).apply_drop(0.5, query="trained")


@pytest.mark.usefixtures("no_training")
def test_so_are_those_of_validation_samples(dataset, spoiled):
    ids = spoiled(200, 250)
    with pytest.raises(DropError, match=r"^validation: 2 of 100 images cannot be read") as caught:
        fod.train_query_model(dataset[:200], validation=dataset[200:])
    assert all(one in caught.value.message for one in ids)


def test_a_model_names_all_images_that_it_cannot_read(dataset, spoiled):
    ids = spoiled(200, 250, 299)
    options = {"validation": dataset[200:], "model": own(network())}
    with pytest.raises(DropError, match=r"^validation: 3 of 100 images cannot be read") as caught:
        fod.plan_drop(dataset[:200], 0.5, **options)
    assert all(one in caught.value.message for one in ids)


@pytest.mark.usefixtures("no_training")
def test_validation_without_a_class_of_the_target_is_refused_before_the_training(dataset):
    named = dataset.match({"name": "zero"})
    others = dataset.match({"name": "one"})
    target = dataset.match({"name": {"$in": ["zero", "two"]}})
    with pytest.raises(DropError, match=r"^validation: has no sample of the classes 'two', 'zero'"):
        fod.train_query_model(target, validation=others)
    for source in ({"model": own(network())}, {"pred_field": "name"}):
        with pytest.raises(DropError, match=r"^validation: has no sample of the classes"):
            fod.plan_drop(target, 0.5, label_field="name", validation=others, **source)
    with pytest.raises(AssertionError, match="has begun"):
        fod.train_query_model(target, validation=named)


@pytest.mark.usefixtures("no_training")
def test_one_class_is_refused_before_the_training_with_a_way(dataset):
    ones = dataset.match({"name": "one"})
    for call in (
        lambda: ones.apply_drop(0.5, query="trained"),
        lambda: ones.apply_drop(0.5, holdout=0.2, group_by="parity"),
        lambda: fod.train_query_model(ones),
        lambda: fod.train_query_model(ones, validation=ones),
        lambda: fod.compute_scores(ones),
    ):
        with pytest.raises(DropError, match=r"^label_field: all samples have the label 'one'"):
            call()
    assert len(ones.apply_drop(0.5, rule="none")) == fod.kept_size(len(ones), 0.5)
