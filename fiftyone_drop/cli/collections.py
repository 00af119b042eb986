"""From names on the command line to datasets, views and query models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fiftyone_drop.cli.command import one_line
from fiftyone_drop.errors import DropError, listing


def load_dataset(name: str) -> Any:
    """The dataset of that name.

    Raises:
        DropError: if there is none
        ConnectionError: FiftyOne does not start, or its database cannot be reached
    """
    _connect()
    import fiftyone as fo

    if not fo.dataset_exists(name):
        there = _some(fo.list_datasets())
        raise DropError("dataset", f"{name!r} does not exist; there are {there}")
    return fo.load_dataset(name)


def view_of(dataset: Any, view: str | None, tags: Sequence[str], argument: str = "view") -> Any:
    """The samples of a saved view that have one of some tags, or all where neither is given.

    Raises:
        DropError: if there is no such saved view
    """
    if view is not None and not dataset.has_saved_view(view):
        there = _some(dataset.list_saved_views())
        raise DropError(argument, f"{dataset.name!r} has no saved view {view!r}; there are {there}")
    samples = dataset if view is None else dataset.load_saved_view(view)
    return samples.match_tags(list(tags)) if tags else samples


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given; the others have the defaults of the function."""
    return {name: value for name, value in options.items() if value is not None and value != ()}


def model_of(model: Any, model_file: str | None) -> Any:
    """What ``model=`` gets: a name, several, or a query model from a file.

    Raises:
        DropError: if there are both, or the file is none of a query model
    """
    if model_file is None:
        return model
    if model is not None:
        raise DropError("model_file", "and model name a model each; leave one of them out")
    from fiftyone_drop import QueryModel

    try:
        return QueryModel.load(model_file)
    except DropError as error:
        raise DropError("model_file", error.message) from error


def drop_arguments(dataset: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``plan_drop`` and ``apply_drop``, with views and models for their names.

    Raises:
        DropError: if there is no such view or model
    """
    arguments = dict(options)
    view, tags = arguments.pop("validation_view"), arguments.pop("validation_tags")
    if view is not None or tags:
        arguments["validation"] = view_of(dataset, view, tags, "validation_view")
    kept = arguments.pop("must_keep_view")
    if kept is not None:
        if arguments["must_keep"] is not None:
            raise DropError("must_keep_view", "and must_keep say it twice; leave one of them out")
        arguments["must_keep"] = view_of(dataset, kept, (), "must_keep_view")
    arguments["model"] = model_of(arguments["model"], arguments.pop("model_file"))
    return given(arguments)


def _connect() -> None:
    """Start FiftyOne, and connect to its database.

    Raises:
        ConnectionError: if that fails, with whatever error of FiftyOne's
    """
    try:
        import fiftyone.core.odm as foo

        foo.get_db_client()
    except ImportError:
        raise
    except Exception as error:
        reason = one_line(error.__cause__ or error)
        raise ConnectionError(
            f"FiftyOne cannot reach its database ({reason}); start the MongoDB server, or name "
            "another with the environment variable FIFTYONE_DATABASE_URI, and run the same "
            "command again"
        ) from error


def _some(names: Sequence[str]) -> str:
    return listing(names) if names else "none"
