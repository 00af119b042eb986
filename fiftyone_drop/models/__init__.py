"""Any model on images, and what it gives batch by batch: scores or logits.

``resolve.py`` turns what ``model=`` may be into an ``ImageModel`` or ``stored_logits.py``. One
``image_pass.py`` over the images, read ahead by ``image_reader.py``, feeds the ``forward_pass.py``
of every model, and goes on after an interruption with ``checkpoint.py``; ``predict.py`` gives the
logits themselves. Only ``resolve.py`` and ``stored_logits.py`` know FiftyOne.
"""
