"""Recalls from embeddings that samples have already: in a field, or in a similarity index."""

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest
from digit_models import embed
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning
from fiftyone_drop.embeddings import Embeddings
from fiftyone_drop.reader import read_ids

# Thirty digits of each class, most of them right, are too few to tell how the classes differ
pytestmark = pytest.mark.filterwarnings(
    "ignore:the class recalls cannot be told apart", "ignore:the quotas may go too far"
)


@pytest.fixture
def embedded(dataset):
    """Digits with the activations of a small network, in a field and in a similarity index."""
    vectors = embed(dataset.values("filepath"))
    dataset.add_sample_field("vectors", fo.VectorField)
    dataset.set_values("vectors", list(vectors))
    fob.compute_similarity(dataset, embeddings=vectors, brain_key="index", backend="sklearn")
    return dataset


def shown(dataset, key):
    """What a run has predicted, by sample id."""
    return dict(zip(dataset.values("id"), dataset.values(f"{key}_pred.label"), strict=True))


# -- the whole way --------------------------------------------------------------------------------


def test_each_sample_is_predicted_by_the_embeddings_of_all_others(embedded):
    view = embedded.apply_drop(density=0.5, embeddings="vectors")
    run = fod.load_drop(embedded, "drop")
    assert len(view) == 150
    words = "a query model in closed form on the embeddings of the field 'vectors'"
    assert run.config.recalls_from == words
    assert (run.config.asked["query"], run.config.asked["embeddings"]) == ("closed-form", "vectors")
    truth = np.array(embedded.values("ground_truth.label"))
    ours = np.array(embedded.values("drop_pred.label")) == truth
    model = make_pipeline(StandardScaler(), RidgeClassifier(alpha=3))  # 0.01 of 300 samples
    vectors = np.array(embedded.values("vectors"))
    theirs = cross_val_predict(model, vectors, truth, cv=LeaveOneOut())
    assert ours.mean() > 0.8
    assert (np.array(embedded.values("drop_pred.label")) == theirs).mean() > 0.95
    assert embedded.values("drop_eval") == ours.tolist()


def test_a_similarity_index_says_what_its_field_says(embedded):
    embedded.apply_drop(density=0.5, embeddings="vectors", key="field")
    embedded.apply_drop(density=0.5, brain_key="index", key="indexed")
    assert shown(embedded, "field") == shown(embedded, "indexed")
    words = "a query model in closed form on the embeddings of the similarity index 'index'"
    assert fod.load_drop(embedded, "indexed").config.recalls_from == words


def test_an_index_that_shows_a_part_still_has_all(embedded):
    expected = fod.plan_drop(embedded, 0.5, brain_key="index").kept_ids
    embedded.load_brain_results("index").use_view(embedded[:20])
    assert fod.plan_drop(embedded, 0.5, brain_key="index").kept_ids == expected


def test_no_image_is_read(embedded, tmp_path):
    gone = [str(tmp_path / f"{i}.png") for i in range(len(embedded))]
    embedded.set_values("filepath", gone)
    assert len(fod.plan_drop(embedded, 0.5, embeddings="vectors").kept_ids) == 150


def test_embeddings_are_read_for_the_samples_of_a_view(embedded):
    embedded[250:].set_values("vectors", [None] * 50)
    plan = fod.plan_drop(embedded[:250], 0.5, embeddings="vectors")
    assert plan.table.support.sum() == 250


def test_a_run_from_embeddings_takes_in_new_samples(embedded):
    embedded[:200].apply_drop(density=0.5, embeddings="vectors")
    before = set(fod.drop_view(embedded, "drop").values("id"))
    after = set(fod.extend_drop(embedded, "drop", embedded[200:]).values("id"))
    assert before < after
    assert fod.load_drop(embedded, "drop").config.asked["embeddings"] == "vectors"


def test_embeddings_that_tell_nothing_are_a_warning(embedded):
    embedded.set_values("vectors", [np.ones(4)] * 300)
    with pytest.warns(DropWarning, match="no more than chance makes it"):
        fod.plan_drop(embedded, 0.5, embeddings="vectors")


