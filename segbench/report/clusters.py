"""Which cases are of one patient, and which patients are resampled together.

Scans of one patient resemble each other, so that the unit of all uncertainty is the patient. A
patient is what the data say: the column ``patient``, or a pattern on the case's name. Nothing is
guessed: a case without either counts as a patient of its own, and ``patients_note`` says so.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segbench.messages import counted
from segbench.report.comparison import KEY


def patient_ids(cases: pd.DataFrame, pattern: str | None = None) -> pd.Series[str]:
    """Return the patient of every row of a frame, as ``patient:NAME`` or ``case:NAME``.

    Parameters
    ----------
    cases : frame with the columns case, dataset, patient
    pattern : regular expression searched in the case's name instead of the column ``patient``;
        its first group is the patient, or the whole match if it has no group

    Returns
    -------
    Series of str, with the index of ``cases``
        Without a pattern, patients of two datasets are two patients even if their names are equal.
        ``case:NAME`` is a case whose patient is not stated.
    """
    stated = _stated_patients(cases, pattern)
    return stated.where(stated != "", "case:" + cases["case"].astype(str))


def patients_note(cases: pd.DataFrame, pattern: str | None = None) -> str:
    """Return one sentence on where the patients of a frame come from."""
    distinct = one_row_per_case(cases)
    ids = patient_ids(distinct, pattern)
    alone = int(ids.str.startswith("case:").sum())
    source = f"the pattern {pattern}" if pattern else "the column patient"
    if alone == len(distinct):
        reason = f"no case matches {source}" if pattern else "no patient is stated"
        each = "" if alone == 1 else "each "
        return f"{counted(alone, 'case')}, {each}counted as a patient of its own: {reason}."
    note = f"{counted(len(distinct), 'case')} of {counted(ids.nunique(), 'patient')}, by {source}."
    if alone:
        verb = "counts as a patient of its own" if alone == 1 else "count as patients of their own"
        note += f" {counted(alone, 'case')} without a patient {verb}."
    return note


def one_row_per_case(cases: pd.DataFrame) -> pd.DataFrame:
    """Return one row of each case, sorted by its key; its patient may be stated in one run only."""
    number = cases.groupby(KEY, dropna=False).ngroup()
    stated = cases.assign(_number=number).sort_values("patient", ascending=False, kind="stable")
    return stated.drop_duplicates("_number").sort_values("_number").drop(columns="_number")


def patient_strata(patients: NDArray[np.intp], modalities: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the stratum of every patient: patients with scans of the same set of modalities.

    A resample keeps the size of each stratum, and with it the number of patients of each modality.
    A stratum of one patient could not vary; such strata are joined to one, or, if there is only
    one of them, to the largest stratum.

    Parameters
    ----------
    patients, modalities : int arrays, shape (cases,); numbers from 0 without gaps

    Returns
    -------
    int array, shape (patients,)
    """
    scanned = np.zeros((patients.max() + 1, modalities.max() + 1), dtype=bool)
    scanned[patients, modalities] = True
    _, inverse, sizes = np.unique(scanned, axis=0, return_inverse=True, return_counts=True)
    strata = inverse.reshape(-1).astype(np.intp)
    alone = sizes[strata] == 1
    if alone.any():
        strata[alone] = strata[alone][0] if alone.sum() > 1 else sizes.argmax()
    return strata


def patients_per_modality(
    patients: NDArray[np.intp], modalities: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return the number of patients of each modality."""
    pairs = np.unique(np.column_stack([patients, modalities]), axis=0)
    return np.bincount(pairs[:, 1]).astype(np.intp)


def _stated_patients(cases: pd.DataFrame, pattern: str | None) -> pd.Series[str]:
    if pattern is not None:
        names = [_first_group(pattern, name) for name in cases["case"]]
        return pd.Series(names, index=cases.index, dtype=str)
    patient, dataset = (cases[name].fillna("").astype(str) for name in ("patient", "dataset"))
    return ("patient:" + dataset + "/" + patient).where(patient != "", "")


def _first_group(pattern: str, name: str) -> str:
    match = re.search(pattern, name)
    found = match and match.group(min(match.re.groups, 1))
    return f"patient:{found}" if found else ""
