"""Few steps of training, and small batches of writes, so that 40 samples take several."""

BATCH = 8


def enter(patch):
    """Change the settings with ``setattr``, or with a function that will change them back."""
    from fiftyone_drop import store, waiting
    from fiftyone_drop.training import options

    patch(waiting, "PATIENCE", 0.0)
    patch(options, "MIN_STEPS", 1)
    patch(options, "QUERY_EPOCHS", 1)
    patch(store, "STATEMENT", BATCH // 2)
    patch(store, "BATCH", BATCH)
