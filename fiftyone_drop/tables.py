"""Tables for people, as text and as HTML, and tables for programs, as data frames.

Python alone; pandas where a data frame is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from fiftyone_drop._types import ClassName, IntArray

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 40
_STYLE = (
    "<style scoped>.drop td, .drop th {text-align: right} "
    ".drop tr > :first-child {text-align: left}</style>"
)


@dataclass(frozen=True, eq=False)
class Table:
    """Cells, the first column aligned left. Prints as text; of too many rows only the first few.

    Attributes:
        header: the names of the columns
        rows: the cells
        total: the last row; empty for none
        shown_first: positions of the rows, those that a reader looks for first
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    total: Sequence[str] = ()
    shown_first: Sequence[int] | IntArray = ()

    def _shown(self) -> list[Sequence[str]]:
        if len(self.rows) <= MOST_ROWS:
            return list(self.rows)
        more = f"... and {len(self.rows) - MOST_ROWS:,} more"
        chosen = [self.rows[k] for k in self.shown_first[:MOST_ROWS]]
        return [*chosen, [more, *[""] * (len(self.header) - 1)]]

    def __str__(self) -> str:
        lines = aligned([self.header, *self._shown(), *([self.total] if self.total else [])])
        rule = "-" * len(lines[0])
        if not self.total:
            return "\n".join([lines[0], rule, *lines[1:]])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def to_html(self) -> str:
        """The same rows as a table of HTML; cells are shown as they are."""
        parts = [f"<thead>{_row('th', self.header)}</thead>"]
        parts += ["<tbody>", *(_row("td", row) for row in self._shown()), "</tbody>"]
        if self.total:
            parts.append(f"<tfoot>{_row('th', self.total)}</tfoot>")
        return f"<table>{''.join(parts)}</table>"


def in_html(parts: Sequence[str | Table]) -> str:
    """Lines of text and tables as HTML; whatever they say is shown as it is."""
    shown = [p.to_html() if isinstance(p, Table) else f"<p>{escape(p)}</p>" for p in parts]
    return f'<div class="drop">{_STYLE}{"".join(shown)}</div>'


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """One line per row: the first column aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]


def class_frame(classes: Sequence[ClassName], columns: Mapping[str, Any]) -> pd.DataFrame:
    """A data frame with one row per class.

    Args:
        classes: K classes, or cells as (class, value, ...)
        columns: name -> (K,) values; those that are None are left out
    """
    import pandas as pd

    there = {name: values for name, values in columns.items() if values is not None}
    groups = len(classes[0]) - 1 if classes and isinstance(classes[0], tuple) else 0
    if not groups:
        return pd.DataFrame(there, index=pd.Index(list(classes), name="class"))
    names = ["group"] if groups == 1 else [f"group_{i}" for i in range(1, groups + 1)]
    index = pd.MultiIndex.from_tuples(list(classes), names=["class", *names])
    return pd.DataFrame(there, index=index)


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
