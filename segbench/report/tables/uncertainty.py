"""Intervals and marks in frames of means, and the notes that explain them.

A leader is bold. Where no method leads, the best and all that cannot be told from it are
underlined (``leaders``). Where nothing can be said, neither is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan

import pandas as pd

from segbench.report.comparison import KEY, common_cases
from segbench.report.frames import MEASURES, Results
from segbench.report.leaders import fewest_patients, leaders
from segbench.report.resampling import Resampling
from segbench.report.statistics import mean_intervals, sample_notes, short_sample_note
from segbench.report.tables.means import BOLD, UNDERLINE
from segbench.report.tables.options import TableOptions


@dataclass(frozen=True)
class Split:
    """Rows of a frame of means: the columns by which they split the cases.

    ``totals`` has the entry in the column modality of rows that join all modalities, by average.
    Without it the rows are micro means of the cases of a modality.
    """

    by: tuple[str, ...] = ()
    totals: Mapping[str, str] = field(default_factory=dict)

    def shown(self, found: pd.DataFrame) -> pd.DataFrame:
        """Select the averages that the rows show from a frame with all averages."""
        if not self.totals:
            return found[found["average"] == "micro"]
        rows = found[found["average"].isin(list(self.totals))]
        return rows.assign(modality=rows["average"].map(self.totals))


def with_intervals(
    frame: pd.DataFrame,
    cases: pd.DataFrame,
    splits: Sequence[Split],
    resampling: Resampling | None,
    *,
    measures: Collection[str] = MEASURES,
) -> pd.DataFrame:
    """Add the columns ``MEASURE_low`` and ``MEASURE_high`` to a frame of means over ``cases``.

    The first split has all keys of the frame. Without a resampling, nothing is added.
    """
    if resampling is None:
        return frame
    found = _of_splits(
        splits,
        lambda by: mean_intervals(cases, measures=measures, by=by, resampling=resampling),
    )
    return _joined(frame, found, splits[0], ("low", "high"), measures)


def with_marks(
    frame: pd.DataFrame,
    cases: pd.DataFrame,
    splits: Sequence[Split],
    options: TableOptions,
    *,
    measures: Collection[str] = MEASURES,
) -> pd.DataFrame:
    """Add the columns ``MEASURE_mark`` to a frame of means over ``cases``: bold or underline."""
    if not options.significance or not _compared(cases):
        return frame
    found = _of_splits(
        splits,
        lambda by: leaders(cases, measures=measures, by=by, resampling=options.resampling),
    )
    leading = found.assign(method=found["best"], mark=BOLD)[found["leads"]]
    tied = found.assign(method=found["tied"], mark=UNDERLINE).explode("method")
    marks = pd.concat([leading, tied[tied["method"].notna()]])
    return _joined(frame, marks, splits[0], ("mark",), measures)


def with_case_facts(scores: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """Add what statistics need to know of a case to a frame of scores of cases."""
    facts = ("method", *KEY, "modality", "dataset", "patient", "ranked")
    return scores.merge(cases[list(facts)])


def uncertainty_notes(results: Results, options: TableOptions, *, marks: bool = True) -> list[str]:
    """Return what bold, underline and brackets mean, and who the patients are.

    ``marks`` is false for a table that has none.
    """
    cases = common_cases(results).cases
    notes = []
    if marks and options.significance and _compared(cases):
        notes.append(_mark_note(options.resampling))
    if options.intervals and len(cases):
        notes.append(
            f"In brackets: {_percent(options.resampling)} interval of the mean, by bootstrap over "
            "patients. Intervals of two means do not say whether the means differ."
        )
    return [*notes, short_sample_note(cases, options.resampling)] if notes else []


def page_notes(results: Results, options: TableOptions) -> tuple[str, ...]:
    """Return the notes on the sample that hold for all tables; none without any statistics."""
    cases = common_cases(results).cases
    if options.intervals or (options.significance and _compared(cases)):
        return sample_notes(cases, options.resampling)
    return ()


def _mark_note(resampling: Resampling) -> str:
    return (
        f"Bold: the best ranked run, if the {_percent(resampling)} interval of its difference to "
        "every other ranked run excludes 0. Underlined: otherwise, the best and all that cannot "
        f"be told from it. Neither below {fewest_patients(resampling)} patients, nor in a mean "
        "over modalities of which one has a single patient."
    )


def _percent(resampling: Resampling) -> str:
    return f"{100 * resampling.confidence:g} %"


def _compared(cases: pd.DataFrame) -> bool:
    return bool(cases.loc[cases["ranked"], "method"].nunique() > 1)


def _of_splits(
    splits: Sequence[Split], statistic: Callable[[tuple[str, ...]], pd.DataFrame]
) -> pd.DataFrame:
    return pd.concat([split.shown(statistic(split.by)) for split in splits])


def _joined(
    frame: pd.DataFrame,
    found: pd.DataFrame,
    split: Split,
    columns: Sequence[str],
    measures: Collection[str],
) -> pd.DataFrame:
    """Add the columns of ``found``, which has a row per measure, to the rows of ``frame``."""
    names = [f"{measure}_{column}" for measure in measures for column in columns]
    if found.empty:
        return frame.assign(**dict.fromkeys(names, nan))
    keys = [*split.by, "method"]
    wide = found.pivot(index=keys, columns="measure", values=list(columns))
    titles = zip(*map(wide.columns.get_level_values, (1, 0)), strict=True)
    wide.columns = pd.Index([f"{measure}_{column}" for measure, column in titles])
    return frame.merge(wide.reindex(columns=names).reset_index(), how="left", on=keys)
