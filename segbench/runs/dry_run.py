"""What a run would do: which cases it would run, and which it would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from segbench.errors import CaseError
from segbench.messages import counted
from segbench.models.registry import source_sha256
from segbench.models.resolve import resolve_model
from segbench.runs import manifest, run_folder
from segbench.runs.config import RunConfig
from segbench.runs.pending_cases import PendingCase, find_pending, largest_case_mb
from segbench.runs.progress import NoProgress, Progress

SILENT = NoProgress()


@dataclass(frozen=True)
class DryRun:
    """The cases that were asked for, by what would happen to them."""

    would_run: tuple[PendingCase, ...]
    would_refuse: tuple[tuple[str, str], ...]  # name and reason
    done: tuple[tuple[str, str], ...]  # name and status
    n_cases: int  # of the data, whether asked for or not

    def lines(self) -> Iterator[str]:
        """Yield what a user reads."""
        yield from (f"would run {case.name}" for case in self.would_run)
        yield from (f"invalid   {name}: {reason}" for name, reason in self.would_refuse)
        for name, status in self.done:
            yield f"done      {name}" + ("" if status == "ok" else f" ({status})")
        asked_for = len(self.would_run) + len(self.would_refuse) + len(self.done)
        yield (
            f"{len(self.would_run)} to run, {len(self.would_refuse)} invalid, {len(self.done)} "
            f"done{self._not_ok()}: {asked_for} of {counted(self.n_cases, 'case')} asked for"
        )
        if self.would_run:
            yield (
                f"arrays of the largest case: {largest_case_mb(self.would_run):.0f} MB per job, "
                "without the model"
            )

    def _not_ok(self) -> str:
        """Return how many of the done cases are failed or invalid, in brackets."""
        statuses = [status for _, status in self.done]
        counts = [
            f"{statuses.count(status)} of them {status}"
            for status in ("failed", "invalid")
            if status in statuses
        ]
        return f" ({', '.join(counts)}; --retry-failed runs them again)" if counts else ""


def dry_run(config: RunConfig, progress: Progress = SILENT) -> DryRun:
    """Check everything that a run checks before it loads the model; write nothing.

    Of each case the reference, spacing and boxes are read, and of its image the header.
    ``progress`` shows that this takes a while.

    Raises
    ------
    CaseError, AdapterNotFound, AdapterError, RunError
        As in `segbench.runs.runner.run`.
    """
    file, options = resolve_model(config.model, config.option, say=progress.note)
    with progress.activity("looking for cases"):
        cases = find_pending(config)
    manifest.refuse_another_run(config, options, source_sha256(file))
    with progress.activity(f"checking {counted(len(cases.pending), 'case')}"):
        refusals = {case.name: _refusal(case) for case in cases.pending}
    return DryRun(
        tuple(case for case in cases.pending if refusals[case.name] is None),
        tuple((name, reason) for name, reason in refusals.items() if reason is not None),
        tuple((name, _status(config, name)) for name in cases.done),
        len(cases.all),
    )


def _status(config: RunConfig, case: str) -> str:
    return run_folder.read_case_result(run_folder.case_file(config.out, case)).status


def _refusal(case: PendingCase) -> str | None:
    """Return why a case would be refused; None if it is valid."""
    try:
        case.source.check()
    except CaseError as refusal:
        return str(refusal)
    return None
