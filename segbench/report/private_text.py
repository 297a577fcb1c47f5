"""Free text for publication: no path, no user and no host of the machine that made a run."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Sequence

# in a failure: what follows are the worker's own words, which may name anything
_DETAILS = re.compile(r"\n(?:last lines of stderr|traceback):")
_HOME = re.compile(r"(?:[A-Za-z]:[\\/]Users|/home|/Users)[\\/]+[^\\/\s'\"<>:;,)\]]+|/root\b")
_FOLDERS = re.compile(
    r"(?<![\w.)\]/\\:])(?:~|[A-Za-z]:)?(?:[\\/][^\\/\s'\"<>|:;,()\[\]]+)*[\\/](?=[^\\/\s'\"])"
)
_USER_AT_HOST = re.compile(r"\b[\w.-]+@[\w.-]+")


def without_machine(text: str) -> str:
    """Return a text without the folders of absolute paths, ``user@host``, this host and user.

    A path keeps its last part, a home folder becomes ``~``. A traceback, and what a worker
    wrote to stderr, are left out; the case files have them.
    """
    text = _DETAILS.split(text, maxsplit=1)[0].replace("file://", "")
    text = _FOLDERS.sub("", _HOME.sub("~", text))
    text = _USER_AT_HOST.sub("USER@HOST", text)
    for name, replacement in ((socket.gethostname(), "HOST"), (_user(), "USER")):
        if name:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", replacement, text)
    return text


def file_stems(names: Sequence[str]) -> list[str]:
    """Return a file name without suffix for each name, all different; two may differ in signs."""
    stems: list[str] = []
    for number, name in enumerate(names, start=1):
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", without_machine(name)).strip("-") or "run"
        while stem in stems:
            stem += f"-{number}"
        stems.append(stem)
    return stems


def _user() -> str:
    """Return the name of the user; empty if the system has none, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def option_text(key: str, value: str) -> str:
    """Return the value of an adapter's option: of a path or a URL its last part.

    The name of a container's image has slashes, too, but is no path.
    """
    if key == "image":
        return without_machine(value)
    return without_machine(re.split(r"[\\/]", value.rstrip("\\/"))[-1])
