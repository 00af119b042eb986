"""Write the kept samples of a run to a folder, by FiftyOne's exporters."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fiftyone_drop import checks
from fiftyone_drop._log import logger
from fiftyone_drop.errors import DropError, listing

DIRECTORY_TREE = "ImageClassificationDirectoryTree"
LABELLED = (DIRECTORY_TREE, "FiftyOneImageClassificationDataset")
PARTIAL = ".exporting-"  # how the name of a folder begins in which an export is being written
DATASET_TYPES = (*LABELLED, "ImageDirectory", "FiftyOneDataset")


def export(
    samples: Any, folder: str, dataset_type: str, label_field: str, progress: Any = False
) -> int:
    """Export a view to a new folder, which is there when it is whole.

    Args:
        samples: a view
        folder: a folder that is empty, or does not exist
        dataset_type: one of ``DATASET_TYPES``, classes of ``fiftyone.types``
        label_field: the field that the classes are from
        progress (False): as everywhere in FiftyOne

    Returns:
        how many samples there are

    Raises:
        DropError: if the folder has files or cannot be read, the field cannot be exported, the path
            of a sample is that of a pipe, a device or an object elsewhere, or a class is no name
            for a folder, so that its images would lie elsewhere. An export that has failed, or was
            interrupted, leaves the folder as it was
    """
    import fiftyone as fo  # which the names of the formats do not need

    path = free_folder(folder)
    check_labels(samples, dataset_type, label_field)
    options = {"label_field": label_field} if dataset_type in LABELLED else {}
    if dataset_type == DIRECTORY_TREE:
        check_folders(samples.distinct(f"{label_field}.label"))
    _check_files(samples.values("filepath"))
    logger.info("Exporting %s samples", f"{len(samples):,}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Nobody else writes there, and nothing else is removed. A folder that exists may be another
        # file system, or the one that this process is in: it stays, and the export moves in
        moves_in = path.is_dir()
        place = path if moves_in else path.parent
        with tempfile.TemporaryDirectory(dir=place, prefix=PARTIAL) as own:
            whole = Path(own, "export")
            samples.export(
                export_dir=str(whole),
                dataset_type=getattr(fo.types, dataset_type),
                progress=progress,
                **options,
            )
            if moves_in:
                _move_in(whole, path)
            else:
                whole.rename(path)  # fails where another export came first
    except OSError as error:
        raise DropError(
            "export_dir",
            f"{folder!r} could not be written whole ({error}); make room, or pass another folder "
            "where you have the right to write",
        ) from error
    return len(samples)


def free_folder(folder: str) -> Path:
    """The path of a folder that is new, or empty, with links followed.

    Raises:
        DropError: if there is something else, or nobody can tell
    """
    path = checks.path("export_dir", folder)
    try:
        path = path.resolve()
        free = is_free(path)
    except (OSError, RuntimeError) as error:  # no right to look, a name too long, links in a circle
        raise DropError(
            "export_dir",
            f"{folder!r} cannot be read ({error}); pass another folder where you have the right to "
            "read and write",
        ) from error
    if not free:
        raise DropError(
            "export_dir", f"must be a new or an empty folder, but got {folder!r}; pass another"
        )
    return path


def _move_in(whole: Path, path: Path) -> None:
    """Move all that is in one folder into another one, which is empty; nothing if that fails."""
    if _others_in(path):
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(path))
    moved: list[Path] = []
    try:
        for one in list(whole.iterdir()):
            moved.append(one.rename(path / one.name))
    except BaseException:
        for one in moved:
            one.rename(whole / one.name)
        raise


def _others_in(path: Path) -> bool:
    """Whether something is in a folder beside exports that are being written, or were cut off."""
    return any(not one.name.startswith(PARTIAL) for one in path.iterdir())


def is_free(path: Path) -> bool:
    """Whether there is nothing, or an empty folder; leftovers of a killed export do not count.

    Raises:
        OSError: if nobody can tell
    """
    return not path.exists() or (path.is_dir() and not _others_in(path))


def _check_files(paths: Sequence[str]) -> None:
    """Check that FiftyOne can copy the files: of a device that never ends it would fill the disk.

    Raises:
        DropError: if one is no plain file, or is missing
    """
    missing = [path for path in paths if "://" not in path and not os.access(path, os.R_OK)]
    if missing:
        raise DropError(
            "samples",
            f"the images of {len(missing):,} of {len(paths):,} are missing or cannot be read, "
            f"{listing(missing)}; bring them back, or leave these samples out",
        )
    wrong = [path for path in paths if "://" in path or _is_special(path)]
    if wrong:
        raise DropError(
            "samples",
            f"{len(wrong):,} of {len(paths):,} have a filepath that is no plain file of this "
            f"machine, {listing(wrong)}, and FiftyOne copies files; a manifest carries a run "
            "without its images",
        )


def _is_special(path: str) -> bool:
    return not stat.S_ISREG(os.stat(path).st_mode)


def check_labels(samples: Any, dataset_type: str, label_field: str) -> None:
    """Check that a format can hold the labels of a field.

    Raises:
        DropError: if it wants Classification labels, and the field has others
    """
    from fiftyone_drop.schema import is_classification

    if dataset_type in LABELLED and not is_classification(samples.get_field(label_field)):
        raise DropError(
            "label_field",
            f"must be a Classification field for {dataset_type}, but got {label_field!r}; "
            "pass another one, or dataset_type='FiftyOneDataset'",
        )


def check_folders(classes: Iterable[str]) -> None:
    """Each class has to be the name of one folder, for a reader takes its first part only.

    Raises:
        DropError: if one is not, such as ``../../x``
    """
    wrong = [
        name
        for name in classes
        if not name or name.startswith(".") or name != Path(name).name or set(name) & set("\\\0")
    ]
    if wrong:
        raise DropError(
            "label_field",
            f"has {len(wrong):,} classes that are no names of folders, {listing(wrong)}, so that "
            "their images would lie elsewhere; rename them with map_labels, or pass "
            "dataset_type='FiftyOneImageClassificationDataset', which has no folder per class",
        )
