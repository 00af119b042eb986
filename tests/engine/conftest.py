"""The digits without the conftest above: these tests run where FiftyOne is not installed."""

import pytest
from digits import write_digits


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """The paths and class names of 300 real digits."""
    return write_digits(tmp_path_factory.mktemp("digits"), limit=300)
