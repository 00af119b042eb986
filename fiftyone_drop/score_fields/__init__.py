"""Difficulty scores of FiftyOne samples: the shell around :mod:`fiftyone_drop.scoring`.

``compute.py``, ``recorder.py`` and ``imports.py`` are the three public names. A score comes from
one of the ``sources.py``: :mod:`fiftyone_drop.inference`, query models, or nothing. ``options.py``
parses the arguments of ``compute_scores``, and ``fields.py`` writes the fields.
"""
