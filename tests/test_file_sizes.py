"""The bytes of image files: from metadata where it is, else from the disk."""

import os

import fiftyone as fo
import numpy as np
import pytest

from fiftyone_drop import DropError
from fiftyone_drop.file_sizes import read_file_sizes
from fiftyone_drop.reader import read_ids


def test_the_metadata_counts_and_without_it_the_file(dataset):
    first = dataset.limit(100)
    first.set_values("metadata", [fo.ImageMetadata(size_bytes=1_000_000 + i) for i in range(100)])
    ids = read_ids(dataset)[::-1]
    expected = [1_000_000 + i for i in range(100)]
    expected += [os.path.getsize(path) for path in dataset[100:].values("filepath")]
    assert read_file_sizes(dataset, ids).tolist() == expected[::-1]


def test_the_sizes_come_in_the_order_of_the_ids(dataset):
    ids = read_ids(dataset)
    sizes = read_file_sizes(dataset, ids)
    rows = np.random.default_rng(0).permutation(300)[:50]
    assert read_file_sizes(dataset, ids[rows]).tolist() == sizes[rows].tolist()


def test_files_that_are_nowhere_and_samples_that_are_gone_are_counted(dataset):
    ids = read_ids(dataset)
    dataset[:2].set_values("filepath", ["/nowhere/a.png", "/nowhere/b.png"])
    with pytest.raises(DropError, match=r"^max_bytes: the size of 2 of 300 .* '/nowhere/a.png'"):
        read_file_sizes(dataset, ids)
    dataset[:2].set_values("metadata", [fo.ImageMetadata(size_bytes=5)] * 2)
    assert read_file_sizes(dataset, ids)[:2].tolist() == [5, 5]
    dataset.delete_samples(dataset.values("id")[-3:])
    with pytest.raises(DropError, match=r"^max_bytes: the size of 3 of 300"):
        read_file_sizes(dataset, ids)
