"""Where the scripts of this folder find their images and leave what they measured."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "paper"
PAGE = ROOT / "docs" / "evidence.md"
DETAILS = ROOT / "docs" / "evidence-tables.md"
PAGES = [PAGE, DETAILS, PAGE.parent / "howto" / "long-tails.md", ROOT / "README.md"]
IMAGES = PAGE.parent / "images"

sys.path.append(str(ROOT / "benchmarks"))
from reporting import machine  # noqa: E402

__all__ = ["DETAILS", "IMAGES", "PAGE", "PAGES", "RESULTS", "ROOT", "add_archive", "machine"]


def add_archive(parser: argparse.ArgumentParser) -> None:
    """The arguments of a script that trains on CIFAR-10."""
    parser.add_argument("--archive", type=Path, required=True, help="<split>/<class>/*.jpg in tar")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/fiftyone-drop/paper"))
