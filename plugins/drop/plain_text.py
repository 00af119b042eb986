"""Text that the App shows as it is: class names, paths and keys come from other people."""

import re


def as_it_is(text: str) -> str:
    """Markdown that shows ``text`` as it is.

    The App renders the messages of forms and results as Markdown. In Markdown a class name could be
    a link, or an image that the browser fetches from elsewhere.
    """
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)
