"""The tutorial as a notebook: ``make notebook`` writes docs/tutorial.ipynb of docs/tutorial.md.

Its outputs are real, of the demo's digits; pictures are in the page's folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, NOTEBOOK = DOCS / "tutorial.md", DOCS / "tutorial.ipynb"
CHART = "fod.load_drop(dataset, 'drop').plot()"


def cells() -> Iterator[nbformat.NotebookNode]:
    """The text and the blocks of the page, and at the end the chart of its classes."""
    parts = re.split(r"^```python\n(.*?)^```\n", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    for i, part in enumerate(part.strip() for part in parts):
        if part:
            cell = nbformat.v4.new_code_cell if i % 2 else nbformat.v4.new_markdown_cell
            yield cell(part, id=f"part-{i}")
    yield nbformat.v4.new_markdown_cell("The classes of the run:", id="chart-words")
    yield nbformat.v4.new_code_cell(CHART, id="chart")


def notebook() -> nbformat.NotebookNode:
    """The notebook, without outputs."""
    made = nbformat.v4.new_notebook(cells=list(cells()))
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    made.metadata["language_info"] = {"name": "python"}
    return made


def executed() -> nbformat.NotebookNode:
    """The notebook with its outputs, from a kernel in this environment."""
    made = notebook()
    NotebookClient(made, timeout=600, resources={"metadata": {"path": str(DOCS)}}).execute()
    for cell in made.cells:
        cell.metadata.pop("execution", None)  # times
        if cell.cell_type == "code":  # stderr has warnings with folders of this machine
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
    return made


if __name__ == "__main__":
    nbformat.write(executed(), NOTEBOOK)
