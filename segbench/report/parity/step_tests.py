"""Tests of causes that concern single steps; each returns the columns that it explains."""

from __future__ import annotations

from segbench.report.parity.causes import CAST, STALE, Explanation
from segbench.report.parity.expected import LAST, Numbers
from segbench.report.parity.metrics_table import MEASURES, column
from segbench.report.parity.row_facts import (
    Explained,
    RowFacts,
    differing_steps,
    is_telling,
    names_of,
    row_has,
)


def stale_step(facts: RowFacts, left: Numbers) -> Explained:
    """Return the steps whose official scores are those of another step's label map."""
    explained: Explained = {}
    for step, names in differing_steps(left):
        others = {other: pair for other, pair in facts.curve.pairs.items() if other != step}
        for other, pair in sorted(others.items(), reverse=True):
            if row_has(facts.row, step, pair):
                what = (
                    f"{_both(step)} are the scores of the label map of step {other + 1}, "
                    f"not of step {step + 1}"
                )
                explained |= dict.fromkeys(names, Explanation(STALE, what))
                break
    return explained


def stale_file(facts: RowFacts, left: Numbers) -> Explained:
    """Return the last scores if ``segs`` is the label map of an earlier step, left there."""
    names = names_of(LAST, left)
    scores = facts.rescored.scores
    if not names or scores is None:
        return {}
    final = scores.final
    for step in range(LAST - 1, -1, -1):
        place = facts.curve.places.get(step)
        same_map = place is None or scores.digests[place] == scores.final_digest
        if same_map and row_has(facts.row, step, final):
            what = f"segs is the label map of step {step + 1}: its scores are {_both(step)}"
            return dict.fromkeys(names, Explanation(STALE, what))
    return {}


def earlier_run(facts: RowFacts, left: Numbers) -> Explained:
    """Return the steps whose file, or row, has the scores of an earlier run."""
    explained: Explained = {}
    for step, names in differing_steps(left):
        pair = facts.curve.pairs.get(step)
        both = [column(measure, step) for measure in MEASURES]
        for run, row in facts.earlier:
            is_row = all(facts.row.matches(name, row.value(name)) for name in both)
            if pair is not None and row_has(row, step, pair):
                what = f"the file has the label map of the run {run}: its row has these scores"
            elif is_row and any(is_telling(row.value(name)) for name in both):
                what = f"the row has the scores of the run {run}"
            else:
                continue
            explained |= dict.fromkeys(names, Explanation(STALE, what))
            break
    return explained


def last_map(facts: RowFacts, left: Numbers) -> Explained:
    """Return the last scores if ``segs`` cast to 8 bits has the official ones."""
    names, scores = names_of(LAST, left), facts.rescored.scores
    if not names or scores is None or scores.final_cast is None:
        return {}
    if not row_has(facts.row, LAST, scores.final_cast, telling=False):
        return {}
    what = "the official scores are those of segs cast to 8 bits"
    return dict.fromkeys(names, Explanation(CAST, what))


def _both(step: int) -> str:
    return " and ".join(column(measure, step) for measure in MEASURES)
