"""Which cases the methods have in common: tables compare means over these only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from segbench.report.frames import Results

CaseKey = tuple[str, str, str]
KEY = ["case", "file_sha256", "reference_sha256"]  # equal in two runs: the same case


def common_cases(results: Results) -> Results:
    """Return the results of the cases that every compared method has scored.

    Compared are the ranked methods that have a scored case; if there are none, all methods that
    have one. The other methods keep those of their cases that are among the common ones.
    """
    cases = results.cases[results.cases["scored"]]
    numbers = cases[KEY].fillna("").groupby(KEY).ngroup()
    compared = cases["ranked"] if cases["ranked"].any() else cases["scored"]
    shared = _shared_by_all(numbers[compared], cases.loc[compared, "method"])
    cases = cases[numbers.isin(shared).to_numpy()]
    return replace(
        results,
        cases=cases,
        steps=_rows_of(cases, results.steps),
        prompts=_rows_of(cases, results.prompts),
        derived=_rows_of(cases, results.derived),
    )


def case_keys(cases: pd.DataFrame) -> list[CaseKey]:
    """Return what identifies the case of each row: its name and the content of its files."""
    return list(cases[KEY].fillna("").itertuples(index=False, name=None))


def _shared_by_all(numbers: pd.Series[int], methods: pd.Series[str]) -> list[int]:
    """Return the numbers of the cases that each of the methods has."""
    n_methods = methods.groupby(numbers).nunique()
    return n_methods.index[n_methods == methods.nunique()].tolist()


def _rows_of(cases: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    return rows.merge(cases[["method", "case"]])


def case_scores_by_step(results: Results) -> pd.DataFrame:
    """Return DSC, NSD and seconds of every case at every step, one row per method, case and step.

    The score of a case is the mean over its labels, as the protocol takes it.
    """
    steps = results.steps
    first = ~steps.duplicated(["method", "case", "step"])
    starts = np.flatnonzero(first)
    means = {
        name: [part.mean() for part in np.split(steps[name].to_numpy(), starts)[1:]]
        for name in ("dsc", "nsd")
    }
    return steps[first].drop(columns=["label"]).assign(**means)


def display_names(results: Results) -> Mapping[str, str]:
    """Return the name of each method that tables show, by its name."""
    methods = zip(results.methods["method"], results.methods["ranked"], strict=True)
    return {name: name if ranked else f"{name} (sees the reference)" for name, ranked in methods}
