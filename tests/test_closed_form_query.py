"""A pruning without any source of recalls: a query model in closed form leaves out each sample."""

import dataclasses

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr
from sklearn.datasets import load_digits

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning
from fiftyone_drop.closed_form_query import looked_at, predict_left_out
from fiftyone_drop.population import read_population

# Thirty digits of each class, most of them right, are too few to tell how the classes differ
pytestmark = pytest.mark.filterwarnings(
    "ignore:the class recalls cannot be told apart", "ignore:the quotas may go too far"
)


@pytest.fixture
def population(dataset):
    return read_population(dataset, "ground_truth", filepaths=True)


@pytest.fixture
def most(monkeypatch):
    """A function that sets how many samples a query model looks at."""
    return lambda n: monkeypatch.setattr("fiftyone_drop.closed_form_query.MOST", n)


def shuffled(population):
    return population.select(np.random.default_rng(0).permutation(len(population)))


# -- the whole way --------------------------------------------------------------------------------


def test_without_a_source_every_sample_is_predicted_and_evaluated(dataset):
    view = dataset.apply_drop(density=0.5)
    run = fod.load_drop(dataset, "drop")
    assert len(view) == 150
    assert run.config.recalls_from == "a query model in closed form"
    assert (run.config.asked["query"], run.config.asked["folds"]) == ("closed-form", None)
    assert dataset.exists("drop_pred.label").count() == 300
    assert all(0 <= c <= 1 for c in dataset.values("drop_pred.confidence"))
    right = np.array(dataset.values("drop_pred.label")) == dataset.values("ground_truth.label")
    assert right.mean() > 0.9
    assert dataset.values("drop_eval") == right.tolist()
    assert dict(zip(run.table.names, run.table.support, strict=True)) == dataset.count_values(
        "ground_truth.label"
    )
    with pytest.warns(DropWarning, match="also in the target view"):
        again = dataset.apply_drop(density=0.5, key="again", eval_key="drop_eval")
    assert again.values("id") == view.values("id")


def test_a_seed_decides_what_is_kept(dataset):
    plans = [fod.plan_drop(dataset, 0.5, seed=seed) for seed in (3, 3, -4)]
    assert plans[0].kept_ids == plans[1].kept_ids != plans[2].kept_ids


def test_predictions_follow_from_the_samples_and_not_from_their_order(population):
    one, other = (predict_left_out(p, 1, False) for p in (population, shuffled(population)))
    assert dict(zip(one.ids, one.labels, strict=True)) == dict(
        zip(other.ids, other.labels, strict=True)
    )
    assert one.rows.tolist() == list(range(300))
    right = np.array(one.labels) == np.array(population.label_of)
    assert one.correct.tolist() == right.tolist()


def test_recalls_of_groups_are_those_of_the_cells(dataset):
    plan = fod.plan_drop(dataset, 0.5, group_by="parity", smoothing=0)
    predicted = dict(zip(plan.predictions.ids.tolist(), plan.predictions.labels, strict=True))
    right, size = {}, {}
    for sample in dataset:
        cell = sample.ground_truth.label, sample.parity
        size[cell] = size.get(cell, 0) + 1
        right[cell] = right.get(cell, 0) + (predicted[sample.id.encode()] == cell[0])
    assert plan.recalls == pytest.approx({cell: right[cell] / size[cell] for cell in size})


def test_string_labels_are_predicted_too(dataset):
    dataset.delete_sample_field("ground_truth")
    dataset.apply_drop(density=0.5, label_field="name")
    assert dataset.exists("drop_pred").count() == 300
    assert dataset.list_evaluations() == []


def test_one_class_alone_is_refused(make_dataset):
    with pytest.raises(DropError, match="nothing to tell apart") as refused:
        make_dataset(1).apply_drop(density=1)
    assert refused.value.argument == "label_field"


# -- many samples ---------------------------------------------------------------------------------


def test_of_many_samples_some_of_each_class_are_looked_at(dataset, most):
    most(100)
    plan = fod.plan_drop(dataset, 0.5)
    assert plan.recalls_from == "a query model in closed form on 100 of 300 samples"
    assert plan.table.support.sum() == 100
    assert abs(plan.table.support - plan.table.sizes / 3).max() <= 1
    assert plan.predictions.rows.tolist() == sorted(plan.predictions.rows.tolist())
    dataset.apply_drop(density=0.5)
    assert dataset.exists("drop_pred").count() == dataset.exists("drop_eval").count() == 100


def test_what_is_looked_at_follows_from_ids_and_classes(population, most):
    most(50)
    other = shuffled(population)
    first = population.ids[looked_at(population, 1)].tolist()
    assert other.ids[looked_at(other, 1)].tolist() == first
    assert population.ids[looked_at(population, 2)].tolist() != first


def test_each_class_is_looked_at_however_many_there_are(population, most):
    most(10)
    each = dataclasses.replace(
        population, codes=np.arange(300, dtype=np.int32), classes=tuple(map(str, range(300)))
    )
    assert len(looked_at(each, 1)) == 300


# -- how good it is -------------------------------------------------------------------------------


def make_noisy(make, rows, folder, noise):
    """Digits, the later ones of which are harder to see."""
    digits, rng = load_digits(), np.random.default_rng(0)
    levels = np.linspace(0, noise, 10)[digits.target[:rows]]
    pixels = digits.images[:rows] + rng.normal(size=(rows, 8, 8)) * levels[:, None, None]
    dataset, paths = make(rows=[]), []
    for i, image in enumerate((pixels * 16).clip(0, 255).astype(np.uint8)):
        paths.append(str(folder / f"{i}.png"))
        Image.fromarray(image).save(paths[-1])
    labels = [fo.Classification(label=str(k)) for k in digits.target[:rows]]
    samples = [fo.Sample(filepath=p, ground_truth=c) for p, c in zip(paths, labels, strict=True)]
    dataset.add_samples(samples, progress=False)
    return dataset


@pytest.mark.slow
def test_class_densities_rank_like_those_of_trained_query_models(make_dataset, tmp_path):
    dataset = make_noisy(make_dataset, 1797, tmp_path, noise=14)
    plans = fod.plan_drop(dataset, 0.5), fod.plan_drop(dataset, 0.5, folds=2)
    closed, trained = (plan.table.quotas / plan.table.sizes for plan in plans)
    assert spearmanr(closed, trained).statistic > 0.9


@pytest.mark.filterwarnings("default::fiftyone_drop.errors.DropWarning")
def test_a_model_that_is_no_better_than_chance_is_a_warning_with_a_remedy(dataset):
    dataset.set_values("filepath", dataset.limit(1).values("filepath") * 300)
    with pytest.warns(DropWarning, match="no more than chance makes it.*query='trained'"):
        plan = fod.plan_drop(dataset, 0.5)
    assert any("no more than chance" in warning for warning in plan.warnings)
