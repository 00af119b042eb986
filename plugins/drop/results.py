"""What a drop run is to a script (JSON) and to the App (a schema, and data for it)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fiftyone.operators.types as types

MOST_ROWS = 200


def to_json(run: Any) -> dict[str, Any]:
    """What the operator returns of a :class:`fiftyone_drop.runs.DropResults`, as JSON."""
    table = run.table
    columns: dict[str, Any] = {
        "class": table.names,
        "size": table.sizes.tolist(),
    }
    if table.recalls is not None:
        columns["recall"] = table.recalls.tolist()
    if table.intervals is not None:
        columns["recall_low"], columns["recall_high"] = table.intervals.T.tolist()
        columns["measured_on"] = table.support.tolist()
    columns["density"] = table.densities.tolist()
    columns["quota"] = table.quotas.tolist()
    return {
        "key": run.key,
        "density": run.density,
        "kept": int(table.quotas.sum()),
        "size": table.size,
        "recalls_from": run.config.recalls_from,
        "kept_view": run.config.kept_view,
        "pruned_view": run.config.pruned_view,
        "table": [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ],
        "warnings": list(run.config.warnings),
    }


def show(result: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The :func:`to_json` of a run as the App shows it: a schema, and data for it."""
    outputs = types.Object()
    words = f"Kept {result['kept']:,} of {result['size']:,} samples (density {result['density']:g})"
    views = f"Saved views: {result['kept_view']} (shown) and {result['pruned_view']}"
    if result["recalls_from"]:
        views += f". Recalls: {result['recalls_from']}"
    outputs.view("summary", types.Notice(label=words, description=views))
    for i, message in enumerate(result["warnings"]):
        outputs.view(f"warning_{i}", types.Warning(label="Warning", description=message))
    rows = [_display(row) for row in result["table"]]
    title = "Classes"
    if len(rows) > MOST_ROWS:
        title = f"The {MOST_ROWS} classes of lowest recall, of {len(rows):,}"
        rows = sorted(rows, key=lambda row: row.get("recall", row["density"]))[:MOST_ROWS]
    view = types.TableView(label=title)
    for name in rows[0]:
        view.add_column(name, label=name.capitalize())
    outputs.list("table", types.Object(), view=view)
    return _schema(outputs, "Pruned"), {"table": rows}


def show_failure(message: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """An error as the App shows it: a schema, and data for it."""
    outputs = types.Object()
    outputs.view("error", types.Error(label="Nothing was pruned", description=message))
    return _schema(outputs, "Not pruned"), {}


def _display(row: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"class": row["class"], "size": row["size"]}
    if "recall" in row:
        shown["recall"] = f"{row['recall']:.3f}"
    if "recall_low" in row:
        shown["95 % interval"] = f"{row['recall_low']:.3f} to {row['recall_high']:.3f}"
        shown["measured on"] = row["measured_on"]
    return shown | {"density": f"{row['density']:.3f}", "quota": row["quota"]}


def _schema(outputs: types.Object, label: str) -> dict[str, Any]:
    return types.Property(outputs, view=types.View(label=label)).to_json()
