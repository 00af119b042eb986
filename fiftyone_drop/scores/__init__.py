"""Difficulty scores of FiftyOne samples: the shell around :mod:`fiftyone_drop.scoring`.

``compute.py``, ``recorder.py`` and ``imports.py`` are the three public names. A score comes from
one of the ``sources.py``; ``models.py`` and ``stored_logits.py`` are what ``model=`` may be. One
``image_pass.py`` over the images, read ahead by ``image_reader.py``, feeds the ``forward_pass.py``
of every model, and goes on after an interruption with ``checkpoint.py``. ``fields.py`` is what is
written.
"""
