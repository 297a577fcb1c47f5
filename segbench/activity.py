"""What a long piece of work says while it lasts: how, is chosen by the caller.

Code that may take long (building an environment, loading a model, a download) gets an `Activity`
and works inside ``with activity("building the environment of mine"):``. The command line shows the
text and for how long; `silent` shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Activity = Callable[[str], AbstractContextManager[None]]


@contextmanager
def silent(text: str) -> Iterator[None]:
    """Say nothing."""
    yield
