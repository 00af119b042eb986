"""Plotly figures of classes, pairs of runs, accuracies and scores: arrays in, a figure out.

Of many classes, a chart with a line for each shows those that a reader looks for first. Names are
shown as they are: Plotly would take tags for formatting, and dollars for formulas.

One place for all of them, in Plotly's words, which are many: so the module is longer than others.
NumPy and Plotly, which FiftyOne brings along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.errors import DropError
from fiftyone_drop.tables import MOST_ROWS

if TYPE_CHECKING:
    import plotly.graph_objects as go

KEPT, PRUNED, RECALL = "#ff6d04", "#c9ccd1", "#2b5fa8"  # the first is FiftyOne's
_LETTERS = 40  # of a name at an axis
_UNIT = {"range": [-0.02, 1.02], "tickformat": ".0%"}


def class_chart(
    title: str,
    names: Sequence[str],
    densities: FloatArray,
    about: Sequence[str],
    first: IntArray,
    recalls: FloatArray | None,
    observed: FloatArray | None,
    intervals: FloatArray | None,
    layout: Mapping[str, Any],
) -> go.Figure:
    """A bar per class, as long as the fraction of it that is kept, and its recall.

    Args:
        title: the title
        names: K class names
        densities: (K,) in [0, 1]
        about: K texts that are shown at the pointer
        first: (K,) positions; of many classes the first of these are shown
        recalls: (K,) in [0, 1], or None
        observed: (K,) in [0, 1], recalls before smoothing, or None
        intervals: (K, 2), intervals of ``observed``
        layout: what else Plotly's ``update_layout`` takes
    """
    import plotly.graph_objects as go

    shown = first[:MOST_ROWS]
    rows = np.arange(len(shown))
    hover = {"hoverinfo": "text", "hovertext": [_words(about[k], 400) for k in shown]}
    figure = go.Figure(
        go.Bar(y=rows, x=densities[shown], orientation="h", marker_color=KEPT, name="kept", **hover)
    )
    if recalls is not None:
        mark = {"symbol": "diamond", "color": RECALL, "size": 9}
        figure.add_scatter(
            y=rows, x=recalls[shown], mode="markers", marker=mark, name="recall", **hover
        )
    if observed is not None and intervals is not None:
        low, high = intervals[shown].T
        spread = {"array": high - observed[shown], "arrayminus": observed[shown] - low}
        figure.add_scatter(
            y=rows,
            x=observed[shown],
            mode="markers",
            marker={"symbol": "line-ns-open", "color": RECALL, "size": 7},
            error_x=spread | {"symmetric": False, "thickness": 1, "width": 2},
            name="observed, 95 % interval",
            **hover,
        )
    figure.update_layout(xaxis={**_UNIT, "title": "fraction of the class"})
    _name_rows(figure, [names[k] for k in shown])
    return _finish(figure, _of_many(title, shown, names), layout)


def recall_chart(
    title: str,
    recalls: FloatArray,
    densities: FloatArray,
    sizes: IntArray,
    about: Sequence[str],
    layout: Mapping[str, Any],
) -> go.Figure:
    """A circle per class, recall against density, its area as the class is large.

    Args:
        title: the title
        recalls: (K,) in [0, 1]
        densities: (K,) in [0, 1]
        sizes: (K,) > 0
        about: K texts that are shown at the pointer
        layout: what else Plotly's ``update_layout`` takes
    """
    import plotly.graph_objects as go

    largest = 30 if len(sizes) <= MOST_ROWS else 15
    figure = go.Figure(
        go.Scattergl(
            x=recalls,
            y=densities,
            mode="markers",
            marker={
                "size": np.maximum(4, largest * np.sqrt(sizes / sizes.max())),
                "color": KEPT,
                "opacity": 0.6,
            },
            hoverinfo="text",
            hovertext=[_words(words, 400) for words in about],
        )
    )
    margin = 0.05 * max(float(np.ptp(recalls)), 0.02)
    figure.update_layout(
        xaxis={
            "title": "recall",
            "range": [float(recalls.min()) - margin, float(recalls.max()) + margin],
        },
        yaxis={"title": "fraction of the class that is kept", "range": [-0.03, 1.05]},
        showlegend=False,
    )
    return _finish(figure, title, layout)


def pair_chart(
    title: str,
    names: Sequence[str],
    pairs: FloatArray,
    labels: tuple[str, str],
    first: IntArray,
    measure: str,
    layout: Mapping[str, Any],
) -> go.Figure:
    """Two points per class and the line between them.

    Args:
        title: the title
        names: K class names
        pairs: (K, 2) in [0, 1], NaN where there is none
        labels: the names of the two
        first: (K,) positions; of many classes the first of these are shown
        measure: the name of the axis
        layout: what else Plotly's ``update_layout`` takes
    """
    import plotly.graph_objects as go

    shown = first[:MOST_ROWS]
    figure = go.Figure()
    _add_pairs(figure, [names[k] for k in shown], pairs[shown], labels)
    figure.update_layout(xaxis={**_UNIT, "title": measure})
    _name_rows(figure, [names[k] for k in shown])
    return _finish(figure, _of_many(title, shown, names), layout)


def pair_scatter(
    title: str,
    names: Sequence[str],
    pairs: FloatArray,
    labels: tuple[str, str],
    layout: Mapping[str, Any],
) -> go.Figure:
    """A point per class, one of a pair against the other: see :func:`pair_chart`."""
    import plotly.graph_objects as go

    rule = {"color": PRUNED, "dash": "dash"}
    about = [f"{n}: {a:.3f} and {b:.3f}" for n, (a, b) in zip(names, pairs, strict=True)]
    figure = go.Figure(
        [
            go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line=rule, hoverinfo="skip"),
            go.Scattergl(
                x=pairs[:, 0],
                y=pairs[:, 1],
                mode="markers",
                marker={"color": KEPT, "opacity": 0.6},
                hoverinfo="text",
                hovertext=[_words(words, 400) for words in about],
            ),
        ]
    )
    figure.update_layout(
        xaxis={"title": f"density of {_words(labels[0])}", "range": [-0.03, 1.03]},
        yaxis={"title": f"density of {_words(labels[1])}", "range": [-0.03, 1.03]},
        showlegend=False,
    )
    return _finish(figure, title, layout)


def accuracy_chart(
    title: str,
    measured: Sequence[tuple[str, float, float, str, tuple[float, float] | None]],
    changed: Sequence[tuple[str, float, float]],
    labels: tuple[str, str],
    layout: Mapping[str, Any],
) -> go.Figure:
    """Average and worst accuracy of each model, beside the classes that changed most.

    Args:
        title: the title
        measured: model, average, worst, the worst class, and the interval of the worst
        changed: (class, before, after)
        labels: the names of the two models whose classes changed
        layout: what else Plotly's ``update_layout`` takes
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(1, 2 if changed else 1, horizontal_spacing=0.25)
    colors = [RECALL, KEPT, PRUNED, "#6c757d"]
    for i, (name, average, worst, of_class, interval) in enumerate(measured):
        low, high = interval or (worst, worst)
        figure.add_bar(
            x=["average over classes", "worst class"],
            y=[average, worst],
            marker_color=colors[i % len(colors)],
            name=_words(name),
            error_y={
                "array": [np.nan, high - worst],
                "arrayminus": [np.nan, worst - low],
                "symmetric": False,
                "visible": interval is not None,
            },
            hoverinfo="text",
            hovertext=[f"{average:.3f}", _words(f"{of_class}: {worst:.3f}", 400)],
            row=1,
            col=1,
        )
    figure.update_layout(yaxis={**_UNIT, "title": "accuracy"})
    if changed:
        names = [name for name, _, _ in changed]
        pairs = np.array([(before, after) for _, before, after in changed])
        _add_pairs(figure, names, pairs, labels, row=1, col=2)
        _name_rows(figure, names, axis="yaxis2")
        figure.update_layout(xaxis2={"title": "accuracy of the classes that changed most"})
    return _finish(figure, title, layout)


