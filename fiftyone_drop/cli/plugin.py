"""Put the FiftyOne plugin, which the wheel carries, into FiftyOne's folder of plugins.

That folder is the user's. Only a copy or a link that an earlier call has put there is replaced, and
a git clone never is.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from fiftyone_drop.errors import DropError

NAME = "@fiftyone-drop/drop"
FOLDER = "fiftyone-drop"
PACKAGE = Path(__file__).resolve().parents[1]
# What a copy consists of, as setup.py puts it into the wheel; a clone or a download has more
PARTS = frozenset({"fiftyone.yml", "LICENSE", "plugins", "skills", "__pycache__"})


def install(overwrite: bool) -> Path:
    """Copy the plugin, or link it where the package is an editable install.

    Where FiftyOne loads the package's own folder already, nothing is changed.

    Args:
        overwrite: whether to replace what an earlier call has installed

    Returns:
        the folder of the plugin

    Raises:
        DropError: if there is a plugin, something else has its name or its folder, or the folder
            of plugins cannot be written; what was there is there then
    """
    import fiftyone as fo
    import fiftyone.plugins as fop

    folder = Path(fo.config.plugins_dir)
    plugins = fop.list_plugins(enabled="all", shadowed="all")  # first the one that is loaded
    there = [Path(plugin.directory) for plugin in plugins if plugin.name == NAME]
    try:
        if there and there[0].resolve() == _own_folder().resolve():
            return there[0]
        target = folder / FOLDER
        _check_replaceable(target, there, overwrite)
        folder.mkdir(parents=True, exist_ok=True)
        _put(target)
    except OSError as error:
        raise DropError(
            "plugins_dir",
            f"{folder} cannot be changed ({str(error)[:200]}); get the right to write there, or "
            "name another folder with the environment variable FIFTYONE_PLUGINS_DIR",
        ) from error
    return target


def removal(folder: Path) -> str:
    """What removes the plugin, in words."""
    if folder.is_symlink():  # `fiftyone plugins delete` leaves links where they are
        return f"a link to {folder.resolve()}. Deleting the link removes it"
    if folder.resolve() == _own_folder().resolve():
        return "the folder of the package itself, where nothing was changed"
    return f"a copy. `fiftyone plugins delete {NAME}` removes it"


def _own_folder() -> Path:
    """The plugin that this package carries: a folder of the wheel, or a clone."""
    carried = PACKAGE / "_plugin"
    return carried if carried.is_dir() else PACKAGE.parent


def _check_replaceable(target: Path, there: list[Path], overwrite: bool) -> None:
    """Check that nothing of the user's has the plugin's name or its folder.

    Raises:
        DropError: if something has, or ``target`` is ours and not to be replaced
        OSError: a folder cannot be read
    """
    for path in there:
        if path != target or not _is_installed(path):
            raise DropError(
                "plugins_dir",
                f"{path} has this plugin and was not put there by install-plugin, which deletes "
                f"nothing else, and no git clone; move it out of {target.parent}, or, if it was "
                f"downloaded, run `fiftyone plugins delete {NAME}`",
            )
    if there and not overwrite:
        raise DropError("overwrite", f"the plugin is in {target} already; --overwrite replaces it")
    if os.path.lexists(target) and not there:
        raise DropError("plugins_dir", f"{target} exists and is no plugin of ours; move it away")


def _is_installed(folder: Path) -> bool:
    """Whether ``install`` has made it: a link, or a copy to which nothing was added."""
    if folder.is_symlink():
        return True
    names = {one.name for one in folder.iterdir()}
    return names <= PARTS and not any(folder.rglob(".git"))


def _put(target: Path) -> None:
    """Put the plugin where it belongs; what was there is deleted when the new one stands.

    Raises:
        OSError: the folder cannot be written; what was there is there again
    """
    # FiftyOne looks into no hidden folder
    room = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{FOLDER}-"))
    staged, aside = room / "new", room / "old"
    try:
        own = _own_folder()
        if own.is_relative_to(PACKAGE):
            shutil.copytree(own, staged)
        else:
            staged.symlink_to(own, target_is_directory=True)
        try:
            if os.path.lexists(target):
                target.rename(aside)
            staged.rename(target)
        except BaseException:
            if os.path.lexists(aside):
                aside.rename(target)
            raise
    finally:
        if os.path.lexists(target) or not os.path.lexists(aside):  # else the old one is there alone
            shutil.rmtree(room, ignore_errors=True)
