"""Strips of the panel: kept beside pruned samples of one class, a page at a time."""

from __future__ import annotations

import json
from typing import Any

import fiftyone as fo

import fiftyone_drop as fod
from fiftyone_drop import precheck

PAGE = 12
SEED = 51
PARTS = ("kept", "pruned")


def strips(
    dataset: fo.Dataset,
    asked: str,
    of: str | precheck.Draft,
    density: float,
    class_name: Any,
    score: str | None,
    page: int,
) -> str:
    """Ids and media of a page of kept and of pruned samples.

    Args:
        dataset: the dataset
        asked: a text that tells the browser what this is the answer to
        of: the key of a run, or a draft
        density: the dataset density
        class_name: the class
        score: the score by which the hardest come first; None for an order at random
        page: which page, from 0

    Raises:
        fiftyone_drop.DropError: if there is no such run, class or score
    """
    sent: dict[str, Any] = {"asked": asked}
    for part in PARTS:
        if isinstance(of, str):
            view = fod.drop_view(
                dataset, of, density, part=part, class_name=class_name, score=score
            )
        else:
            view = of.view(density, part, class_name, score)
        if score is None:
            view = view.shuffle(seed=SEED)
        sent[part] = _media(view.skip(page * PAGE).limit(PAGE))
    return json.dumps(sent)


def _media(view: fo.DatasetView) -> list[list[str]]:
    """[id, what the grid would show] of each sample; its file where there is no thumbnail."""
    field = view._dataset.app_config.grid_media_field
    ids, files, shown = view.values(["id", "filepath", field])
    return [[i, path or file] for i, file, path in zip(ids, files, shown, strict=True)]
