"""The pages of the documentation, and their blocks of Python, which run as they stand there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def text_of(page):
    """The text of a page under docs, or of README.md."""
    return (ROOT if page == "README.md" else DOCS).joinpath(page).read_text()


def blocks(page, section=""):
    """The blocks of a page, from the heading ``section`` on, with the lines they start at."""
    text = text_of(page)
    start = text.index(f"\n## {section}\n") if section else 0
    for match in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if match.start() >= start:
            yield text.count("\n", 0, match.start(1)), match[1]


def run(page, names, section="", only=slice(None)):
    """Run blocks of a page, one after the other, in ``names``; a traceback has the page's line."""
    for line, code in list(blocks(page, section))[only]:
        exec(compile("\n" * line + code, page, "exec"), names)
    return names


def all_pages():
    """The pages with Python in them."""
    pages = ["README.md", *(str(path.relative_to(DOCS)) for path in sorted(DOCS.rglob("*.md")))]
    return [page for page in pages if list(blocks(page))]
