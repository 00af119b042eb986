"""The 1,797 digits as files, and folds for them."""

import numpy as np
import pytest
from digits import NAMES, write_digits


@pytest.fixture(scope="package")
def samples(tmp_path_factory):
    """Paths, codes and class names of all digits."""
    paths, labels = write_digits(tmp_path_factory.mktemp("all-digits"))
    return [str(path) for path in paths], np.array([NAMES.index(x) for x in labels]), NAMES


@pytest.fixture(scope="package")
def few(samples):
    """The first 120 of them."""
    paths, codes, names = samples
    return paths[:120], codes[:120], names
