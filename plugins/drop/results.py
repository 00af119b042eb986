"""The results of operators, as JSON for a script, and as a schema and its data for the App."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.operators.types as types

import fiftyone_drop as fod
from fiftyone_drop import precheck

from . import exports_folder
from .plain_text import as_it_is
from .words import in_app_words

Json = dict[str, Any]
Shown = tuple[dict[str, Any], dict[str, Any]]

MOST_ROWS = 200


def of_model(model: Any, key: str, scores: list[str], saved_to: str | None) -> Json:
    """A :class:`fiftyone_drop.QueryModel` that ``train_query_model`` returned under ``key``."""
    pred_field, _ = precheck.training_outputs(key)
    return {
        "architecture": model.architecture,
        "trained_on": len(model.sample_ids),
        "recalls": dict(model.recalls),
        "pred_field": pred_field,
        "eval_key": model.eval_key,
        "scores": scores,
        "saved_to": saved_to,
    }


def of_scores(samples: foc.SampleCollection, fields: list[str]) -> Json:
    """The score fields that ``compute_scores`` wrote."""
    numbers = samples.aggregate(
        [kind(name) for name in fields for kind in (fo.Count, fo.Bounds, fo.Mean)]
    )
    bounds = numbers[1::3]
    columns = {
        "field": fields,
        "hard": [samples.get_field(name).info["hard"] or "none" for name in fields],
        "samples": numbers[0::3],
        "lowest": [low for low, _ in bounds],
        "mean": numbers[2::3],
        "highest": [high for _, high in bounds],
    }
    return {"size": len(samples), "fields": fields, "table": _rows(columns)}


def of_comparison(comparison: Any) -> Json:
    """A :class:`fiftyone_drop.DropComparison`."""
    columns = {
        "class": comparison.names,
        "density": [_number(d) for d in comparison.densities[:, 0]],
        "other_density": [_number(d) for d in comparison.densities[:, 1]],
        "kept_by_both": comparison.kept_by_both.tolist(),
        "only_first": comparison.only_first.tolist(),
        "only_second": comparison.only_second.tolist(),
    }
    return {
        "key": comparison.key,
        "other": comparison.other,
        "table": _rows(columns),
        "warnings": list(comparison.warnings),
    }


def of_deleted(key: str, outputs: precheck.Outputs) -> Json:
    """A deleted run, and what was deleted with it."""
    return {"key": key} | outputs._asdict()


def of_export(entries: Json, kept: int, folder: Path | None, manifest: Path | None) -> Json:
    """What was taken away of a run; the names are those in the folder of exports."""
    name = entries.get("export_dir")
    return {
        "key": entries["key"],
        "samples": kept,
        "folder": None if folder is None else name,
        "manifest": None if manifest is None else exports_folder.of_manifest(name),
        "tag": entries.get("tag"),
    }


# -- for the App ----------------------------------------------------------------------------------


def show_run(result: Json, title: str) -> Shown:
    """:meth:`fiftyone_drop.DropResults.to_dict` for the App."""
    words = f"Kept {result['kept']:,} of {result['size']:,} samples (density {result['density']:g})"
    views = f"Saved views: {result['kept_view']} (shown) and {result['pruned_view']}"
    if result["recalls_from"]:
        views += f". Recalls: {result['recalls_from']}"
    by = "recall" if result["recalls_from"] else "density"
    rows, label = _lowest(result["table"], by)
    return _page(title, words, views, [_display(row) for row in rows], label, result["warnings"])


def show_model(result: Json) -> Shown:
    """:func:`of_model` for the App."""
    recalls = result["recalls"]
    words = f"Trained on {result['trained_on']:,} samples"
    if recalls:
        lowest = min(recalls, key=recalls.__getitem__)
        mean = sum(recalls.values()) / len(recalls)
        words += f". Average recall {mean:.3f}, the lowest {recalls[lowest]:.3f} ({lowest})"
    source = f"evaluation run {result['eval_key']}"
    if result["eval_key"] is None:
        source = f"predictions {result['pred_field']}"
    hints = [f"'DRoP: prune to a density' can take class recalls from the {source}"]
    if result["scores"]:
        hints.append(f"Scores: {', '.join(result['scores'])}")
    if result["saved_to"]:
        hints.append(f"Saved to {result['saved_to']}")
    rows, label = _lowest([{"class": n, "recall": r} for n, r in recalls.items()], "recall")
    rows = [row | {"recall": _decimals(row["recall"])} for row in rows]
    return _page("Trained", words, ". ".join(hints), rows, label)


def show_scores(result: Json) -> Shown:
    """:func:`of_scores` for the App."""
    numbers = ("lowest", "mean", "highest")
    rows = [row | {name: _decimals(row[name]) for name in numbers} for row in result["table"]]
    warnings = [
        f"{result['size'] - row['samples']:,} samples have no {row['field']}: their images "
        "cannot be read, or they have no logits"
        for row in result["table"]
        if row["samples"] < result["size"]
    ]
    words = f"Scored {result['size']:,} samples"
    hint = "'DRoP: prune to a density' can select by a score: see Select under More options"
    return _page("Scored", words, hint, rows, "Fields", warnings)


def show_comparison(result: Json) -> Shown:
    """:func:`of_comparison` for the App."""
    first, second = result["key"], result["other"]
    shown, label = _lowest(result["table"], "density")
    rows = [
        {
            "class": row["class"],
            f"density {first}": _decimals(row["density"]),
            f"density {second}": _decimals(row["other_density"]),
            "kept by both": row["kept_by_both"],
            f"only {first}": row["only_first"],
            f"only {second}": row["only_second"],
        }
        for row in shown
    ]
    both, one, other = (
        sum(row[name] for row in result["table"])
        for name in ("kept_by_both", "only_first", "only_second")
    )
    words = (
        f"{both:,} samples are kept by both, {one:,} only by {first}, {other:,} only by {second}"
    )
    return _page("Compared", words, "", rows, label, result["warnings"])


def show_deleted(result: Json) -> Shown:
    """:func:`of_deleted` for the App."""
    gone = ", ".join([*result["fields"], *result["views"]])
    return _page("Deleted", f"The drop run {result['key']} is deleted", f"Deleted with it: {gone}")


def show_draft(result: Json) -> Shown:
    """What a draft has measured, or the run that it has become, for the App."""
    if "key" not in result:
        return _page("Measured", f"Recalls from {result['recalls_from']}", "The draft has them")
    return show_run(result, "Pruned")


def show_export(result: Json) -> Shown:
    """:func:`of_export` for the App, with the call to copy."""
    done = []
    if result["folder"]:
        done.append(f"The images are in the folder {result['folder']} of the folder of exports")
    if result["manifest"]:
        done.append(f"The run is saved there as {result['manifest']}")
    if result["tag"]:
        done.append(f"The samples have the tag {result['tag']}")
    outputs = types.Object()
    words = f"Took {result['samples']:,} samples of the run {result['key']}"
    notice = types.Notice(label=as_it_is(words), description=as_it_is(". ".join(done)))
    outputs.view("summary", notice)
    fence = "`" * (3 + max(map(len, re.findall("`+", result["call"])), default=0))
    text = f"In Python, the run is made by:\n\n{fence}python\n{result['call']}\n{fence}"
    outputs.str("call", default=text, view=types.MarkdownView())
    return _schema(outputs, "Taken away"), {"call": text}


def show_stopped(nothing: str, kept: str) -> Shown:
    """The end of an operator that somebody has cancelled, and what is not lost."""
    return _page("Cancelled", f"Cancelled. {nothing}", kept)


def show_in_background(label: str) -> Shown:
    """What is left of an operator that goes on where nobody sees it."""
    more = "The operator 'DRoP: see what is running' shows how far it is, its result, and stops it"
    return _page("In the background", f"'{label}' goes on", more)


def show_failure(nothing: str, message: str) -> Shown:
    """An error for the App; ``nothing`` names the effect that it prevented."""
    outputs = types.Object()
    outputs.view(
        "error", types.Error(label=as_it_is(nothing), description=as_it_is(in_app_words(message)))
    )
    return _schema(outputs, nothing), {}


def words_of(error: Exception) -> str:
    """An error of the package in its own words, any other with its kind."""
    return str(error) if isinstance(error, fod.DropError) else f"{type(error).__name__}: {error}"


def _display(row: Mapping[str, Any]) -> dict[str, Any]:
    # Those that are wanted most come first: a small screen cuts off the last columns
    shown = {"class": row["class"], "quota": row["quota"], "size": row["size"]}
    shown["density"] = _decimals(row["density"])
    observed = row.get("recall_observed")
    if observed is not None:
        shown["recall"] = _decimals(observed)
    if "recall" in row:
        name = "recall" if observed is None else "smoothed"
        if _decimals(row["recall"]) != shown.get("recall"):
            shown[name] = _decimals(row["recall"])
    if "recall_low" in row:
        shown["95 % interval"] = f"{row['recall_low']:.3f} to {row['recall_high']:.3f}"
        shown["measured on"] = row["measured_on"]
    return shown


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[Json]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _number(value: float) -> float | None:
    # JSON has no NaN
    return None if math.isnan(value) else float(value)


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _lowest(rows: Sequence[Json], by: str) -> tuple[list[Json], str]:
    """All rows, or the lowest of very many, and the label of the table."""
    if len(rows) <= MOST_ROWS:
        return list(rows), "Classes"
    lowest = sorted(rows, key=lambda row: math.inf if row[by] is None else row[by])[:MOST_ROWS]
    return lowest, f"The {MOST_ROWS} classes of lowest {by}, of {len(rows):,}"


def _page(
    title: str,
    words: str,
    more: str,
    rows: Sequence[Json] = (),
    label: str = "",
    warnings: Sequence[str] = (),
) -> Shown:
    """A summary, warnings and, where there are rows, a table."""
    outputs = types.Object()
    outputs.view("summary", types.Notice(label=as_it_is(words), description=as_it_is(more)))
    for i, message in enumerate(warnings):
        words = as_it_is(in_app_words(message))
        outputs.view(f"warning_{i}", types.Warning(label="Warning", description=words))
    if not rows:
        return _schema(outputs, title), {}
    view = types.TableView(label=label)
    for name in rows[0]:
        view.add_column(name, label=name[0].upper() + name[1:])
    outputs.list("table", types.Object(), view=view)
    return _schema(outputs, title), {"table": list(rows)}


def _schema(outputs: types.Object, label: str) -> dict[str, Any]:
    return types.Property(outputs, view=types.View(label=label)).to_json()
