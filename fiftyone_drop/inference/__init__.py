"""Any model on images: its scores and its logits, batch by batch.

``resolve.py`` turns ``model=`` into sources of logits, whose interface is ``source.py``:
``image_model.py`` reads images, ``stored_logits.py`` a field. ``image_pass.py`` scores images with
several models in one pass, each by the ``forward_pass.py``, and ``failures.py`` words what went
wrong. ``predict.py`` gives the logits themselves. Only ``resolve.py`` and
``stored_logits.py`` know FiftyOne.
"""
