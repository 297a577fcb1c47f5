"""From label maps to scores: one pass over a prediction for all labels of a case."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial

from segbench.core import LabelMap, Settings, Spacing, StepScore, mean_scores
from segbench.protocol.mask_pairs import PreparedReference, label_rois
from segbench.protocol.metrics import dice_of_packed, nsd_settings, surface_agreement, surface_of
from segbench.protocol.packed_mask import PackedMask


def evaluated_labels(reference: LabelMap) -> tuple[int, ...]:
    """Return the labels that are scored: all values of the reference but the smallest, ascending.

    The smallest value is the background whatever it is, as in the official script: a reference
    without 0 loses its first label (PROTOCOL 1.1).
    """
    labels = tuple(label_rois(reference))
    return labels if reference.min() == 0 else labels[1:]


class Scorer:
    """Scores predictions against one reference, keeping what steps share (PROTOCOL 5, 6).

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
        Give the official script's NSD to the last bit, see `segbench.protocol.metrics.Ruler`.

    Attributes
    ----------
    reference : Reference
        For a simulated user who clicks on what was scored: it is not compared again.
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
        self.reference = PreparedReference(reference, labels)
        self._labels, self._nsd_gate = labels, settings.nsd_gate
        rules = nsd_settings(spacing, settings.nsd_tolerance_mm, exact_sum=exact_sum)
        self._surface_of = partial(surface_of, nsd_settings=rules)
        # by identity: bits of the reference are one object as long as their frame stays
        self._expected_surface_of = lru_cache(len(labels))(self._surface_of)

    def score(self, step: int, prediction: LabelMap) -> tuple[StepScore, ...]:
        """Return the scores of one prediction, in the order of the labels.

        NSD is 0 for every label unless the mean DSC is above the gate (PROTOCOL 6.1). Values of
        the prediction that are no label of the case only count as wrong voxels.
        """
        both = self.reference.compare(prediction)
        pairs = {label: (both.predicted[label], both.expected[label]) for label in self._labels}
        scores = tuple(
            StepScore(step, label, dice_of_packed(*pairs[label]), 0.0) for label in pairs
        )
        # "not above", so that the NaN of a case without labels is gated too
        if not mean_scores(scores)[0] > self._nsd_gate:
            return scores
        return tuple(replace(score, nsd=self._nsd(*pairs[score.label])) for score in scores)

    def _nsd(self, predicted: PackedMask, expected: PackedMask) -> float:
        """Return the NSD of two masks in one frame (PROTOCOL 6)."""
        return surface_agreement(self._surface_of(predicted), self._expected_surface_of(expected))
