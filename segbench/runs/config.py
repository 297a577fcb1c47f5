"""What the user asks for: one set of options for the command line, Python and every job."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from segbench.core import Settings
from segbench.errors import RunError
from segbench.models.adapter_source import adapter_name
from segbench.models.registry import SCHEMES, find_adapter
from segbench.results import FailurePolicy, Policy, is_positive

Boxes = Literal["given", "none"]
Predictions = Literal["all", "final", "none"]
CHOICES: dict[str, Any] = {"boxes": Boxes, "predictions": Predictions}


@dataclass(frozen=True)
class RunConfig:
    """The options of ``segbench run``; docs/run.md explains every one.

    Raises
    ------
    RunError
        If an option has a value that it does not know, or two options contradict each other.
    """

    model: str
    data: tuple[Path, ...]  # a folder, or files; empty: the caller gives the cases as arrays
    out: Path
    references: Path | None = None
    option: Mapping[str, str] = field(default_factory=dict, hash=False)
    name: str | None = None
    case: tuple[str, ...] = ()
    limit: int | None = None
    jobs: int = 1
    fresh: bool = False  # move an existing run folder away and start anew
    retry_failed: bool = False
    threads: int | None = None  # of each model; None: see segbench.threads
    wait: bool = True  # for cases that another runner on the folder has locked
    python: Path | None = None
    in_process: bool = False
    step_timeout: float = 900.0
    predictions: Predictions = "all"
    boxes: Boxes = "given"
    exact_sum: bool = False
    failures: FailurePolicy = "zero"
    time_limit: float | None = None
    settings: Settings = Settings()
    command: str = ""  # as typed, noted in run.json

    def __post_init__(self) -> None:
        self._check_values()
        self._check_combinations()

    def _check_values(self) -> None:
        for option, choice in CHOICES.items():
            if getattr(self, option) not in get_args(choice):
                expected = ", ".join(get_args(choice))
                found = getattr(self, option)
                raise RunError(f"{option}: expected one of {expected}, found {found!r}")
        for option in ("jobs", "limit", "threads"):
            _check_count(option, getattr(self, option))
        if not is_positive(self.step_timeout):
            raise RunError(f"step_timeout: expected seconds above 0, found {self.step_timeout}")
        if self.name is not None and not (isinstance(self.name, str) and self.name):
            raise RunError(f"name: expected text, found {self.name!r}")
        if self.out.exists() and not self.out.is_dir():
            raise RunError(f"{self.out}: expected a run folder, found a file")
        _ = self.policy  # refuses unknown values

    def _check_combinations(self) -> None:
        if self.in_process and self.jobs > 1:
            raise RunError(
                "jobs: expected 1 for a model in this process (in_process, or one given as an "
                f"object or a function), found {self.jobs}"
            )
        if self.in_process and self.python is not None:
            raise RunError(
                "python: expected none with in_process, which runs the model with the interpreter "
                f"of segbench, found {self.python}"
            )
        if self.fresh and self.retry_failed:
            raise RunError(
                "fresh: expected alone, because it runs every case again, found retry_failed "
                "with it; leave out one of them"
            )

    @property
    def policy(self) -> Policy:
        """How ``metrics.csv`` and the printed table score failed steps and slow cases."""
        return Policy(self.failures, self.time_limit)


def _check_count(option: str, number: object) -> None:
    if number is not None and not (isinstance(number, int) and number >= 1):
        raise RunError(f"{option}: expected a whole number from 1 on, found {number!r}")


def folder_name(text: str) -> str:
    """Return a text as the name of a folder: other characters become hyphens."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")


def default_out(model: str) -> Path:
    """Return the run folder if none is given: runs/<model>."""
    scheme, _, rest = model.partition(":")
    plain = folder_name(rest) if scheme in SCHEMES else ""
    return Path("runs") / (plain or adapter_name(find_adapter(model)))