# -- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [fo.VectorField, fo.ArrayField, fo.ListField])
def test_vectors_of_any_field_are_read_in_the_order_of_the_ids(embedded, kind):
    vectors = np.array(embedded.values("vectors"))
    embedded.add_sample_field("more", kind)
    embedded.set_values("more", vectors.tolist() if kind is fo.ListField else list(vectors))
    ids = read_ids(embedded)
    some = np.random.default_rng(0).permutation(300)[:50]
    found = Embeddings.of(embedded, "more", None).read(ids[some], 100)
    np.testing.assert_array_equal(found, vectors[some].astype(np.float32))


def test_without_a_name_there_are_no_embeddings(dataset):
    assert Embeddings.of(dataset, None, None) is None


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "none for 1 of 300 samples"),
        (np.ones(3), "3 numbers in the sample"),
        (np.full(256, np.nan), "no vector of finite numbers"),
        (np.empty(0), "no vector of finite numbers"),
        (np.array(["a"] * 256), "no numbers in the sample"),
    ],
)
def test_embeddings_of_some_samples_that_are_unfit_are_refused(embedded, value, words):
    embedded.skip(2).limit(1).set_values("vectors", [value])
    before = set(embedded.get_field_schema())
    with pytest.raises(DropError, match=words) as refused:
        embedded.apply_drop(density=0.5, embeddings="vectors")
    assert refused.value.argument == "embeddings"
    assert "leave such samples out of the target view" in refused.value.message
    assert set(embedded.get_field_schema()) == before


def test_long_embeddings_of_many_samples_are_refused_and_of_few_taken(embedded, monkeypatch):
    monkeypatch.setattr("fiftyone_drop.training.closed_form.MOST_AXES", 200)
    words = "256 numbers in each of 300 samples, but .* at most 200, or .*; make shorter ones"
    with pytest.raises(DropError, match=words) as refused:
        fod.plan_drop(embedded, 0.5, embeddings="vectors")
    assert refused.value.argument == "embeddings"
    assert fod.plan_drop(embedded[:200], 0.5, embeddings="vectors").table.support.sum() == 200


@pytest.mark.parametrize("answer", [None, (None, None, None), ([[1.0]], ["a", "b"], None)])
def test_an_index_whose_server_answers_something_else_is_refused(embedded, monkeypatch, answer):
    index = embedded.load_brain_results("index")
    monkeypatch.setattr(type(index), "get_embeddings", lambda *_, **__: answer)
    with pytest.raises(DropError, match="gives no embeddings") as refused:
        fod.plan_drop(embedded, 0.5, brain_key="index")
    assert refused.value.argument == "brain_key"


def test_an_index_that_lacks_samples_is_refused(embedded):
    fob.compute_similarity(
        embedded[:100],
        embeddings=np.array(embedded[:100].values("vectors")),
        brain_key="part",
        backend="sklearn",
    )
    with pytest.raises(DropError, match="none for 200 of 300 samples") as refused:
        fod.plan_drop(embedded, 0.5, brain_key="part")
    assert refused.value.argument == "brain_key"
    assert len(fod.plan_drop(embedded[:100], 0.5, brain_key="part").kept_ids) == 50


def test_an_index_that_cannot_be_reached_is_refused(embedded, monkeypatch):
    def away(*_, **__):
        raise ConnectionError("no route to host")

    index = type(embedded.load_brain_results("index"))
    monkeypatch.setattr(index, "get_embeddings", away)
    with pytest.raises(DropError, match=r"gives no embeddings \(ConnectionError: no") as refused:
        fod.plan_drop(embedded, 0.5, brain_key="index")
    assert refused.value.argument == "brain_key"


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"embeddings": "ground_truth"}, "embeddings"),
        ({"embeddings": "nothing"}, "embeddings"),
        ({"embeddings": "filepath"}, "embeddings"),
        ({"brain_key": "nothing"}, "brain_key"),
        ({"brain_key": "vectors"}, "brain_key"),
    ],
)
def test_what_holds_no_embeddings_is_refused_with_what_does(embedded, arguments, argument):
    with pytest.raises(DropError, match=r"one of \['(vectors|index)'") as refused:
        fod.plan_drop(embedded, 0.5, **arguments)
    assert refused.value.argument == argument
