"""Query models: preliminary models whose out-of-sample predictions give class recalls.

Image files and integer labels in, logits out; nothing here knows FiftyOne::

    options = TrainingOptions()
    print(training_cost(paths, fold_of, options))
    cross_validate(paths, labels, classes, fold_of, options, on_logits=collect)

    model = train(paths, labels, classes, options)
    for indices, logits in model.predict(other_paths): ...

Both record training dynamics (``recorder=``), and go on where they were interrupted
(``checkpoint_dir=``). ``closed_form.py`` needs no training: its model predicts each image after it
was fitted on all the others.

``trainer.py`` has the two calls, and ``task.py`` what their trainings share. ``options.py`` holds
the choices, ``architectures.py`` builds networks, ``optimiser.py`` takes one step, and
``fitting.py`` many. ``query_model.py`` is the result, ``cost.py`` tells the price beforehand, and
``arrays.py`` checks labels and folds. Images, checkpoints and randomness come from ``engine/``.

Each name loads when it is first used: the options and the names of architectures do without
PyTorch, so that the App can draw a form of them at once.
"""

from typing import TYPE_CHECKING

from fiftyone_drop import _lazy

if TYPE_CHECKING:
    from fiftyone_drop.engine.checkpoint import Checkpoint
    from fiftyone_drop.training.cost import Pace, TrainingCost, training_cost
    from fiftyone_drop.training.options import TrainingOptions
    from fiftyone_drop.training.query_model import QueryModel
    from fiftyone_drop.training.trainer import cross_validate, train

_HOME = {
    "Checkpoint": "fiftyone_drop.engine.checkpoint",
    "Pace": "fiftyone_drop.training.cost",
    "QueryModel": "fiftyone_drop.training.query_model",
    "TrainingCost": "fiftyone_drop.training.cost",
    "TrainingOptions": "fiftyone_drop.training.options",
    "cross_validate": "fiftyone_drop.training.trainer",
    "train": "fiftyone_drop.training.trainer",
    "training_cost": "fiftyone_drop.training.cost",
}

__all__ = [
    "Checkpoint",
    "Pace",
    "QueryModel",
    "TrainingCost",
    "TrainingOptions",
    "cross_validate",
    "train",
    "training_cost",
]

__getattr__ = _lazy.loader(__name__, _HOME)
