"""From label maps to scores: one pass over a prediction for all labels of a case."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import find_objects

from segbench.core import LabelMap, Mask, Settings, Spacing, StepScore, mean_scores
from segbench.metrics import Surface, dice, ruler, surface_agreement, surface_of

Window = tuple[slice, ...]  # one slice per axis, in voxels of the volume


def evaluated_labels(reference: LabelMap) -> tuple[int, ...]:
    """Return the labels that are scored: all values of the reference but the smallest, ascending.

    The smallest value is the background whatever it is, as in the official script: a reference
    without 0 loses its first label.
    """
    labels = tuple(label_windows(reference))
    return labels if reference.min() == 0 else labels[1:]


def score_once(
    prediction: LabelMap,
    reference: LabelMap,
    spacing: Spacing,
    *,
    settings: Settings = Settings(),
    exact_sum: bool = False,
) -> tuple[StepScore, ...]:
    """Score one label map outside of a session; the scores say step 0.

    Parameters
    ----------
    prediction, reference : unsigned integer array, shape (z, y, x)
        0 is background.
    spacing : float
        Voxel size in mm, (z, y, x).
    settings : Settings
        Gives the tolerance of NSD and the mean DSC above which it counts.
    exact_sum : bool
        Give the official script's NSD to the last bit, see `segbench.metrics.Ruler`.

    Returns
    -------
    tuple of StepScore
        One for each label of the reference, in ascending order.
    """
    labels = evaluated_labels(reference)
    return Scorer(reference, labels, spacing, settings, exact_sum=exact_sum).score(0, prediction)


class Scorer:
    """Scores predictions against one reference and keeps what all steps share.

    Parameters
    ----------
    reference : unsigned integer array, shape (z, y, x)
        Must not change while the scorer is in use.
    labels : tuple of int
        The labels to score, each present in the reference.
    spacing : float
        Voxel size in mm, (z, y, x).
    settings : Settings
        Gives the tolerance of NSD and the mean DSC above which it counts.
    exact_sum : bool
        Give the official script's NSD to the last bit, see `segbench.metrics.Ruler`.
    """

    def __init__(
        self,
        reference: LabelMap,
        labels: tuple[int, ...],
        spacing: Spacing,
        settings: Settings = Settings(),
        *,
        exact_sum: bool = False,
    ) -> None:
        self._reference, self._labels, self._nsd_gate = reference, labels, settings.nsd_gate
        self._ruler = ruler(spacing, settings.nsd_tolerance_mm, exact_sum=exact_sum)
        self._windows = label_windows(reference)
        self._surfaces: dict[int, Surface] = {}

    def score(self, step: int, prediction: LabelMap) -> tuple[StepScore, ...]:
        """Return the scores of one prediction, in the order of the labels.

        NSD is 0 for every label unless the mean DSC is above the gate. Values of the prediction
        that are no label of the case only count as wrong voxels.
        """
        windows = label_windows(prediction)
        scores = tuple(
            StepScore(step, label, self._dice(label, prediction, windows.get(label)), 0.0)
            for label in self._labels
        )
        # "not above", so that the NaN of a case without labels is gated too
        if not mean_scores(scores)[0] > self._nsd_gate:
            return scores
        return tuple(
            replace(score, nsd=self._nsd(score.label, prediction, windows.get(score.label)))
            for score in scores
        )

    def _dice(self, label: int, prediction: LabelMap, window: Window | None) -> float:
        box = _union(window, self._windows[label])
        return dice(prediction[box] == label, self._reference[box] == label)

    def _nsd(self, label: int, prediction: LabelMap, window: Window | None) -> float:
        if window is None:
            return 0.0
        if label not in self._surfaces:
            self._surfaces[label] = _label_surface(self._reference, label, self._windows[label])
        predicted = _label_surface(prediction, label, window)
        return surface_agreement(predicted, self._surfaces[label], self._ruler)


def label_windows(labels: LabelMap) -> dict[int, Window]:
    """Return the box around each label, ascending, found in one pass."""
    found = find_objects(labels)
    return {label: box for label, box in enumerate(found, start=1) if box is not None}


def _union(window: Window | None, other: Window) -> Window:
    if window is None:
        return other
    return tuple(
        slice(min(a.start, b.start), max(a.stop, b.stop))
        for a, b in zip(window, other, strict=True)
    )


def _label_surface(labels: LabelMap, label: int, window: Window) -> Surface:
    mask: Mask = np.equal(labels[window], label)
    z, y, x = (side.start for side in window)
    return surface_of(mask, (z, y, x))
