"""How many samples a density keeps, and for how long to train on them."""

import numpy as np
import pytest
from class_tables import densities
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_drop import DropError, kept_size, suggested_epochs
from fiftyone_drop.density import check_no_class_emptied, keep_at


@given(n=st.integers(1, 10_000_000), density=densities)
def test_the_kept_size_is_the_number_of_positions_at_or_below_the_density(n, density):
    size = kept_size(n, density)
    assert 0 <= size <= n
    assert abs(size - density * n) <= 0.5 * (1 + 1e-9)
    assert size == n or keep_at(size, n) > density
    assert size == 0 or keep_at(size - 1, n) <= density


def test_half_of_the_1797_digits_are_899():
    assert kept_size(1797, 0.5) == 899


@pytest.mark.parametrize(("density", "epochs"), [(1.0, 160), (0.5, 240), (0.3, 347), (0.1, 880)])
def test_suggested_epochs_follow_the_paper(density, epochs):
    assert suggested_epochs(160, density) == epochs


@given(epochs=st.floats(1e-3, 1e4), density=densities)
def test_suggested_epochs_are_a_whole_number_and_never_fewer(epochs, density):
    found = suggested_epochs(epochs, density)
    assert isinstance(found, int)
    assert found >= epochs
    assert abs(found - epochs * (0.5 + 0.5 * density) / density) < 1


def test_suggested_epochs_refuse_no_epochs():
    with pytest.raises(DropError, match=r"epochs: must be a number in \(0, inf\)"):
        suggested_epochs(0, 0.5)


def test_emptied_classes_are_named():
    check_no_class_emptied(("cat", "dog"), np.array([1, 1]))
    classes = [f"class {k}" for k in range(8)]
    with pytest.raises(DropError, match=r"^allow_empty_classes: .*'class 0', .* and 2 more"):
        check_no_class_emptied(classes, np.array([0] * 7 + [1]))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((-1, 0.5), "n"), ((2.5, 0.5), "n"), ((9, -0.1), "density"), ((9, 1.1), "density")],
)
def test_a_kept_size_of_what_is_none_is_refused(arguments, name):
    with pytest.raises(DropError, match=f"^{name}: must be"):
        kept_size(*arguments)


def test_a_density_of_0_keeps_nothing_and_1_everything():
    assert [kept_size(n, 0) for n in (0, 1, 10)] == [0, 0, 0]
    assert [kept_size(n, 1) for n in (0, 1, 10)] == [0, 1, 10]


@pytest.mark.parametrize(("epochs", "density"), [(1e308, 0.1), (100, 5e-324)])
def test_epochs_without_end_are_refused(epochs, density):
    with pytest.raises(DropError, match=r"epochs: .* have no end"):
        suggested_epochs(epochs, density)
