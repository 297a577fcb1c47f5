"""A parser whose errors look like those of all commands of segbench."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from typing import NoReturn


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, as those of all commands of segbench."""

    def error(self, message: str) -> NoReturn:
        """Print the message and end with exit status 2."""
        self.exit(2, f"{self.prog.replace(' ', ': ', 1)}: {message}; {self.prog} --help helps\n")


def refuse_second_value(made: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    """End if an option is given twice; argparse would take the last value."""
    given = Counter(word.partition("=")[0] for word in arguments if word.startswith("--"))
    for name, times in given.items():
        if times > 1:
            made.error(f"{name}: expected once, found {times} times")
