"""Datasets that are gone after the tests that made them."""

from contextlib import contextmanager


@contextmanager
def deleting_datasets():
    """A list; the datasets in it are deleted at the end."""
    made = []
    yield made
    for dataset in made:
        if not dataset.deleted:
            dataset.delete()
