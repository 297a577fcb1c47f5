"""Further metrics of finished runs, from their predictions and the data, without any model.

A case is read once for all runs that have it. What was computed is written when a case is done or
interrupted, and every few seconds, so that the same call goes on where it was.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segbench.data.dataset import CaseFile, read_reference_and_spacing
from segbench.data.pool import each
from segbench.errors import RunError, SegbenchError
from segbench.further_metrics.metric import Metric
from segbench.further_metrics.own_function import load_function
from segbench.further_metrics.prepared_case import ComparedStep, PreparedCase
from segbench.results import CaseResult
from segbench.runs.case_locks import StillMine, case_lock
from segbench.runs.derived_case import CaseOfRun, DerivedCase, MissingValue
from segbench.runs.derived_json import refuse_foreign_files, shown_predictions
from segbench.runs.prediction_store import segmentation_sha256
from segbench.runs.run_data import find_run_cases, same_file, stored_label_maps
from segbench.runs.run_folder import Run

WRITE_SECONDS = 2.0  # of work, the most that is lost when the process is killed
OnCase = Callable[[str, int, int], None]  # name, how many are done, of how many
Values = tuple[float, ...]  # one per label
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


@dataclass(frozen=True)
class CaseWork:
    """A case, the runs that lack values of it, and the metrics."""

    file: CaseFile | None
    runs: tuple[CaseOfRun, ...]
    metrics: tuple[Metric, ...]

    @property
    def name(self) -> str:
        """The case's name."""
        return self.runs[0].result.case


@dataclass
class Done:
    """How many values were computed, and why others were not."""

    n_computed: int = 0
    refused: list[str] = field(default_factory=list)


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


def rescore_case(work: CaseWork) -> Done:
    """Compute what is missing of a case, in all runs that have it."""
    done = Done()
    first = work.runs[0]
    try:
        file = same_file(work.file, first.result, first.folder)
        calculator = _Calculator(PreparedCase(*read_reference_and_spacing(file)), done)
    except SegbenchError as error:
        return Done(refused=[str(error)])
    for case in work.runs:
        try:
            _rescore_case_of_run(case, work.metrics, calculator)
        except SegbenchError as error:
            done.refused.append(str(error))
    return done


def _rescore_case_of_run(
    case: CaseOfRun, metrics: Sequence[Metric], calculator: _Calculator
) -> None:
    folder, name = case.folder / "derived", case.result.case
    folder.mkdir(exist_ok=True)
    with case_lock(folder, name) as still_mine:
        if still_mine is None:
            raise RunError(
                f"{folder}: expected nobody else to rescore case {name}, found another process "
                "that does; call segbench rescore again later"
            )
        derived = DerivedCase(case, metrics)  # another process may have written it meanwhile
        written = time.monotonic()
        try:
            calculator.add_to(derived, derived.missing_of_reference(), None)
            for missing, compared in _compared_steps(case, derived, calculator):
                calculator.add_to(derived, missing, compared)
                if time.monotonic() - written > WRITE_SECONDS:
                    _write(derived, case, still_mine)
                    written = time.monotonic()
        finally:  # also when interrupted
            _write(derived, case, still_mine)


def _compared_steps(
    case: CaseOfRun, derived: DerivedCase, calculator: _Calculator
) -> Iterator[tuple[list[MissingValue], ComparedStep]]:
    """Yield what is missing of each step, and its prediction next to the reference.

    Raises
    ------
    RunError
        If a stored prediction is not that of the run.
    """
    if not derived.lacks_predictions:
        return
    expected = {step.step: sha256 for step, sha256 in shown_predictions(case.result)}
    for step, label_map in stored_label_maps(case.prediction_file, case.result):
        missing = derived.missing_of(step, expected[step.step])
        if not missing:
            continue
        compared = calculator.case.compare(label_map)
        if segmentation_sha256(compared.pairs) != expected[step.step]:
            raise RunError(
                f"{case.prediction_file}: expected the prediction of the run in step {step.step}, "
                "found another one; run the case again"
            )
        yield missing, compared


def _write(derived: DerivedCase, case: CaseOfRun, still_mine: StillMine) -> None:
    if derived.has_changed and not still_mine():
        raise RunError(
            f"{case.folder}: expected nobody else to rescore case {case.result.case}, found that "
            "another process has taken over; call segbench rescore again later"
        )
    if derived.has_changed:
        derived.write()


@dataclass(frozen=True, eq=False)
class _Calculator:
    """Computes values of one case; equal predictions of several runs and steps count once."""

    case: PreparedCase
    done: Done
    known: dict[tuple[str, str, str], Values] = field(default_factory=dict)

    def add_to(
        self, derived: DerivedCase, missing: Sequence[MissingValue], compared: ComparedStep | None
    ) -> None:
        """Compute values and keep them in a case of a run; note those that cannot be computed."""
        for each_missing in missing:
            try:
                values = self._values(each_missing, derived.gate, compared)
            except RunError as error:
                self.done.refused.append(f"{derived.name}: {error}")
                continue
            derived.add(each_missing, values)
            self.done.n_computed += len(values)

    def _values(self, missing: MissingValue, gate: float, compared: ComparedStep | None) -> Values:
        what = missing.metric.name, missing.definition, missing.key
        if what not in self.known:
            self.known[what] = (
                self.case.reference_values(missing.metric)
                if compared is None
                else compared.values(missing.metric, clicks=missing.clicks, gate=gate)
            )
        return self.known[what]
