"""A command of the command line: its example, ``--json``, and what goes to which stream.

The answer goes to stdout, and everything else to stderr: what FiftyOne prints, warnings, questions
and the sentence of an error. So the answer can be piped.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import warnings
from typing import Any, NamedTuple

import click

from fiftyone_drop.errors import DropError, DropWarning

MOST_LETTERS = 300  # of an error of MongoDB's, which describes each server


class Answer(NamedTuple):
    """The answer of a command: in words, and as JSON-serialisable values."""

    words: str
    values: Any

    @classmethod
    def of(cls, result: Any) -> Answer:
        """The answer that prints a result of the package."""
        return cls(str(result), result.to_dict())


class DropCommand(click.Command):
    """A command whose function returns an :class:`Answer`.

    Attributes:
        example: a line that runs
    """

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example
        self.params.append(
            click.Option(["--json", "as_json"], is_flag=True, help="Print the answer as JSON.")
        )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example, as the last lines of ``--help``."""
        with formatter.section("Example"):
            formatter.write_text(self.example)

    def invoke(self, ctx: click.Context) -> None:
        """Run the command and print its answer, or the sentence of an error."""
        as_json = ctx.params.pop("as_json")
        try:
            with contextlib.redirect_stdout(_ToStderr()), _warnings_in_words():
                answer = super().invoke(ctx)
        except Exception as error:
            sentence = sentence_of(error)
            if sentence is None:
                raise
            click.echo(f"Error: {sentence}", err=True)
            ctx.exit(1)
        if as_json or answer.words:
            click.echo(json.dumps(answer.values, indent=2) if as_json else answer.words)


def sentence_of(error: Exception) -> str | None:
    """The sentence of an error about an argument, the database or a file; None of others."""
    if isinstance(error, DropError):
        return str(error)
    if isinstance(error, OSError):  # a ConnectionError of ours says what is saved
        return one_line(error, 10 * MOST_LETTERS)
    from pymongo.errors import PyMongoError

    if isinstance(error, PyMongoError):
        from fiftyone_drop.waiting import UNFINISHED

        return (
            f"the database failed ({one_line(error)}); run the same command again "
            f"when that is settled: {UNFINISHED}"
        )
    return None


def one_line(error: BaseException, most: int = MOST_LETTERS) -> str:
    """The words of an error on one line, and of very many the first ``most`` letters."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= most else f"{words[:most]}..."


class _ToStderr(io.TextIOBase):
    """Writes to stderr, and is not it: FiftyOne's progress bars divert all that write to stdout."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


@contextlib.contextmanager
def _warnings_in_words() -> Any:
    """Our own warnings as a sentence each, without the place in the code that others have."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", DropWarning)
        show = warnings.showwarning

        def in_words(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, DropWarning):
                click.echo(f"Warning: {message}", err=True)
            else:
                show(message, category, *place, **more)

        warnings.showwarning = in_words
        yield