def histogram_chart(
    title: str,
    score: str,
    edges: FloatArray,
    kept: IntArray,
    pruned: IntArray,
    layout: Mapping[str, Any],
) -> go.Figure:
    """A bar per bin, kept samples below pruned ones.

    Args:
        title: the title
        score: the name of the axis
        edges: (B + 1,) ascending
        kept: (B,) counts
        pruned: (B,) counts
        layout: what else Plotly's ``update_layout`` takes
    """
    import plotly.graph_objects as go

    about = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    figure = go.Figure(
        [
            go.Bar(
                x=(edges[:-1] + edges[1:]) / 2,
                y=counts,
                width=np.diff(edges),
                name=name,
                marker={"color": color, "line": {"width": 0}},
                hoverinfo="text",
                hovertext=[
                    f"{words}: {n:,} {name}" for words, n in zip(about, counts, strict=True)
                ],
            )
            for name, color, counts in (("kept", KEPT, kept), ("pruned", PRUNED, pruned))
        ]
    )
    figure.update_layout(
        barmode="stack", xaxis={"title": _words(score)}, yaxis={"title": "samples"}
    )
    return _finish(figure, title, layout)


def _add_pairs(
    figure: go.Figure,
    names: Sequence[str],
    pairs: FloatArray,
    labels: tuple[str, str],
    **cell: int,
) -> None:
    rows = np.arange(len(names))
    gap = np.full(len(names), np.nan)
    figure.add_scatter(
        y=np.repeat(rows, 3),
        x=np.column_stack([pairs, gap]).ravel(),
        mode="lines",
        line={"color": PRUNED, "width": 3},
        hoverinfo="skip",
        showlegend=False,
        **cell,
    )
    for i, (label, color) in enumerate(zip(labels, (RECALL, KEPT), strict=True)):
        about = [f"{n}: {v:.3f}, {label}" for n, v in zip(names, pairs[:, i], strict=True)]
        figure.add_scatter(
            y=rows,
            x=pairs[:, i],
            mode="markers",
            marker={"color": color, "size": 10},
            name=_words(label),
            hoverinfo="text",
            hovertext=[_words(words, 400) for words in about],
            showlegend=not cell,
            **cell,
        )


