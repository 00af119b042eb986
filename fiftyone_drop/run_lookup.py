"""Find drop runs of a dataset, and load them. Writes nothing.

An incomplete run (the client was killed while writing) is invisible to :func:`list_drops` and
:func:`load_drop`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import fiftyone as fo
import fiftyone.core.collections as foc
from gridfs.errors import GridFSError

from fiftyone_drop import checks, documents, lease
from fiftyone_drop.errors import DropError
from fiftyone_drop.runs import RECORD, DropConfig, DropResults


def check_dataset(samples: object, argument: str = "dataset") -> foc.SampleCollection:
    """Return a FiftyOne dataset or view.

    Raises:
        DropError: if ``samples`` is something else
    """
    if isinstance(samples, foc.SampleCollection):
        return samples
    raise DropError(
        argument, f"must be a FiftyOne Dataset or DatasetView, but got {type(samples).__name__}"
    )


def find_configs(dataset: fo.Dataset) -> dict[str, DropConfig]:
    """The records of all drop runs of a dataset by key, incomplete ones too."""
    stored = documents.records(dataset, "runs")
    ours = [key for key, record in stored.items() if record.get("cls") == RECORD]
    return {key: dataset.get_run_info(key).config for key in ours}


def known_predictions(dataset: fo.Dataset) -> list[str]:
    """The fields that hold predictions of evaluations and of drop runs."""
    stored = documents.records(dataset, "evaluations").values()
    evaluated = [record.get("pred_field") for record in stored]
    drops = [config.pred_field for config in find_configs(dataset).values()]
    return [name for name in evaluated + drops if name]


def list_drops(dataset: foc.SampleCollection) -> list[str]:
    """The keys of the drop runs of a dataset, sorted.

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it

    Returns:
        a list of keys; incomplete runs are left out

    Raises:
        DropError: if ``dataset`` is no dataset
    """
    configs = find_configs(check_dataset(dataset)._root_dataset)
    return sorted(key for key, config in configs.items() if config.complete)


def get_config(dataset: foc.SampleCollection, key: str, argument: str = "key") -> DropConfig:
    """The record of a complete run.

    Args:
        dataset: a dataset or view
        key: the run key
        argument: the argument that named it, for errors

    Raises:
        DropError: if there is no such run
    """
    root = check_dataset(dataset)._root_dataset
    key = checks.text(argument, key)
    configs = find_configs(root)
    config = configs.get(key)
    if config is None or not config.complete:
        complete = sorted(name for name, other in configs.items() if other.complete)
        raise DropError(
            argument,
            f"the drop run {key!r} of '{root.name}' {state_words(key, configs)}; the runs are "
            f"{complete}",
        )
    return config


def state_words(key: str, configs: Mapping[str, DropConfig]) -> str:
    """Words for a run that cannot be read."""
    if any(c.state == "replacing" and c.intent["key"] == key for c in configs.values()):
        return "is being replaced; if its writer was cut off, the next call that writes ends that"
    if key not in configs:
        return "does not exist"
    if configs[key].state == "deleting":
        return "is being deleted; if that was cut off, delete it again"
    return "was not written to its end; apply it again"


def load_drop(dataset: foc.SampleCollection, key: str) -> DropResults:
    """Load a drop run.

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key

    Returns:
        a :class:`DropResults`, with ``.table``, ``.recalls``, ``.density`` and ``.config``

    Raises:
        DropError: if there is no such run
    """
    return _load(dataset, key, "key", get_config)


def _load(
    dataset: foc.SampleCollection, key: str, argument: str, find: Callable[..., DropConfig]
) -> DropResults:
    """Load the run whose record ``find`` finds, again if another session has just replaced it."""
    root = check_dataset(dataset)._root_dataset
    key = checks.text(argument, key)
    try:
        return _read(root, key, find(root, key, argument))
    except GridFSError:
        lease.reload(root)
    config = find(root, key, argument)
    try:
        return _read(root, key, config)
    except GridFSError as error:
        raise DropError(
            argument,
            f"the class table of the drop run '{key}' is not in the database, unless another "
            "session has just replaced the run; load it again, or else make the run again",
        ) from error


def _read(dataset: fo.Dataset, key: str, config: DropConfig) -> DropResults:
    stored = documents.results(dataset, key)
    return DropResults.from_dict(stored, dataset, config, key)  # type: ignore[no-any-return]


def check_order(dataset: foc.SampleCollection, key: str, argument: str = "key") -> DropConfig:
    """The record of a run whose order field is still there.

    Raises:
        DropError: if there is no such run, or its order was deleted
    """
    config = get_config(dataset, key, argument)
    name = config.keep_at_field
    if not dataset._root_dataset.has_field(name):
        raise DropError(
            argument,
            f"the field '{name}' of the drop run '{key}' was deleted, so its kept samples are "
            "not known; delete the run, or make it again",
        )
    return config


def load_order(dataset: foc.SampleCollection, key: str, argument: str = "key") -> DropResults:
    """:func:`load_drop` for readers of the run's order: see :func:`check_order`."""
    return _load(dataset, key, argument, check_order)


def load_present_order(dataset: foc.SampleCollection, key: str) -> DropResults:
    """:func:`load_order` as the server has it now: another session may have replaced the run.

    Raises:
        DropError: as :func:`load_order`
    """
    lease.reload(check_dataset(dataset)._root_dataset)
    return load_order(dataset, key)
