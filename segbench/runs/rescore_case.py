"""Further metrics of one case, in all runs that have it: its reference is prepared once.

What was computed is written when a case is done or interrupted, and every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from segbench.data.dataset import CaseFile, read_reference_and_spacing
from segbench.errors import RunError, SegbenchError
from segbench.further_metrics.metric import Metric
from segbench.further_metrics.prepared_case import ComparedStep, PreparedCase
from segbench.runs.case_locks import StillMine, case_lock
from segbench.runs.derived_case import CaseOfRun, DerivedCase, MissingValue
from segbench.runs.derived_json import shown_predictions
from segbench.runs.prediction_store import segmentation_sha256
from segbench.runs.run_data import same_file, stored_label_maps

WRITE_SECONDS = 2.0  # of work, the most that is lost when the process is killed
Values = tuple[float, ...]  # one per label


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
