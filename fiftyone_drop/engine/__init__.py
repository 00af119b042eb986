"""The parts that training and inference share. PyTorch, no FiftyOne.

``images.py`` reads one file, ``reader.py`` many of them with threads, ``batches.py`` computes a
batch in parts that fit, ``checkpoint.py`` keeps an interrupted call on disk by ``files.py`` under a
name from ``fingerprints.py`` and ``functions.py``, and ``cache.py`` is the folder for that.
``devices.py``, ``randomness.py``, ``threads.py``, ``wrappers.py`` and ``head.py`` stand alone.
"""
