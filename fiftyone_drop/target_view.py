"""``TargetView``: datasets and views as type checkers may see them, with ``apply_drop``."""

from __future__ import annotations

import fiftyone.core.collections as foc

from fiftyone_drop import pruning


class TargetView(foc.SampleCollection):  # type: ignore[misc]
    """A dataset or view for type checkers, which cannot see that FiftyOne's have ``apply_drop``.

    It is no class to make objects of, and at run time nothing is one. :func:`typing.cast` says that
    a collection has the method, with all its arguments::

        dataset = cast(fod.TargetView, fo.load_dataset("my-images"))
        view = dataset.apply_drop(density=0.5)

    The function ``fod.apply_drop(dataset, density=0.5)`` is checked without that.
    """

    apply_drop = pruning.apply_drop
