"""A workspace of FiftyOne's own panels, on one run: the grid, this panel, and what else there is.

The names of panels and of the keys of their state are FiftyOne's.
"""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import fiftyone.core.utils as fou

import fiftyone_drop as fod

DESCRIPTION = "The grid, the panel DRoP and the histogram of what is kept"
VISUALIZATION = "fiftyone.brain.visualization."  # how the classes of such runs begin


def visualizations(dataset: fo.Dataset) -> list[str]:
    """The brain runs that the embeddings panel can show."""
    return [
        key
        for key in dataset.list_brain_runs()
        if dataset.get_brain_info(key).config.cls.startswith(VISUALIZATION)
    ]


def check_name(dataset: fo.Dataset, name: str) -> None:
    """Check that a workspace can be saved under a name; only one of ours is replaced.

    Raises:
        fiftyone_drop.DropError: if the name, or the slug that FiftyOne makes of it, is another's,
            or it makes none of it
    """
    try:
        slug = fou.to_slug(name)
    except ValueError as error:
        raise fod.DropError("workspace", f"must have letters or digits, but got {name}") from error
    for other in dataset.list_workspaces():
        ours = dataset.get_workspace_info(other).get("description") == DESCRIPTION
        if fou.to_slug(other) == slug and not (other == name and ours):
            raise fod.DropError("workspace", f"there is a workspace {other}; choose another name")


def build(
    dataset: fo.Dataset, run: Any, eval_key: str | None, brain_key: str | None
) -> tuple[fo.Space, str | None]:
    """The workspace, and the id of its embeddings panel.

    Args:
        dataset: the dataset
        run: the run
        eval_key: the evaluation that FiftyOne's panel opens with; None for no such panel
        brain_key: the visualization; None for no such panel
    """
    ours = fo.Panel(type="drop_panel", state={"state": {"key": run.key}})
    histogram = fo.Panel(type="Histograms", state={"path": run.config.kept_field})
    embeddings = fo.Panel(type="Embeddings")
    panels = [ours, histogram, *([embeddings] if brain_key else [])]
    if eval_key:
        id_ = str(dataset._doc.evaluations[eval_key].id)
        view = {"page": "evaluation", "key": eval_key, "id": id_, "init": True}
        panels.append(
            fo.Panel(type="model_evaluation_panel_builtin", state={"state": {"view": view}})
        )
    samples = fo.Panel(type="Samples", pinned=True)
    # What was asked for is in front
    shown = embeddings if brain_key else panels[-1] if eval_key else ours
    space = fo.Space(
        children=[
            fo.Space(children=[samples], active_child=samples.component_id),
            fo.Space(children=panels, active_child=shown.component_id),
        ],
        orientation="horizontal",
    )
    return space, embeddings.component_id if brain_key else None


def show_embeddings(ctx: Any, panel_id: str, brain_key: str, run: Any) -> Any:
    """The invocation that shows a visualization in an open embeddings panel, by what is kept.

    What it shows is the panel's own, which no workspace holds; FiftyOne merges values into that.
    """
    shows = {"openKey": brain_key, "colorField": run.config.kept_field}
    params = {"panel_id": panel_id, "data": shows, "full_merge": True}
    return ctx.trigger("patch_panel_data", params=params)
