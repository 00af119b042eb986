"""The command line ``fiftyone-drop``, thin over the public names.

Starts fast: FiftyOne and PyTorch are imported by a command that runs, and not for its help.
"""
