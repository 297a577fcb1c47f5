"""A comparison of two runs as text for a terminal; A is the baseline, B the other run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isnan
from typing import Any

import pandas as pd

from segbench.messages import are, counted
from segbench.report.compare import LossCheck, RunComparison
from segbench.report.frames import MEASURES
from segbench.report.modalities import TABLE_3_STYLE
from segbench.report.tables.by_box import BOX_TEXT
from segbench.report.tables.table import ABSENT
from segbench.text_table import shortened, text_table, wrapped

CASE_WIDTH = 50
DATASET_WIDTH = 14


def comparison_text(
    comparison: RunComparison, checks: Sequence[LossCheck] = (), *, n_movers: int = 5
) -> str:
    """Return the tables of a comparison, what they mean, and the checks at the end."""
    sections = [
        _heading(comparison),
        _measures(comparison),
        _equivalence(comparison),
        _by_box(comparison),
        *(_movers(comparison, n_movers) if n_movers else ()),
        "Notes\n\n" + wrapped((*_definitions(comparison), *comparison.notes), bullet="- "),
        wrapped(_check_lines(checks, comparison)),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _check_lines(checks: Sequence[LossCheck], comparison: RunComparison) -> Iterator[str]:
    for check in checks:
        yield check_sentence(check, comparison)
    n_left_out = comparison.measures["n_left_out"].iloc[0]
    if checks and n_left_out:
        cases = f"{counted(n_left_out, 'case')} {are(n_left_out)}"
        yield f"{cases} not in these means: scored in one run only."


def check_sentence(check: LossCheck, comparison: RunComparison) -> str:
    """Return whether a check failed, its numbers, and whether the interval agrees."""
    limit = f"{0 - check.allowed:g}"
    verdict = f"below {limit}" if check.failed else f"not below {limit}"
    other = f"not below {limit}" if check.failed else f"below {limit}"
    interval = (
        f"The {100 * comparison.resampling.confidence:g} % interval "
        f"{_interval(check.low, check.high)}"
    )
    agreement = {
        None: "There is no interval.",
        True: f"{interval} agrees: all of it is {verdict}.",
        False: f"{interval} does not agree: a part of it is {other}.",
    }[check.interval_agrees]
    return (
        f"{'FAIL' if check.failed else 'pass'} {check.measure}: B - A is {check.difference:+.4f}, "
        f"{verdict}. {agreement}"
    )


def _heading(comparison: RunComparison) -> str:
    first = comparison.measures.iloc[0]
    cases = counted(first["n_cases"], "common case")
    patients = counted(first["n_patients"], "patient")
    means = f"Means over {cases} of {patients}. A positive difference means that B is better."
    return f"A  {comparison.baseline}  (baseline)\nB  {comparison.method}\n\n{wrapped([means])}"


def _measures(comparison: RunComparison) -> str:
    interval = f"{100 * comparison.resampling.confidence:g} % interval"
    header = ["Measure", "A", "B", "B - A", interval, "W/T/L", "Effect", "p", "Holm p", "P(false)"]
    rows = [
        [
            MEASURES[row["measure"]],
            f"{row['mean_b']:.4f}",
            f"{row['mean_a']:.4f}",
            f"{row['difference']:+.4f}",
            _interval(row["low"], row["high"]),
            f"{row['wins']}/{row['ties']}/{row['losses']}",
            f"{row['effect']:+.2f}",
            *map(_probability, (row["p"], row["p_holm"], row["false_claim"])),
        ]
        for row in _records(comparison.measures)
    ]
    return text_table([header, *rows], right=range(1, len(header)), rule=True)


def _equivalence(comparison: RunComparison) -> str:
    frame = comparison.measures[comparison.measures["margin"].notna()]
    if frame.empty:
        return ""
    percent = 100 * max(0.0, 1 - 2 * comparison.resampling.alpha)
    header = ["Measure", "Margin", f"{percent:.3g} % interval", "Equivalent"]
    answers = {True: "yes", False: "not shown", None: "no interval"}
    rows = [
        [
            MEASURES[row["measure"]],
            f"{row['margin']:g}",
            _interval(row["margin_low"], row["margin_high"], digits=4),
            answers[row["equivalent"]],
        ]
        for row in _records(frame)
    ]
    return "Equivalence: is the interval inside the margin?\n\n" + text_table(
        [header, *rows], right=(1, 2), rule=True
    )


def _by_box(comparison: RunComparison) -> str:
    header = ["Modality", "Box", "n", *MEASURES.values()]
    rows = [
        [
            TABLE_3_STYLE.display_name(row["modality"]),
            "" if pd.isna(row["has_boxes"]) else BOX_TEXT[bool(row["has_boxes"])].lower(),
            str(row["n"]),
            *(f"{row[measure]:+.4f}" for measure in MEASURES),
        ]
        for row in _records(comparison.by_box)
    ]
    table = text_table([header, *rows], right=range(2, len(header)), rule=True)
    return f"Mean of B - A by modality and box\n\n{table}"


def _movers(comparison: RunComparison, n_movers: int) -> Iterator[str]:
    labels = comparison.by_label
    gains, losses = labels[labels["difference"] > 0], labels[labels["difference"] < 0]
    n_equal = len(labels) - len(gains) - len(losses)
    title = f"of {MEASURES[comparison.label_measure]} by case and label"
    counts = (
        f"of {counted(len(labels), 'label')}: gains {len(gains)}, losses {len(losses)}, "
        f"equal {n_equal}"
    )
    yield (
        wrapped([f"Largest gains {title} ({counts})"]) + "\n\n" + _mover_table(gains.head(n_movers))
    )
    yield wrapped([f"Largest losses {title}"]) + "\n\n" + _mover_table(losses[::-1].head(n_movers))


def _mover_table(labels: pd.DataFrame) -> str:
    if labels.empty:
        return "none"
    header = ["Case", "Dataset", "Label", "A", "B", "B - A"]
    rows = [
        [
            shortened(row["case"], CASE_WIDTH),
            shortened(row["dataset"], DATASET_WIDTH) or ABSENT,
            str(row["label"]),
            *(f"{row['baseline']:.4f}", f"{row['run']:.4f}", f"{row['difference']:+.4f}"),
        ]
        for row in _records(labels)
    ]
    return text_table([header, *rows], right=range(2, len(header)), rule=True)


def _definitions(comparison: RunComparison) -> Iterable[str]:
    frame, draws = comparison.measures, comparison.resampling.draws
    exact = "all permutations" if frame["exact"].all() else f"{draws:,} random permutations"
    smallest = ", ".join(dict.fromkeys(map(_probability, frame["p_min"])))
    yield (
        "W/T/L: cases that B wins, ties and loses; effect: matched-pairs rank-biserial "
        "correlation, 1 if B is better in every case, -1 if A is."
    )
    yield (
        f"p: whole patients swapped between A and B, {exact}; the smallest possible p is "
        f"{smallest}. Holm p: corrected for the {len(frame)} measures. P(false): the probability "
        "that the run with the larger mean is not truly better."
    )
    yield f"Intervals: bootstrap over patients, {draws:,} draws, seed {comparison.resampling.seed}."
    if frame["margin"].notna().any():
        yield '"Not shown" is no evidence of a difference: there may be too few patients.'


def _interval(low: float, high: float, *, digits: int = 3) -> str:
    return ABSENT if isnan(low) else f"[{low:+.{digits}f}, {high:+.{digits}f}]"


def _probability(value: float) -> str:
    if isnan(value):
        return ABSENT
    return "<0.0001" if value < 0.00005 else f"{value:.4f}"


def _records(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    return frame.to_dict("records")
