"""Put the FiftyOne plugin, which the wheel carries, into FiftyOne's folder of plugins."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from fiftyone_drop.errors import DropError

NAME = "@fiftyone-drop/drop"
FOLDER = "fiftyone-drop"
PACKAGE = Path(__file__).resolve().parents[1]


def install(overwrite: bool) -> Path:
    """Copy the plugin, or link it where the package is an editable install.

    Args:
        overwrite: whether to replace a plugin of that name

    Returns:
        the folder of the plugin

    Raises:
        DropError: if there is one, or something else has its folder; nothing has been written then
    """
    import fiftyone as fo
    import fiftyone.plugins as fop

    folder = Path(fo.config.plugins_dir)
    target = folder / FOLDER
    there = [Path(p.directory) for p in fop.list_plugins(enabled="all") if p.name == NAME]
    if there and not overwrite:
        raise DropError(
            "overwrite", f"the plugin is in {there[0]} already; --overwrite replaces it"
        )
    if os.path.lexists(target) and target not in there:
        raise DropError("plugins_dir", f"{target} exists and is no plugin of ours; move it away")
    folder.mkdir(parents=True, exist_ok=True)
    staged = folder / f".{FOLDER}-{os.getpid()}"  # FiftyOne looks into no hidden folder
    try:
        if (PACKAGE / "_plugin").is_dir():
            shutil.copytree(PACKAGE / "_plugin", staged)
        else:
            staged.symlink_to(PACKAGE.parent, target_is_directory=True)
        for old in there:
            _remove(old)
        staged.rename(target)
    finally:
        if os.path.lexists(staged):
            _remove(staged)
    return target


def _remove(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder)
