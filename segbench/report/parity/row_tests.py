"""Tests of causes that concern a row as a whole; each returns the columns that it explains."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np

from segbench.core import Settings
from segbench.report.parity.causes import REFERENCE, ROUNDING, TIME, Explanation
from segbench.report.parity.expected import SCORES, Curve, Numbers
from segbench.report.parity.row_facts import Candidate, Explained, RowFacts, is_telling
from segbench.report.parity.stored_maps import Pair

MOST_SUBSETS = 500  # of labels that the official reference may have had


def rounding(facts: RowFacts, left: Numbers) -> Explained:
    """Return the columns whose official number is the one found now, rounded."""
    explained: Explained = {}
    for name, found in left.items():
        number = facts.row.numbers[name]
        if number.is_rounded(found):
            what = "the last bits differ" if number.is_close(found) else "rounded as it is written"
            explained[name] = Explanation(ROUNDING, what)
    return explained


def whole_row(facts: RowFacts, left: Numbers) -> Explained:
    """Return what another way of scoring reproduces: two or more scores, or all of the row."""
    explained: Explained = {}
    for candidate in facts.candidates:
        if all(name in explained for name in left):
            break
        numbers = candidate.numbers
        matched = [name for name in left if name in numbers and _matches(facts, name, numbers)]
        telling = {numbers[name] for name in matched if name in SCORES}
        n_telling = len(set(filter(is_telling, telling)))
        if n_telling >= 2 or (n_telling == 1 and _matches_all(facts, numbers)):
            explained |= {name: candidate.explanation for name in matched if name not in explained}
    return explained


def _matches(facts: RowFacts, name: str, numbers: Numbers) -> bool:
    return facts.row.matches(name, numbers[name])


def _matches_all(facts: RowFacts, numbers: Numbers) -> bool:
    return all(
        _matches(facts, name, numbers)
        for name in SCORES
        if name in numbers and name in facts.row.numbers
    )


def fewer_labels(facts: RowFacts, left: Numbers) -> Explained:
    """Return what the scores of some labels reproduce: the official reference had only these."""
    n_labels, labels = facts.row.value("num_class"), facts.rescored.labels
    if "num_class" not in left or not 0 < n_labels < len(labels):
        return {}
    if math.comb(len(labels), int(n_labels)) > MOST_SUBSETS:
        return {}
    candidates = []
    for places in combinations(range(len(labels)), int(n_labels)):
        pairs = {step: _of_labels(pair, places) for step, pair in facts.curve.pairs.items()}
        numbers = Curve(pairs, facts.curve.places).numbers(facts.row) | {"num_class": n_labels}
        kept = ", ".join(str(labels[place]) for place in places)
        what = f"the official reference has no other labels than {kept}"
        candidates.append(Candidate(Explanation(REFERENCE, what), numbers))
    return whole_row(replace(facts, candidates=tuple(candidates)), left)


def _of_labels(pair: Pair, places: tuple[int, ...]) -> Pair:
    scores = tuple(pair.labels[place] for place in places)
    dsc = float(np.mean([score.dsc for score in scores]))
    nsd = float(np.mean([score.nsd for score in scores]))
    return Pair(dsc, nsd if dsc > Settings().nsd_gate else 0.0, scores)


def time_limit(facts: RowFacts, left: Numbers) -> Explained:
    """Return all scores if they are 0 and the total time is above the limit."""
    row = facts.row
    total, limit = row.value("TotalRunningTime"), row.value("runtime_upperbound")
    scores = [name for name in SCORES if name in row.numbers]
    if not total > limit or any(row.value(name) != 0 for name in scores):
        return {}
    what = f"all scores are 0 because {total:g} s are above the limit of {limit:g} s"
    return {name: Explanation(TIME, what) for name in left if name in SCORES}
