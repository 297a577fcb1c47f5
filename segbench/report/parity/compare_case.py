"""One case of an official folder: its row compared with its stored prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from segbench.report.parity import row_tests, step_tests, summary_tests
from segbench.report.parity.causes import (
    BOX,
    SWAPPED,
    UNEXPLAINED,
    UNREADABLE,
    Difference,
    Explanation,
)
from segbench.report.parity.expected import SCORES, Curve, Numbers, curve_of, expected_numbers
from segbench.report.parity.metrics_table import OfficialRow
from segbench.report.parity.rescored import Rescored, Variant
from segbench.report.parity.row_facts import Candidate, Explained, RowFacts, RowTest
from segbench.report.parity.stored_maps import FileScores

# the first that explains a column counts: what the files state comes before what is reproduced
TESTS: tuple[RowTest, ...] = (
    *(row_tests.rounding, row_tests.time_limit, step_tests.last_map),
    *(row_tests.whole_row, row_tests.fewer_labels),
    *(step_tests.stale_file, step_tests.stale_step, step_tests.earlier_run),
    *(summary_tests.box, summary_tests.times, summary_tests.summaries),
)


@dataclass(frozen=True)
class ComparedRow:
    """The numbers of one row: equal, different, or without a stored label map."""

    facts: RowFacts
    differences: tuple[Difference, ...]
    n_equal: int
    n_unchecked: int  # scores of steps whose label maps are not stored

    @property
    def unexplained_scores(self) -> set[str]:
        """The scores, and the number of labels, that are not explained yet."""
        names = {each.column for each in self.differences if each.cause == UNEXPLAINED}
        return names & {*SCORES, "num_class"}

    @property
    def nsd_alone(self) -> bool:
        """Whether NSD is not explained and DSC is equal."""
        return all(name.startswith("NSD") for name in self.unexplained_scores)


def row_facts(
    row: OfficialRow, rescored: Rescored, earlier: Sequence[tuple[str, OfficialRow]] = ()
) -> RowFacts:
    """Return the numbers of a row and those of its stored prediction."""
    assert rescored.scores is not None
    curve = curve_of(rescored.scores, row)
    expected = expected_numbers(curve, row, rescored.labels, has_boxes=rescored.has_boxes)
    return RowFacts(row, rescored, curve, expected, earlier=tuple(earlier))


def compare_row(facts: RowFacts, candidates: Sequence[Candidate] = ()) -> ComparedRow:
    """Compare a row with its stored prediction and explain what differs."""
    facts = replace(facts, candidates=tuple(candidates))
    differing = facts.differs()
    explained = _explain(facts, differing)
    differences = [_difference(facts, name, explained) for name in differing]
    differences += _stated(facts, {each.column for each in differences})
    scores = [name for name in SCORES if name in facts.row.numbers]
    n_unchecked = sum(name not in facts.expected for name in scores)
    n_equal = len(facts.expected) - len(differing)
    return ComparedRow(facts, tuple(differences), n_equal, n_unchecked)


def _explain(facts: RowFacts, differing: Numbers) -> Explained:
    """Return why columns differ; what no test explains is left out."""
    explained: Explained = {}
    for test in TESTS:
        left = {name: found for name, found in differing.items() if name not in explained}
        if left:
            explained |= test(facts, left)
    return explained | summary_tests.inherited(facts.row, differing, explained)


def _difference(facts: RowFacts, name: str, explained: Explained) -> Difference:
    why = explained.get(name) or summary_tests.unexplained_hint(facts, name)
    official = facts.row.value(name)
    return Difference(facts.row.case, name, official, facts.expected[name], why.cause, why.detail)


def _stated(facts: RowFacts, named: set[str]) -> Iterator[Difference]:
    """Yield what the row itself states to be different, without a number to compare."""
    row = facts.row
    if facts.rescored.has_boxes and row.without_box and "DSC_1" not in named:
        what = "the data have a box, the row is that of a run without one: three zeros for step 1"
        yield Difference(row.case, "RunningTime_1", row.value("RunningTime_1"), None, BOX, what)
    for found in summary_tests.steps_without_time(row):
        if found.column not in named:
            yield found


def candidates_of_variants(facts: RowFacts, variants: Sequence[Variant]) -> list[Candidate]:
    """Return the numbers of other ways of scoring, aligned with the steps of the row."""
    return [_candidate(facts.row, each.explanation, each.scores) for each in variants]


def _candidate(row: OfficialRow, explanation: Explanation, scores: FileScores) -> Candidate:
    numbers = curve_of(scores, row).numbers(row) | {"num_class": float(len(scores.labels))}
    return Candidate(explanation, numbers)


def candidates_of_rows(facts: RowFacts, others: Sequence[RowFacts]) -> list[Candidate]:
    """Return the numbers of the stored predictions of other cases: rows may be swapped."""
    found = []
    for other in others:
        numbers = {
            **other.curve.numbers(facts.row),
            "num_class": other.expected.get("num_class", 0),
        }
        mutual = _reproduces(facts.curve, other.row)
        whose = f"the row has the scores of {other.row.case}"
        what = f"{whose}, and its row those of {facts.row.case}" if mutual else whose
        found.append(Candidate(Explanation(SWAPPED, what), numbers))
    return found


def _reproduces(curve: Curve, row: OfficialRow) -> bool:
    numbers = curve.numbers(row)
    return all(row.matches(name, numbers[name]) for name in numbers if name in row.numbers)


def problem_row(row: OfficialRow, rescored: Rescored, variants: Sequence[Variant]) -> Difference:
    """Return the difference of a row whose file cannot be scored with the case's reference."""
    for variant in variants:
        candidate = _candidate(row, variant.explanation, variant.scores)
        facts = RowFacts(row, rescored, Curve({}, {}), candidate.numbers, (candidate,))
        if row_tests.whole_row(facts, dict.fromkeys(row.numbers.keys() & {*SCORES}, 0.0)):
            why = variant.explanation
            return Difference(row.case, "file", None, None, why.cause, why.detail)
    return Difference(row.case, "file", None, None, UNREADABLE, rescored.problem)
