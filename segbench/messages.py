"""Parts of the messages that users read; every error is one line of one form.

``THING: expected EXPECTATION, found FINDING; WHAT TO DO``. What to do is left out where nothing
is to be said beyond the expectation.

Standard library only, syntax of Python 3.9: the worker uses this.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def one_line(text: str) -> str:
    """Return a text without line breaks."""
    return " ".join(text.split())


def named(error: BaseException) -> str:
    """Return an exception's type and message in one line, as what was found."""
    message = error.msg if isinstance(error, SyntaxError) and error.msg else error
    return one_line(f"{type(error).__name__}: {message}").rstrip(":. ")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the most similar known word, empty if none is similar."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question with the most similar known word, empty if none is similar."""
    most_similar = nearest(word, known)
    return f"did you mean {most_similar!r}?" if most_similar else ""


def and_hint(word: str, known: Iterable[str]) -> str:
    """Return `did_you_mean` as the end of a message, behind a semicolon."""
    hint = did_you_mean(word, known)
    return f"; {hint}" if hint else ""
