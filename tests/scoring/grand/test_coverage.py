"""Parameters that no layer formula sees exactly once are found, and equal the loop all the same."""

import pytest
import torch
from grand_models import (
    Positions,
    SequenceFirst,
    Tied,
    TiedByFunction,
    Twice,
    Unusual,
    check,
    images,
    shuffled,
    words,
)

from fiftyone_drop.engine.head import Head
from fiftyone_drop.scoring.grand.coverage import find_coverage
from fiftyone_drop.scoring.grand.gradient_norms import _prepared
from fiftyone_drop.training.architectures import build

pytestmark = pytest.mark.filterwarnings(
    "ignore:The model looks untrained:fiftyone_drop.errors.DropWarning"
)


@pytest.mark.parametrize("model", [Tied, TiedByFunction, Positions])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_shared_tables_equal_the_loop_at_any_batch_size(model, n):
    torch.manual_seed(0)
    check(model(), words(n))


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_layers_called_twice_or_with_the_batch_elsewhere_equal_the_loop(n):
    torch.manual_seed(0)
    check(Twice(), images(n, 2))
    check(SequenceFirst(), images(n, 3)[:, 0])


def test_bare_parameters_and_in_place_activations_equal_the_loop():
    torch.manual_seed(0)
    check(Unusual(), images(5, 4))


@pytest.mark.filterwarnings("error")
def test_every_layer_of_our_query_models_has_a_formula():
    torch.manual_seed(0)
    model = shuffled(build("small-cnn", 10, 8)).eval()
    with _prepared(model, "cpu") as trainable:
        plan = find_coverage(model, trainable, images(2, 8))
    assert plan.rest == []
    assert isinstance(model.head, Head)
    assert model.head in plan.hooked
    check(model, images(4, 8), rtol=1e-4, dtype=torch.float32)
