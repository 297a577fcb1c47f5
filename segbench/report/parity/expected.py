"""The numbers that the CSV should have, given the scores of the stored label maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from segbench.core import Settings, sum_in_order
from segbench.report.parity.metrics_table import MEASURES, STEPS, OfficialRow, column
from segbench.report.parity.stored_maps import FileScores, Pair
from segbench.results import area_under_clicks

LAST = STEPS[-1]
SUMMARIES = tuple(f"{measure}_{kind}" for measure in MEASURES for kind in ("AUC", "Final"))
SCORES = (*(column(measure, step) for measure in MEASURES for step in STEPS), *SUMMARIES)
Numbers = Mapping[str, float]  # by column


@dataclass(frozen=True)
class Curve:
    """The scores of the steps of one case, and the place of each step in ``all_segs``."""

    pairs: Mapping[int, Pair]  # by step; the last is that of segs
    places: Mapping[int, int]

    def numbers(self, row: OfficialRow) -> dict[str, float]:
        """Return the score columns; an AUC only if there are all its steps."""
        scores = {
            column(measure, step): pair.value(measure)
            for step, pair in self.pairs.items()
            for measure in MEASURES
        }
        if row.without_box and 0 not in self.pairs:
            scores |= {column(measure, 0): 0.0 for measure in MEASURES}
        return scores | dict(self._summaries())

    def _summaries(self) -> Iterator[tuple[str, float]]:
        for measure in MEASURES:
            values = [self.pairs[step].value(measure) for step in STEPS[1:] if step in self.pairs]
            if len(values) == LAST:
                yield f"{measure}_AUC", area_under_clicks(values)
            if LAST in self.pairs:
                yield f"{measure}_Final", self.pairs[LAST].value(measure)


def curve_of(scores: FileScores, row: OfficialRow) -> Curve:
    """Return the scores by step: as many maps as steps, or fewer if the script stopped before.

    Where the number of maps leaves it open which steps they are of, it is decided by the number of
    official scores that are reproduced.
    """
    first = 1 if row.without_box else 0
    places = list(_places(len(scores.maps), first)) or [{}]
    curves = [_curve(scores, each) for each in places]
    return max(curves, key=lambda curve: _n_matching(curve, row))


def _curve(scores: FileScores, places: Mapping[int, int]) -> Curve:
    pairs = {step: scores.maps[place] for step, place in places.items()}
    return Curve(pairs | {LAST: scores.final}, places)


def _places(n_maps: int, first: int) -> Iterator[dict[int, int]]:
    """Yield the steps that ``all_segs`` may have, and their places in it; the likeliest first.

    Older scripts store the previous segmentation before each click step, too: 11 maps with a box
    and 10 without.
    """
    for start in (first, 1 - first):
        steps = STEPS[start:]
        if n_maps == len(steps):
            yield {step: place for place, step in enumerate(steps)}
        if n_maps == 2 * LAST + 1 - start:
            yield {step: 2 * step - start for step in steps}
    if n_maps < len(STEPS) - first:
        yield {step: place for place, step in enumerate(STEPS[first : first + n_maps])}


def _n_matching(curve: Curve, row: OfficialRow) -> int:
    numbers = curve.numbers(row)
    return sum(row.matches(name, number) for name, number in numbers.items())


def expected_numbers(
    curve: Curve, row: OfficialRow, labels: Sequence[int], *, has_boxes: bool
) -> dict[str, float]:
    """Return all numbers that can be computed; those of steps that are not stored cannot.

    An AUC without its steps, the total time and the limit are computed from the row itself.
    """
    numbers = own_summaries(row) | curve.numbers(row)
    numbers["num_class"] = float(len(labels))
    if not has_boxes:
        numbers["RunningTime_1"] = 0.0
        if 0 not in curve.pairs:
            numbers |= {column(measure, 0): 0.0 for measure in MEASURES}
    return {name: number for name, number in numbers.items() if name in row.numbers}


def own_summaries(row: OfficialRow) -> dict[str, float]:
    """Return the columns of a row that follow from its others, as the script computes them."""
    numbers = {}
    for measure in MEASURES:
        names = [column(measure, step) for step in STEPS[1:]]
        if all(name in row.numbers for name in names):
            numbers[f"{measure}_AUC"] = area_under_clicks([row.value(name) for name in names])
            numbers[f"{measure}_Final"] = row.value(names[-1])
    times = [column("RunningTime", step) for step in STEPS]
    if row.has(*times):
        numbers["TotalRunningTime"] = sum_in_order(map(row.value, times))
    if row.has("num_class"):
        numbers["runtime_upperbound"] = Settings().seconds_per_label * row.value("num_class")
    return numbers
