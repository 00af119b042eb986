"""A session that has loaded a dataset, and then makes the calls that it is told on its input.

Run as a script: ``sessions.py DATASET``. Each line of the input is a list of a name and arguments;
each line of the output is ``null``, or the words of a ``DropError``.
"""

import json
import sys
import warnings

ANSWERS, sys.stdout = sys.stdout, sys.stderr  # before anything that prints is imported

import fiftyone as fo  # noqa: E402

import fiftyone_drop as fod  # noqa: E402
from fiftyone_drop import DropError  # noqa: E402

CALLS = {
    "apply": lambda dataset, key, density, overwrite: fod.apply_drop(
        dataset,
        density,
        label_field="ground_truth",
        rule="proportional",
        key=key,
        overwrite=overwrite,
        progress=False,
    ),
    "move": lambda dataset, key, density: fod.set_density(dataset, key, density),
    "delete": lambda dataset, key: fod.delete_drop(dataset, key),
}


def main():
    warnings.simplefilter("ignore")
    dataset = fo.load_dataset(sys.argv[1])
    print("null", file=ANSWERS, flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        problem = None
        try:
            CALLS[name](dataset, *arguments)
        except DropError as error:
            problem = str(error)
        print(json.dumps(problem), file=ANSWERS, flush=True)


if __name__ == "__main__":
    main()
