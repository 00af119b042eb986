"""DRoP, Distributionally Robust Data Pruning, for FiftyOne.

``import fiftyone_drop`` attaches ``apply_drop`` to FiftyOne's datasets and views::

    import fiftyone as fo
    import fiftyone_drop as fod

    dataset = fo.load_dataset("my-images")
    view = dataset.apply_drop(density=0.5)
    print(fod.load_drop(dataset, "drop"))

- prune: ``apply_drop``, or ``plan_drop`` first, which writes nothing
- runs: ``list_drops``, ``load_drop``, ``drop_view``, ``set_density``, ``extend_drop``,
  ``compare_drops``, ``report``, ``kept_counts``, ``score_histogram``, ``delete_drop``
- in time and elsewhere: ``verify_drop``, ``save_manifest``, ``load_manifest``
- difficulty scores: ``compute_scores``, ``import_scores``, ``DynamicsRecorder``, and its
  callbacks in ``fiftyone_drop.integrations``
- query models: ``train_query_model``
- after the training: ``class_offsets``, for the logits of the model
- your own rules and scores: ``register_rule``, ``register_score``
- beyond a database: ``plan_arrays`` and ``plan_parquet``, from arrays and files
- numbers without samples: ``allocate``, ``kept_size``, ``suggested_epochs``
- for type checkers, which do not see ``dataset.apply_drop``: ``TargetView``

Each has a docstring that stands by itself, such as ``help(fiftyone_drop.apply_drop)``. Bad input is
a ``DropError``, and nothing has been written then.

The public names stand in ``__init__.pyi`` and load when they are first used, so that
``from fiftyone_drop import allocate`` needs NumPy alone, and the PyTorch parts run where FiftyOne
is not installed. Everything else is internal.
"""

import ast as _ast
from pathlib import Path as _Path

from fiftyone_drop import _attach, _lazy
from fiftyone_drop._version import __version__ as __version__

_HOME = {
    alias.name: statement.module
    for statement in _ast.parse(_Path(__file__).with_suffix(".pyi").read_text()).body
    if isinstance(statement, _ast.ImportFrom)
    for alias in statement.names
    if not alias.name.startswith("_")
}

__all__ = sorted(_HOME)

__getattr__ = _lazy.loader(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__


_attach.attach()
