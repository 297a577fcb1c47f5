"""The scores of several methods as one array, in which a row is the same case for all methods."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segbench.errors import RunError
from segbench.report.clusters import one_row_per_case, patient_ids
from segbench.report.comparison import KEY
from segbench.report.frames import MEASURES


@dataclass(frozen=True)
class CaseScores:
    """Scores by case, method and measure; all are NaN if a method does not have the case."""

    methods: tuple[str, ...]
    measures: tuple[str, ...]
    values: NDArray[np.float64]  # (cases, methods, measures)
    patients: NDArray[np.str_]  # (cases,)
    modalities: NDArray[np.str_]  # (cases,)

    @property
    def n_cases(self) -> int:
        """The number of cases that at least one method has."""
        return len(self.values)

    @property
    def n_patients(self) -> int:
        """The number of patients of these cases."""
        return len(np.unique(self.patients))

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which method has which case, shape (cases, methods)."""
        return np.asarray(~np.isnan(self.values).any(axis=2), dtype=np.bool_)

    def select(self, cases: NDArray[np.bool_]) -> CaseScores:
        """Return the scores of some of the cases."""
        return replace(
            self,
            values=self.values[cases],
            patients=self.patients[cases],
            modalities=self.modalities[cases],
        )

    def common(self) -> CaseScores:
        """Return the scores of the cases that every method has."""
        return self.select(np.asarray(self.present.all(axis=1), dtype=np.bool_))


def case_scores(
    cases: pd.DataFrame,
    measures: Collection[str] = MEASURES,
    *,
    patient_pattern: str | None = None,
    methods: Sequence[str] | None = None,
) -> CaseScores:
    """Return the scores of a frame ``cases`` as an array.

    A row with NaN in any measure is a case that its method does not have. Cases are sorted by
    name, so that the order of rows changes nothing.

    Parameters
    ----------
    methods : the methods and their order; by default those of the frame as they appear

    Raises
    ------
    RunError
        If a method has two rows of one case.
    """
    columns = _columns(cases, measures, patient_pattern)
    return _scores_of(columns, np.arange(len(cases)), methods)


def case_scores_by(
    cases: pd.DataFrame,
    by: Sequence[str],
    measures: Collection[str] = MEASURES,
    *,
    patient_pattern: str | None = None,
    methods: Sequence[str] | None = None,
) -> Iterator[tuple[dict[str, Any], CaseScores]]:
    """Yield the values of the columns ``by``, sorted, and the scores of the cases that have them.

    The same as `case_scores` of every group, but quick for many groups.
    """
    columns = _columns(cases, measures, patient_pattern)
    for keys, rows in _groups(cases, by):
        yield keys, _scores_of(columns, rows, methods)


def ranked_only(cases: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of methods that are ranked: not those that see the reference."""
    return cases[cases["ranked"].astype(bool)]


class _Columns(NamedTuple):
    """What `_scores_of` needs of a frame: arrays over its rows, then three over the cases."""

    measures: tuple[str, ...]
    values: NDArray[np.float64]
    method: NDArray[np.object_]
    case: NDArray[np.intp]  # by the order of their names
    names: NDArray[np.object_]
    patients: NDArray[np.str_]
    modalities: NDArray[np.str_]


def _columns(
    cases: pd.DataFrame, measures: Collection[str], patient_pattern: str | None
) -> _Columns:
    number = cases.groupby(KEY, dropna=False).ngroup().to_numpy().astype(np.intp)
    one = one_row_per_case(cases)
    return _Columns(
        measures=tuple(measures),
        values=cases[list(measures)].to_numpy(dtype=np.float64),
        method=cases["method"].to_numpy(dtype=object),
        case=number,
        names=one["case"].to_numpy(dtype=object),
        patients=patient_ids(one, patient_pattern).to_numpy(dtype=np.str_),
        modalities=one["modality"].to_numpy(dtype=np.str_),
    )


def _groups(
    cases: pd.DataFrame, by: Sequence[str]
) -> Iterator[tuple[dict[str, Any], NDArray[np.intp]]]:
    """Yield the values of the columns ``by`` and the numbers of the rows that have them."""
    if not by:
        yield {}, np.arange(len(cases))
        return
    group = cases.groupby(list(by), dropna=False).ngroup().to_numpy()
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    keys = cases[list(by)].iloc[order[starts]].to_dict("records")
    for values, rows in zip(keys, np.split(order, starts[1:]), strict=False):
        yield {str(name): value for name, value in values.items()}, rows


def _scores_of(
    columns: _Columns, rows: NDArray[np.intp], methods: Sequence[str] | None
) -> CaseScores:
    methods = tuple(pd.unique(columns.method[rows]) if methods is None else methods)
    place = {name: number for number, name in enumerate(methods)}
    method = np.array([place.get(name, -1) for name in columns.method[rows]], dtype=np.intp)
    known = (method >= 0) & ~np.isnan(columns.values[rows]).any(axis=1)
    rows, method = rows[known], method[known]
    cases, number = np.unique(columns.case[rows], return_inverse=True)
    values = np.full((len(cases), len(methods), len(columns.measures)), np.nan)
    values[number, method] = columns.values[rows]
    pairs, counts = np.unique(np.column_stack([method, cases[number]]), axis=0, return_counts=True)
    if counts.max(initial=1) > 1:
        first, case = pairs[counts.argmax()]
        name = columns.names[case]
        raise RunError(f"{methods[first]}: expected one row for the case {name}, found more")
    return CaseScores(
        methods, columns.measures, values, columns.patients[cases], columns.modalities[cases]
    )
