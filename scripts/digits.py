"""scikit-learn's 1,797 scanned digits as PNG files: the images of the demo and the tests."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def write_digits(folder: Path, limit: int | None = None) -> tuple[list[Path], list[str]]:
    """Write the first ``limit`` digits (default: all) under ``folder``, unless they are there.

    Returns:
        a list of paths and a list of class names, in scikit-learn's order
    """
    digits = load_digits()
    images = np.round(digits.images[:limit] * (255 / 16)).astype(np.uint8)
    labels = [NAMES[target] for target in digits.target[:limit]]
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"digit-{i:04d}.png" for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        if not path.exists():
            Image.fromarray(image).save(path)
    return paths, labels
