"""What the tests of scores share. Its folder holds their references."""

import pytest


@pytest.fixture
def registry():
    """The registered scores; what a test registers goes with it."""
    from fiftyone_drop.scoring import SCORES

    before = dict(SCORES)
    yield SCORES
    SCORES.clear()
    SCORES.update(before)
