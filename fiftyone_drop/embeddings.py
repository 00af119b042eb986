"""Embeddings that samples have already: in a field, or in a similarity index of FiftyOne Brain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from numpy.typing import NDArray

from fiftyone_drop._types import Ids
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.fields import single_field
from fiftyone_drop.reader import stream, vector_of

Vectors = NDArray[np.float32]

_MOST = 2**24  # bytes of one embedding


@dataclass(frozen=True)
class Embeddings:
    """Where the embeddings of samples are.

    Attributes:
        samples: the collection
        name: a field of vectors, or the brain key of a similarity index
        argument: ``"embeddings"`` or ``"brain_key"``
    """

    samples: foc.SampleCollection
    name: str
    argument: str

    def __str__(self) -> str:
        """Words for the record."""
        place = "similarity index" if self.argument == "brain_key" else "field"
        return f"the embeddings of the {place} '{self.name}'"

    @classmethod
    def of(
        cls, samples: foc.SampleCollection, field: str | None, brain_key: str | None
    ) -> Embeddings | None:
        """Those of a field or an index, which are there and fit; None if neither is named.

        Raises:
            DropError: if there is no such field or index, or it is of something else
        """
        if field is not None:
            _check_field(samples, field)
            return cls(samples, field, "embeddings")
        if brain_key is not None:
            _check_index(samples, brain_key)
            return cls(samples, brain_key, "brain_key")
        return None

    def read(self, ids: Ids, most: int) -> Vectors:
        """The embeddings of samples.

        Args:
            ids: (n,) S24, sample ids, each once
            most: the longest embeddings that more than ``most`` samples may have

        Returns:
            (n, D) float32, in the order of the ids, all of them finite

        Raises:
            DropError: if a sample has none, they differ in length, are too long for so many
                samples, or are no finite numbers
        """
        row_of = {name: row for row, name in enumerate(ids.tolist())}
        table: Vectors | None = None
        there = np.zeros(len(ids), bool)
        for name, value in self._indexed(ids) if self.argument == "brain_key" else self._stored():
            row = row_of.get(name)
            if row is None or value is None:
                continue
            vector = self._vector(name, value)
            if table is None:
                self._check_size(len(ids), len(vector), most)
                table = np.empty((len(ids), len(vector)), np.float32)
            if len(vector) != table.shape[1]:
                raise self._unfit(
                    f"{len(vector)} numbers in the sample {name.decode()}, but {table.shape[1]} in "
                    "others"
                )
            table[row], there[row] = vector, True
        if table is None or not there.all():
            missing = [name.decode() for name in ids[~there][:3].tolist()]
            raise self._unfit(
                f"none for {(~there).sum():,} of {len(ids):,} samples, such as {listing(missing)}"
            )
        return table

    def _check_size(self, n: int, size: int, most: int) -> None:
        if min(n, size) > most:
            raise DropError(
                self.argument,
                f"{self} has {size:,} numbers in each of {n:,} samples, but a query model in "
                f"closed form takes at most {most:,}, or at most so many samples; make shorter "
                "ones, such as means over the places of a feature map, or first principal "
                "components",
            )

    def _stored(self) -> Iterator[tuple[bytes, Any]]:
        for ids, (column,) in stream(self.samples, [self.name]):
            yield from zip(ids.tolist(), column, strict=True)

    def _indexed(self, ids: Ids) -> Iterator[tuple[bytes, Any]]:
        wanted = [name.decode() for name in ids.tolist()]
        try:
            index = self.samples._root_dataset.load_brain_results(self.name)
            rows, names, _ = index.get_embeddings(sample_ids=wanted)
            found = list(zip(names, rows, strict=True))
        except Exception as error:  # of any backend, which may be a server
            raise DropError(
                self.argument,
                f"the similarity index '{self.name}' gives no embeddings ({type(error).__name__}: "
                f"{str(error)[:200]}); store them in a field, and pass embeddings=<field>",
            ) from error
        for name, row in found:
            yield str(name).encode(), row

    def _vector(self, name: bytes, value: Any) -> Vectors:
        try:
            vector = np.asarray(vector_of(value, _MOST), dtype=np.float32)
        except Exception as error:  # see vector_of
            raise self._unfit(f"no numbers in the sample {name.decode()} ({error})") from error
        if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
            raise self._unfit(f"no vector of finite numbers in the sample {name.decode()}")
        return vector

    def _unfit(self, problem: str) -> DropError:
        return DropError(
            self.argument,
            f"{self} has {problem}; compute them anew, or leave such samples out of the target "
            "view",
        )


def _check_field(samples: foc.SampleCollection, name: str) -> None:
    if isinstance(single_field(samples, name), fo.VectorField | fo.ArrayField | fo.ListField):
        return
    there = list(samples.get_field_schema(ftype=fo.VectorField))
    raise DropError(
        "embeddings",
        f"must be the name of a field of vectors, one of {there}, but got {name!r}; make one with "
        "samples.compute_embeddings(model, embeddings_field=...)",
    )


def _check_index(samples: foc.SampleCollection, key: str) -> None:
    dataset = samples._root_dataset
    there = [
        name
        for name in dataset.list_brain_runs(type="similarity")
        if getattr(dataset.get_brain_info(name).config, "patches_field", None) is None
    ]
    if key not in there:
        raise DropError(
            "brain_key",
            f"must be the key of a similarity index of images, one of {there}, but got {key!r}; "
            "make one with fiftyone.brain.compute_similarity(samples, brain_key=...)",
        )
