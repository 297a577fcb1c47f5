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


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 case``, ``3 cases``."""
    return f"{number} {noun if number == 1 else plural(noun)}"


def are(number: int) -> str:
    """Return the verb of a counted noun: ``is``, ``are``."""
    return "is" if number == 1 else "are"


def plural(noun: str) -> str:
    """Return the plural of a regular noun."""
    if noun.endswith("x"):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"


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
