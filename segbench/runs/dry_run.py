"""What a run would do: which cases it would run, and which it would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from segbench.errors import CaseError
from segbench.models.registry import source_sha256
from segbench.models.resolve import resolve_model
from segbench.runs import manifest
from segbench.runs.config import RunConfig
from segbench.runs.pending_cases import PendingCase, find_pending, largest_case_mb


@dataclass(frozen=True)
class DryRun:
    """The cases that were asked for, by what would happen to them."""

    would_run: tuple[PendingCase, ...]
    would_refuse: tuple[tuple[str, str], ...]  # name and reason
    done: tuple[str, ...]
    n_cases: int  # of the data, whether asked for or not

    def lines(self) -> Iterator[str]:
        """Yield what a user reads."""
        yield from (f"would run {case.name}" for case in self.would_run)
        yield from (f"invalid   {name}: {reason}" for name, reason in self.would_refuse)
        yield from (f"done      {name}" for name in self.done)
        asked_for = len(self.would_run) + len(self.would_refuse) + len(self.done)
        yield (
            f"{len(self.would_run)} to run, {len(self.would_refuse)} invalid, {len(self.done)} "
            f"done: {asked_for} of {self.n_cases} cases asked for"
        )
        yield (
            f"arrays of the largest case: {largest_case_mb(self.would_run):.0f} MB per job, "
            "without the model"
        )


def dry_run(config: RunConfig) -> DryRun:
    """Check everything that a run checks before it loads the model; write nothing.

    Of each case the reference, spacing and boxes are read, and of its image the header.

    Raises
    ------
    CaseError, AdapterNotFound, AdapterError, RunError
        As in `segbench.runs.runner.run`.
    """
    file, options = resolve_model(config.model, config.option)
    cases = find_pending(config)
    manifest.refuse_another_run(config, options, source_sha256(file))
    would_run, would_refuse = [], []
    for case in cases.pending:
        try:
            case.source.check()
        except CaseError as refusal:
            would_refuse.append((case.name, str(refusal)))
        else:
            would_run.append(case)
    return DryRun(tuple(would_run), tuple(would_refuse), cases.done, len(cases.all))
