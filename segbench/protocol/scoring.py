"""From label maps to scores: DSC and NSD of all labels of a case after one step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.core import LabelMap, Settings, Spacing, StepScore, mean_scores
from segbench.keywords import suggest_keywords
from segbench.protocol.mask_pairs import MaskPairs, PreparedReference, label_rois
from segbench.protocol.metrics import NsdSettings, packed_dice, surface_agreement
from segbench.protocol.validation import (
    checked_label_map,
    checked_spacing,
    require_same_shape,
)


def evaluated_labels(reference: LabelMap) -> tuple[int, ...]:
    """Return the labels that are scored: all values of the reference but the smallest, ascending.

    The smallest value is the background even if it is not 0, as in the official script: a reference
    without 0 loses its first label (PROTOCOL 1.1).
    """
    labels = tuple(label_rois(reference))
    return labels if reference.min() == 0 else labels[1:]


def score_pairs(pairs: MaskPairs, step: int, nsd: NsdSettings) -> tuple[StepScore, ...]:
    """Return the DSC and NSD of each label of one step, ascending by label.

    NSD is 0 for every label unless the mean DSC is above the gate (PROTOCOL 5, 6.1). Other values
    of the prediction only count as wrong voxels.

    Parameters
    ----------
    pairs : MaskPairs
        The prediction and the reference, see `PreparedReference.compare`.
    step : int
        Noted in the scores.
    nsd : NsdSettings
        Spacing, tolerance and gate.
    """
    scores = tuple(
        StepScore(step, label, packed_dice(predicted, pairs.expected[label]), 0.0)
        for label, predicted in pairs.predicted.items()
    )
    # "not above", so that the NaN of a case without labels is gated, too
    if not mean_scores(scores)[0] > nsd.gate:
        return scores
    return tuple(replace(score, nsd=_nsd(pairs, score.label, nsd)) for score in scores)


def _nsd(pairs: MaskPairs, label: int, nsd: NsdSettings) -> float:
    predicted, expected = pairs.predicted[label], pairs.expected[label]
    return surface_agreement(predicted.surface(), expected.kept_surface, nsd)


@suggest_keywords
def score(
    prediction: NDArray[Any],
    reference: NDArray[Any],
    spacing: Spacing,
    *,
    settings: Settings | None = None,
    exact_sum: bool = False,
) -> tuple[StepScore, ...]:
    """Score one label map by the protocol: DSC and NSD of every label of the reference.

    Parameters
    ----------
    prediction, reference : integer array, shape (z, y, x)
        0 is background.
    spacing : tuple of float
        Voxel size in mm, (z, y, x).
    settings : Settings, optional
        Another tolerance or gate than the protocol's.
    exact_sum : bool
        NSD to the official script's last bit.

    Returns
    -------
    tuple of StepScore
        One per label, ascending; NSD is 0 unless the mean DSC is above the gate of 0.2.

    Raises
    ------
    CaseError
        If an array is no label map, the shapes differ, or the spacing is not three positive mm.
    """
    prediction = checked_label_map(np.asarray(prediction), "prediction")
    reference = checked_label_map(np.asarray(reference), "reference")
    require_same_shape(prediction, reference)
    nsd = NsdSettings.of(
        checked_spacing(np.asarray(spacing), "score"), settings or Settings(), exact_sum=exact_sum
    )
    pairs = PreparedReference(reference, evaluated_labels(reference)).compare(prediction)
    return score_pairs(pairs, 0, nsd)
