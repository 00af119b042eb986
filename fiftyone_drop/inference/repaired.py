"""Images that an interrupted call could not read, and that can be read now.

Their files are as they were, but not what reads them: Pillow's plugins and settings, credentials,
or rights.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from fiftyone_drop.engine.images import Read, UnreadableImageError
from fiftyone_drop.engine.threads import in_threads
from fiftyone_drop.inference.failures import NOT_FINITE, Failures

Unread = dict[int, list[str]]  # batch -> those of its images that could not be read


def unread_images(
    paths: Sequence[str], failures: Failures, size: int, chunk: int | None
) -> list[Unread]:
    """The images that could not be read.

    Args:
        paths: all images
        failures: those without scores
        size: images per batch
        chunk: images in the batches of a part of the result, at most; None for one part
    """
    unread: Unread = {}
    for row, why in failures.items():
        if why != NOT_FINITE:
            unread.setdefault(row // size, []).append(paths[row])
    batches = sorted(unread)
    most = max(1, len(batches) if chunk is None else chunk // size)
    parts = [batches[i : i + most] for i in range(0, len(batches), most)]
    return [{batch: unread[batch] for batch in part} for part in parts]


def find_repaired(unread: Unread, reads: Sequence[Read], workers: int) -> list[int]:
    """The batches of which an image can be read now. Reads no further image of those."""

    def is_repaired(paths: Sequence[str]) -> bool:
        return any(_can_be_read(path, reads) for path in paths)

    with closing(in_threads(is_repaired, unread.values(), workers, size=1)) as results:
        return [batch for batch, found in zip(unread, results, strict=True) if found]


def _can_be_read(path: str, reads: Sequence[Read]) -> bool:
    try:
        for read in reads:
            read(path)
    except UnreadableImageError:
        return False
    return True
