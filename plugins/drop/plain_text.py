"""Text that the App shall show as it is: class names, paths and keys are other people's words."""

import re


def as_it_is(text: str) -> str:
    """Markdown that shows ``text`` as it is.

    The App renders the messages of forms and results as Markdown, where a class name could be a
    link, or an image to be fetched from elsewhere.
    """
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)
