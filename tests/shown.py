"""What a view shows."""


def counts(view):
    """How many samples it has of each class."""
    return view.count_values("ground_truth.label")


def ids(view):
    """The ids of its samples."""
    return set(view.values("id"))
