"""The bootstrap over patients: how far means would move with other patients.

Patients are drawn with replacement in each stratum (``clusters.patient_strata``), with all their
cases. All resamples of a set of cases are one matrix product: weights of patients, shape (draws,
patients), times sums per patient and modality. A patient that is drawn m times has m times the
weight; its copies are never joined.

From a stratum of n patients n - 1 are drawn and weighted by n / (n - 1). Drawing n would
underestimate the variance by (n - 1) / n, which is half of it for two patients of a rare modality.

A mean is *micro* (over all cases) or *macro* (over modalities, of their means).

References
----------
Rao and Wu, J Am Stat Assoc 83:231 (1988): drawing n - 1 in stratified samples.
Field and Welsh, J R Stat Soc B 69:369 (2007): resampling clusters.
Christodoulou et al., arXiv 2409.17763: intervals in medical image segmentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import nan
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from segbench.errors import RunError
from segbench.report.clusters import patient_strata, patients_per_modality

Floats = NDArray[np.float64]
AVERAGES = ("micro", "macro")
_BLOCK = 4_000_000  # numbers in one block of weights: 32 MB


@dataclass(frozen=True)
class Resampling:
    """How uncertainty is computed: equal settings give equal numbers.

    Raises
    ------
    RunError
        If a value is out of its range or the pattern is no regular expression.
    """

    draws: int = 10_000
    """Bootstrap resamples, and random permutations of a test that cannot enumerate them all."""
    seed: int = 0
    confidence: float = 0.95
    """Of every interval; tests use the level 1 - confidence."""
    patient_pattern: str | None = None
    """Regular expression on the case's name that finds the patient, instead of the column."""

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise RunError(f"draws: expected a number above 0, found {self.draws}")
        if not 0 < self.confidence < 1:
            raise RunError(f"confidence: expected a number in (0, 1), found {self.confidence}")
        try:
            re.compile(self.patient_pattern or "")
        except re.error as error:
            raise RunError(
                f"patient_pattern: expected a regular expression, found {self.patient_pattern!r}: "
                f"{error}"
            ) from error

    @property
    def alpha(self) -> float:
        """The level of tests."""
        return 1 - self.confidence


def means(values: Floats, modalities: NDArray[np.str_]) -> dict[str, Floats]:
    """Return micro and macro means of each column, exactly summed.

    Parameters
    ----------
    values : float array, shape (cases, columns)
    modalities : str array, shape (cases,)
    """
    parts = [_column_means(values[modalities == name]) for name in np.unique(modalities)]
    return {"micro": _column_means(values), "macro": _column_means(np.array(parts))}


def bootstrap_means(
    values: Floats,
    patients: NDArray[np.str_],
    modalities: NDArray[np.str_],
    *,
    resampling: Resampling,
) -> dict[str, Floats]:
    """Return the micro and macro means of each column in every resample.

    Parameters
    ----------
    values : float array, shape (cases, columns), without NaN
    patients, modalities : str arrays, shape (cases,)

    Returns
    -------
    dict of float arrays, shape (draws, columns)
        ``micro`` is NaN if there are fewer than two patients, ``macro`` also if a modality has
        fewer than two: nothing is known about how such means vary. A resample without any case of
        a modality (possible only if its patients are in joined strata) has the mean over the rest.
    """
    _, patient = np.unique(patients, return_inverse=True)
    _, modality = np.unique(modalities, return_inverse=True)
    shape = resampling.draws, values.shape[1]
    if not len(values) or patient.max() == 0:
        return {average: np.full(shape, nan) for average in AVERAGES}
    sums = _patient_sums(values, patient, modality)
    strata = patient_strata(patient, modality)
    micro, stop = np.empty(shape), 0
    macro = micro if sums.shape[1] == 1 else np.empty(shape)  # of one modality they are the same
    for weights in _weight_blocks(strata, resampling):
        start, stop = stop, stop + len(weights)
        totals = np.tensordot(weights, sums, axes=1)
        micro[start:stop] = _micro(totals)
        if macro is not micro:
            macro[start:stop] = _macro(totals)
    if patients_per_modality(patient, modality).min() < 2:
        macro[:] = nan
    return {"micro": micro, "macro": macro}


def percentile_interval(draws: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Return the percentile interval of each column of ``draws``, shape (draws, columns)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return low, high


def percentile_intervals(
    draws: dict[str, Floats], confidence: float
) -> dict[str, tuple[Floats, Floats]]:
    """Return the percentile intervals of what `bootstrap_means` returns, by average."""
    micro = percentile_interval(draws["micro"], confidence)
    same = draws["macro"] is draws["micro"]
    return {
        "micro": micro,
        "macro": micro if same else percentile_interval(draws["macro"], confidence),
    }


def patient_weights(strata: NDArray[np.intp], n_draws: int, rng: np.random.Generator) -> Floats:
    """Return the weight of every patient in every resample, shape (n_draws, patients)."""
    weights = np.empty((n_draws, len(strata)))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        size = len(members)
        drawn = rng.integers(size, size=(n_draws, size - 1))
        drawn += size * np.arange(n_draws)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=n_draws * size)
        weights[:, members] = counts.reshape(n_draws, size) * (size / (size - 1))
    return weights


def _weight_blocks(strata: NDArray[np.intp], resampling: Resampling) -> Iterator[Floats]:
    block = max(1, _BLOCK // len(strata))
    if block >= resampling.draws:
        yield _all_weights(tuple(strata.tolist()), resampling.draws, resampling.seed)
        return
    rng = np.random.default_rng(resampling.seed)
    for start in range(0, resampling.draws, block):
        yield patient_weights(strata, min(block, resampling.draws - start), rng)


@lru_cache(maxsize=1)
def _all_weights(strata: tuple[int, ...], draws: int, seed: int) -> Floats:
    """Return the weights of one block, kept for a next group with the same patients."""
    weights = patient_weights(np.array(strata, dtype=np.intp), draws, np.random.default_rng(seed))
    weights.flags.writeable = False
    return weights


def _patient_sums(values: Floats, patient: NDArray[np.intp], modality: NDArray[np.intp]) -> Floats:
    """Return sums of columns and the number of cases, (patients, modalities, columns + 1)."""
    sums = np.zeros((patient.max() + 1, modality.max() + 1, values.shape[1] + 1))
    np.add.at(sums, (patient, modality), np.column_stack([values, np.ones(len(values))]))
    return sums


def _micro(totals: Floats) -> Floats:
    total = totals.sum(axis=1)
    averages: Floats = total[:, :-1] / total[:, -1:]
    return averages


def _macro(totals: Floats) -> Floats:
    n_cases = totals[:, :, -1:]
    drawn = n_cases > 0
    parts = np.divide(totals[:, :, :-1], n_cases, out=np.zeros_like(totals[:, :, :-1]), where=drawn)
    averages: Floats = parts.sum(axis=1) / drawn.sum(axis=1)
    return averages


def _column_means(values: Floats) -> Floats:
    return np.array([fmean(column) if len(column) else nan for column in values.T])
