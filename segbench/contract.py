"""What a model is to segbench: two protocols, one on each side of the worker's pipe.

`Adapter` is what an author writes; `Seat` is what the protocol talks to, wherever the adapter runs.

Standard library and numpy only, syntax of Python 3.9: adapters import this in foreign environments.
"""

from __future__ import annotations

from typing import Protocol

from segbench.core import AdapterInfo, Answer, Image, Interactions, LabelMap


class Adapter(Protocol):
    """One model, able to segment one image at a time, prompt by prompt.

    With an attribute ``outlives_worker`` that is true it is closed also when its process is made
    to end: it holds what is no child of it, a container.
    """

    info: AdapterInfo

    def start(self, image: Image, labels: tuple[int, ...]) -> None:
        """Begin a new image; everything known of the last one is void."""

    def step(self, said: Interactions) -> LabelMap:
        """Return the label map after all that was said so far.

        The answer must be the same whether or not earlier steps were asked of this instance.
        """

    def close(self) -> None:
        """Release device memory and processes."""


class Seat(Protocol):
    """Something that can be asked: an adapter here, in a process, or in a container."""

    def start(self, image: Image, labels: tuple[int, ...]) -> None:
        """Show a new image; a failure to take it shows in the answers."""

    def ask(self, said: Interactions) -> Answer:
        """Return what the model answers, in an array that does not change afterwards.

        A failure is an answer, never an exception.
        """
