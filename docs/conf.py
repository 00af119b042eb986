"""The documentation as a site: ``make site`` writes it to build/site."""

import re
from pathlib import Path

from fiftyone_drop import __version__

project = "fiftyone-drop"
author = "the authors of fiftyone-drop"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"fiftyone-drop {release}"
templates_path: list[str] = []
exclude_patterns: list[str] = []  # of pages; notebooks are downloads

myst_heading_anchors = 3  # as code hosts make them

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say what is meant
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True


def link_files(app, docname, source):
    """Files of the repository that are no pages are downloads; a code host shows them."""
    here = (Path(app.srcdir) / docname).parent
    docs = Path(app.srcdir).resolve()

    def changed(match):
        there = (here / match[1]).resolve()
        outside = docs not in there.parents and there.is_file()
        return f"](<path:{match[1]}>)" if outside else match[0]

    source[0] = re.sub(r"\]\((\.\./[^)#]+)(?:#[^)]*)?\)", changed, source[0])


def setup(app):
    """Sphinx calls this."""
    app.connect("source-read", link_files)
