"""Images without scores, in words: an error, or sentences for a warning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fiftyone_drop._log import logger
from fiftyone_drop._types import Ids
from fiftyone_drop.errors import DropError

NOT_FINITE = "the model's output is not finite"  # why an image that can be read has no scores
Failures = Mapping[int, str]  # position -> why the image has no scores


def check_failures(ids: Ids, paths: Sequence[str], failures: Failures, strict: bool) -> None:
    """Check that images without scores may be left out, and that some have scores.

    Raises:
        DropError: if not
    """
    if len(failures) == len(paths) and NOT_FINITE in failures.values():
        raise DropError(
            "model",
            f"its output is finite for none of the {len(paths)} images, such as {paths[0]}; "
            "check its weights and the transform",
        )
    if len(failures) == len(paths):
        raise none_readable(paths, failures[0])
    if strict and failures:
        row, why = next(iter(failures.items()))
        problem = why if why == NOT_FINITE else f"it cannot be read ({why})"
        raise DropError(
            "on_error",
            f"the image {paths[row]} of sample {ids[row].decode()} has no scores, since "
            f"{problem}; repair it, leave its sample out, or pass on_error='skip'",
        )


def check_all_read(ids: Ids, paths: Sequence[str], failures: Failures, argument: str) -> None:
    """Check that there are no images that cannot be read.

    Raises:
        DropError: if there are; it counts and names them
    """
    if not failures:
        return
    if len(failures) == 1:
        ((row, why),) = failures.items()
        raise DropError(
            argument,
            f"the image {paths[row]} of sample {ids[row].decode()} cannot be read ({why}); repair "
            "it, or leave its sample out",
        )
    (sentence,) = describe_failures(ids, paths, failures)
    raise DropError(
        argument, f"{sentence}; repair the files, or leave their samples out with .exclude(ids)"
    )


def describe_failures(ids: Ids, paths: Sequence[str], failures: Failures) -> list[str]:
    """A sentence for each kind of failure that there is."""
    sentences = []
    for is_read, problem in (
        (False, "cannot be read"),
        (True, f"have no scores, since {NOT_FINITE}"),
    ):
        names = [
            f"{ids[row].decode()} ({paths[row]}: {why})"
            for row, why in sorted(failures.items())
            if (why == NOT_FINITE) == is_read
        ]
        if not names:
            continue
        words = f"{len(names)} of {len(paths)} images {problem}"
        logger.info("%s: %s", words, ", ".join(names))
        more = f" and {len(names) - 10} more (see the log)" if len(names) > 10 else ""
        sentences.append(f"{words}: {', '.join(names[:10])}{more}")
    return sentences


def none_readable(paths: Sequence[str], why: str) -> DropError:
    """The error where no image can be read, with the reason that the first cannot."""
    return DropError(
        "samples",
        f"none of the {len(paths)} images can be read, such as {paths[0]} ({why}); correct the "
        "filepaths",
    )
