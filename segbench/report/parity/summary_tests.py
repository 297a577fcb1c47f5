"""Tests of the columns that the script computes from others: AUC, final, times, limit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from segbench.core import sum_in_order
from segbench.report.parity.causes import (
    BOX,
    FORMULA,
    ROUNDING,
    SWAPPED,
    TIME,
    UNEXPLAINED,
    Difference,
    Explanation,
)
from segbench.report.parity.expected import LAST, SCORES, Numbers, own_summaries
from segbench.report.parity.metrics_table import STEPS, OfficialRow, column
from segbench.report.parity.row_facts import Explained, RowFacts, is_telling, names_of, row_has

TIMES = tuple(column("RunningTime", step) for step in STEPS)


def summaries(facts: RowFacts, left: Numbers) -> Explained:
    """Return AUC and final where another formula computes them from the steps of the row."""
    explained: Explained = {}
    own = own_summaries(facts.row)
    for name in left:
        if name not in own or not facts.row.matches(name, own[name]):
            found = _formula(facts.row, name)
            explained |= {name: Explanation(FORMULA, found)} if found else {}
    return explained


def _formula(row: OfficialRow, name: str) -> str:
    """Return which other formula gives an AUC or a total from the steps of the row."""
    measure, _, kind = name.partition("_")
    if kind == "AUC":
        values = [row.value(column(measure, step)) for step in STEPS]
        pairs = zip(values[:-1], values[1:], strict=True)
        tried = {
            "the area over all six steps": sum((a + b) / 2 for a, b in pairs),
            "the area divided by 4": own_summaries(row).get(name, math.nan) / 4,
            "the mean of the five clicks": sum(values[1:]) / 5,
        }
    elif kind == "Final":
        tried = {
            f"the value of step {step + 1}": row.value(column(measure, step)) for step in STEPS
        }
    else:
        return ""
    return next(
        (what for what, value in tried.items() if is_telling(value) and row.matches(name, value)),
        "",
    )


def unexplained_hint(facts: RowFacts, name: str) -> Explanation:
    """Return what is known of a number that no cause explains."""
    scores, what = facts.rescored.scores, "no cause reproduces it"
    own = own_summaries(facts.row)
    wide = [label for label in facts.rescored.labels if label > 255]
    if name in own and name.endswith(("AUC", "Final")) and facts.row.matches(name, own[name]):
        what = "it follows from the steps of the row"
    elif name in names_of(LAST, {name: 0.0}) and scores is not None and scores.maps:
        if row_has(facts.row, LAST, scores.maps[-1], telling=False):
            what = "all_segs has a last label map with these scores, segs is another"
    elif wide and name in SCORES:
        what = f"all_segs has 8 bits and cannot tell {wide[0]} from {wide[0] % 256}"
    return Explanation(UNEXPLAINED, what)


def box(facts: RowFacts, left: Numbers) -> Explained:
    """Return the box step if either the official run or the data have a box, not both."""
    names = [name for name in left if name in (TIMES[0], column("DSC", 0), column("NSD", 0))]
    if not names:
        return {}
    stored = facts.curve.pairs.get(0)
    if facts.rescored.has_boxes and facts.row.without_box:
        what = "the data have a box, the row is that of a run without one: three zeros for step 1"
    elif (
        not facts.rescored.has_boxes
        and stored is not None
        and row_has(facts.row, 0, stored, telling=False)
    ):
        what = "the data have no box, the file has a label map of the box step with these scores"
    else:
        return {}
    return dict.fromkeys(names, Explanation(BOX, what))


def times(facts: RowFacts, left: Numbers) -> Explained:
    """Return the times that contradict each other, or are shifted by a step."""
    row, explained = facts.row, {}
    if "TotalRunningTime" in left:
        explained["TotalRunningTime"] = _total(row, left["TotalRunningTime"])
    if "runtime_upperbound" in left and row.value("num_class") > 0:
        limit = row.value("runtime_upperbound") / row.value("num_class")
        if limit.is_integer():
            what = f"a limit of {limit:g} s per label, not of 90 s"
            explained["runtime_upperbound"] = Explanation(TIME, what)
    if TIMES[0] in left and row.value(TIMES[0]) > 0 == row.value(TIMES[-1]):
        what = f"{TIMES[0]} is above 0 without a box step and {TIMES[-1]} is 0: shifted by one step"
        explained[TIMES[0]] = Explanation(TIME, what)
    return explained


def _total(row: OfficialRow, total: float) -> Explanation:
    """Return how the total of a row is computed, if another formula reproduces it."""
    official, decimals = row.value("TotalRunningTime"), row.numbers["TotalRunningTime"].decimals
    if decimals and abs(official - total) <= len(TIMES) * 10.0**-decimals <= 1e-2:
        return Explanation(ROUNDING, f"the sum of times that were rounded to {decimals} decimals")
    seconds = [row.value(name) for name in TIMES]
    tried = {
        "their mean": total / len(seconds),
        "their mean without a step that was not run": total / max(sum(s > 0 for s in seconds), 1),
        "their sum without the box step": sum_in_order(seconds[1:]),
        "their maximum": max(seconds),
    }
    for what, value in tried.items():
        if row.matches("TotalRunningTime", value):
            return Explanation(TIME, f"TotalRunningTime is not the sum of the times, but {what}")
    differs = f"TotalRunningTime is not the sum of the times: {official - total:+.6g} s"
    return Explanation(TIME, differs)


def steps_without_time(row: OfficialRow) -> Iterator[Difference]:
    """Yield the steps that have a score and took no time: the script writes 0 for no such step."""
    for step in STEPS:
        name = column("RunningTime", step)
        ran = step > 0 or not row.without_box
        if ran and name in row.numbers and row.value(name) == 0:
            what = "a step that was run has a time of 0 s"
            yield Difference(row.case, name, 0.0, None, TIME, what)


def inherited(row: OfficialRow, left: Numbers, explained: Mapping[str, Explanation]) -> Explained:
    """Return the cause of AUC and final where they follow from steps that are all explained.

    The times of a row of another case are also of that case.
    """
    own, found = own_summaries(row), {}
    swapped = next((each for each in explained.values() if each.cause == SWAPPED), None)
    for name in left:
        if swapped and name == TIMES[0] and name not in explained:
            found[name] = swapped
        measure, _, kind = name.partition("_")
        if name in explained or kind not in ("AUC", "Final") or not row.matches(name, own[name]):
            continue
        first = LAST if kind == "Final" else 1
        steps = [column(measure, step) for step in STEPS[first:]]
        causes = [explained.get(step) for step in steps if step in left]
        if causes and all(causes):
            found[name] = next(cause for cause in causes if cause)
    return found
