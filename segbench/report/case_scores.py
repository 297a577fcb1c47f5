"""The scores of several methods as one array, in which a row is the same case for all methods."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segbench.errors import RunError
from segbench.report.clusters import patient_ids
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
    methods = tuple(pd.unique(cases["method"]) if methods is None else methods)
    rows = cases[cases[list(measures)].notna().all(axis=1) & cases["method"].isin(methods)]
    _require_one_row_per_case(rows)
    number = rows.groupby(KEY, dropna=False).ngroup().to_numpy()
    values = np.full((number.max(initial=-1) + 1, len(methods), len(measures)), np.nan)
    values[number, [methods.index(name) for name in rows["method"]]] = rows[
        list(measures)
    ].to_numpy()
    # the patient may be stated in one run only
    stated = rows.assign(_number=number).sort_values("patient", ascending=False, kind="stable")
    one = stated.drop_duplicates("_number").sort_values("_number")
    patients = patient_ids(one, patient_pattern).to_numpy(dtype=np.str_)
    modalities = one["modality"].to_numpy(dtype=np.str_)
    return CaseScores(methods, tuple(measures), values, patients, modalities)


def ranked_only(cases: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of methods that are ranked: not those that see the reference."""
    return cases[cases["ranked"].astype(bool)]


def grouped(
    cases: pd.DataFrame, by: Sequence[str]
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield the values of the columns ``by`` and the rows that have them, sorted by the values."""
    if not by:
        yield {}, cases
        return
    for values, rows in cases.groupby(list(by), dropna=False):
        yield dict(zip(by, values, strict=True)), rows


def _require_one_row_per_case(rows: pd.DataFrame) -> None:
    twice = rows[rows.duplicated(["method", *KEY])]
    if len(twice):
        method, case = twice.iloc[0][["method", "case"]]
        raise RunError(f"{method}: expected one row for the case {case}, found more")
