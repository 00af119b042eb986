"""The main job on real images: prune scikit-learn's digits to half their size.

Run it with ``make demo``; ``make app`` looks at the result and ``make export`` writes it to disk.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import fiftyone as fo
from digits import write_digits

import fiftyone_drop as fod

NAME = "fiftyone-drop-digits"
KEY = "drop"


def load_digits() -> fo.Dataset:
    """The digits as a FiftyOne dataset, made at the first call."""
    if fo.dataset_exists(NAME):
        print(f"Reusing the dataset '{NAME}' of an earlier run.")
        return fo.load_dataset(NAME)
    paths, labels = write_digits(Path(fo.config.default_dataset_dir) / NAME)
    dataset = fo.Dataset(NAME, persistent=True)
    dataset.add_samples(
        fo.Sample(filepath=str(path), ground_truth=fo.Classification(label=label))
        for path, label in zip(paths, labels, strict=True)
    )
    return dataset


def demo() -> None:
    dataset = load_digits()
    replaces = KEY in fod.list_drops(dataset)
    if replaces:
        print(f"Replacing the drop run '{KEY}'.")
    view = dataset.apply_drop(density=0.5, key=KEY, overwrite=replaces)
    run = fod.load_drop(dataset, KEY)
    print(f"\n{run}\n")
    print(f"Kept {len(view):,} of {len(dataset):,} samples: the saved view '{KEY}-kept'.")
    print(f"At a density of 0.3 it would be {len(fod.drop_view(dataset, KEY, 0.3)):,} of them.")
    print(f"A full training of 30 epochs becomes {fod.suggested_epochs(30, 0.5)} epochs.")
    print("\nNext:")
    print("  make python   Python in the demo's database, which is not yours")
    print("  make app      look at what was kept, in the FiftyOne App")
    print("  make export   write the kept images to .demo/pruned-digits, a folder per class")


def app() -> None:
    address, port = "127.0.0.1", int(os.environ.get("PORT", "5151"))
    dataset = fo.load_dataset(NAME)
    session = fo.launch_app(dataset, address=address, port=port, remote=True)
    print(f"\nOpen http://{address}:{port}/datasets/{NAME} in a browser; Ctrl-C ends the App.")
    session.wait(-1)


def export(folder: str) -> None:
    view = fo.load_dataset(NAME).load_saved_view(f"{KEY}-kept")
    view.export(
        export_dir=folder,
        dataset_type=fo.types.ImageClassificationDirectoryTree,
        label_field="ground_truth",
        overwrite=True,
    )
    print(f"{len(view):,} images are in {folder}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--app", action="store_true", help="open the App on the demo dataset")
    choice.add_argument("--export", metavar="FOLDER", help="export the kept samples")
    args = parser.parse_args()
    if (args.app or args.export) and not fo.dataset_exists(NAME):
        raise SystemExit("There is no demo dataset yet: run `make demo` first.")
    if args.app:
        app()
    elif args.export:
        export(args.export)
    else:
        demo()


if __name__ == "__main__":
    main()
