"""Further metrics of finished runs, from their predictions and the data, without any model.

A case is read once for all runs that have it. Values that are stored are not computed again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.data.dataset import CaseFile
from segbench.data.pool import each
from segbench.errors import RunError, SegbenchError
from segbench.further_metrics.metric import Metric
from segbench.further_metrics.own_function import load_function
from segbench.results import CaseResult
from segbench.runs.derived_case import CaseOfRun, DerivedCase
from segbench.runs.derived_json import refuse_foreign_files
from segbench.runs.rescore_case import CaseWork, Done, rescore_case
from segbench.runs.run_data import find_run_cases
from segbench.runs.run_folder import Run

OnCase = Callable[[str, int, int], None]  # name, how many are done, of how many
Identity = tuple[str, str, str]  # of a case: its name, and the sha256 of its files


@dataclass(frozen=True)
class RescoreResult:
    """What a call has done.

    Attributes
    ----------
    n_runs, n_cases : int
        The runs, and their cases: one that several runs have counts once.
    n_computed : int
        Values that were computed, one per label; the others were there already.
    refused : tuple of str
        Why values are missing, one line each.
    """

    n_runs: int
    n_cases: int
    n_computed: int
    refused: tuple[str, ...]


def silent(name: str, done: int, total: int) -> None:
    """Show no progress."""


def rescore_runs(  # noqa: PLR0913
    runs: Sequence[Run],
    metrics: Sequence[Metric],
    *,
    data: Path | None = None,
    references: Path | None = None,
    jobs: int = 1,
    on_case: OnCase = silent,
) -> RescoreResult:
    """Compute metrics of all predictions of some runs and store them in ``derived/`` of each.

    Parameters
    ----------
    runs : sequence of Run
        May have different data and protocols.
    metrics : sequence of Metric
        Values that are there already are not computed again.
    data, references : Path, optional
        Where the cases are now; by default as in ``run.json``.
    jobs : int
        How many cases are worked on at the same time, each in a process.
    on_case : function
        Told of each case that is done.

    Raises
    ------
    RunError
        If an argument is wrong, the data of a run are not there, or ``derived/`` has foreign files.
        A case that cannot be rescored is named in the result instead.
    """
    if jobs < 1:
        raise RunError(f"jobs: expected a number of at least 1, found {jobs}")
    for metric in metrics:
        if metric.file is not None:
            load_function(metric)
    for run in runs:
        refuse_foreign_files(run.folder)
    found = Done()
    works = _works(runs, tuple(metrics), found, data=data, references=references)
    for n_done, (work, done) in enumerate(each(rescore_case, works, jobs), 1):
        done = done or Done(refused=[_died(work)])
        found.n_computed += done.n_computed
        found.refused += done.refused
        on_case(work.name, n_done, len(works))
    cases = {_identity(result) for run in runs for result in _valid_cases(run)}
    return RescoreResult(len(runs), len(cases), found.n_computed, tuple(found.refused))


def _died(work: CaseWork) -> str:
    return (
        f"{work.name}: expected an answer of the process that rescores it, found that it was ended"
    )


def _valid_cases(run: Run) -> Iterator[CaseResult]:
    return (result for result in run.case_results if result.status != "invalid")


def _identity(result: CaseResult) -> Identity:
    return result.case, result.file_sha256, result.reference_sha256 or ""


def _works(
    runs: Sequence[Run],
    metrics: tuple[Metric, ...],
    found: Done,
    *,
    data: Path | None,
    references: Path | None,
) -> list[CaseWork]:
    """Return the cases of which values are missing, each once for all runs."""
    files: dict[Identity, CaseFile | None] = {}
    shared: defaultdict[Identity, list[CaseOfRun]] = defaultdict(list)
    for run in runs:
        pending = list(_pending(run, metrics, found))
        of_run = find_run_cases(run, data, references) if pending else {}
        for case in pending:
            identity = _identity(case.result)
            files[identity] = files.get(identity) or of_run.get(case.result.case)
            shared[identity].append(case)
    return [CaseWork(files[key], tuple(cases), metrics) for key, cases in sorted(shared.items())]


def _pending(run: Run, metrics: Sequence[Metric], found: Done) -> Iterator[CaseOfRun]:
    """Yield the cases of a run of which values are missing that can be computed."""
    for result in _valid_cases(run):
        case = CaseOfRun(run.folder, result, run.settings.nsd_gate)
        try:
            if not DerivedCase(case, metrics).is_complete:
                yield case
        except SegbenchError as error:
            found.refused.append(str(error))