def _name_rows(figure: go.Figure, names: Sequence[str], axis: str = "yaxis") -> None:
    """Name the rows 0, 1, ... of a chart from above; names of digits would become numbers."""
    ticks = {"tickvals": list(range(len(names))), "ticktext": [_words(name) for name in names]}
    look = {"range": [len(names) - 0.4, -0.6], "automargin": True, "showgrid": False}
    figure.update_layout({axis: {"tickmode": "array", **ticks, **look}})
    figure.update_layout(height=max(300, 130 + 20 * len(names)))


def _of_many(title: str, shown: IntArray, names: Sequence[str]) -> str:
    if len(shown) == len(names):
        return title
    return f"{title}: {len(shown)} of {len(names):,} classes"


def _finish(figure: go.Figure, title: str, layout: Mapping[str, Any]) -> go.Figure:
    look = {"template": "ggplot2", "margin": {"l": 10, "r": 10, "t": 50, "b": 10}}
    figure.update_layout(title={"text": _words(title, 200)}, **look)
    try:
        figure.update_layout(**layout)
    except (TypeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise DropError("layout", f"must be what Plotly's update_layout takes: {reason}") from error
    return figure


def _words(text: str, most: int = _LETTERS) -> str:
    """A text that Plotly shows as it is, cut to ``most`` letters."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return escape(cut, quote=False).replace("$", "&#36;")
