"""Difficulty scores of FiftyOne samples: the shell around :mod:`fiftyone_drop.scoring`.

``compute.py``, ``recorder.py`` and ``imports.py`` are the three public names. A score comes from
one of the ``sources.py``: :mod:`fiftyone_drop.models`, query models, or nothing. ``fields.py`` is
what is written.
"""
