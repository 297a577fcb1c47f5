"""Further metrics of all labels of a case: its reference is prepared once for all predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from segbench.core import Click, LabelMap, Mask, Spacing, StepScore, mean_scores
from segbench.further_metrics.mask_pair import MaskPair, PreparedMask
from segbench.further_metrics.metric import Metric
from segbench.further_metrics.own_function import own_value
from segbench.further_metrics.poor_predictions import eroded, filled_box
from segbench.protocol.mask_pairs import MaskPairs, PreparedReference, label_rois
from segbench.protocol.metrics import packed_dice, surface_dice
from segbench.protocol.packed_mask import PackedMask

# by kind of metric; the tolerance is NaN for those without one
OF_PREDICTION: dict[str, Callable[[MaskPair, float], float]] = {
    "nsd": MaskPair.nsd,
    "nsd-ungated": MaskPair.nsd,
    "nsd-voxels": MaskPair.nsd_voxels,
    "hd95": lambda pair, _: pair.hd95(),
    "assd": lambda pair, _: pair.assd(),
    "volume-error": lambda pair, _: pair.volume_error(),
    "lesion-f1": lambda pair, _: pair.lesion_f1(),
}
OF_REFERENCE: dict[str, Callable[[Mask], Mask]] = {"nsd-eroded": eroded, "nsd-box": filled_box}


class PreparedCase:
    """The reference of one case, prepared to be compared with many predictions.

    Parameters
    ----------
    reference : unsigned integer array, shape (z, y, x)
        Must not change afterwards.
    labels : int
        Its foreground labels, ascending.
    spacing : tuple of float
        Voxel size in mm, (z, y, x).
    """

    def __init__(self, reference: LabelMap, labels: Iterable[int], spacing: Spacing) -> None:
        self.label_map, self.labels, self.spacing = reference, tuple(labels), spacing
        self._reference = PreparedReference(reference, self.labels)
        self._prepared: dict[int, PreparedMask] = {}

    def compare(self, segmentation: LabelMap) -> ComparedStep:
        """Return a prediction next to the reference; it must not change afterwards."""
        return ComparedStep(self, self._reference.compare(segmentation))

    def prepared(self, label: int, mask: PackedMask) -> PreparedMask:
        """Return a mask of the reference, prepared; anew if its region has grown."""
        if label not in self._prepared or self._prepared[label].mask is not mask:
            self._prepared[label] = PreparedMask(mask)
        return self._prepared[label]

    def reference_values(self, metric: Metric) -> tuple[float, ...]:
        """Return a metric of each label that does not depend on a prediction."""
        rois, change = label_rois(self.label_map), OF_REFERENCE[metric.kind]
        masks = [self.label_map[rois[label]] == label for label in self.labels]
        nsd = partial(surface_dice, spacing=self.spacing, tolerance_mm=metric.tolerance_mm)
        return tuple(nsd(change(mask), mask) for mask in masks)


@dataclass(frozen=True, eq=False)
class ComparedStep:
    """A prediction next to the reference of a prepared case, label by label."""

    case: PreparedCase
    pairs: MaskPairs

    def values(
        self, metric: Metric, *, clicks: Sequence[Click] = (), gate: float = 0.0
    ) -> tuple[float, ...]:
        """Return a metric of each label, ascending.

        Parameters
        ----------
        metric : Metric
            One that depends on the prediction.
        clicks : sequence of Click
            Those that the prediction answers, for ``obeyed``.
        gate : float
            ``nsd`` is 0 for all labels unless the mean DSC is above it (PROTOCOL 6.1).

        Raises
        ------
        RunError
            If a user's function fails.
        """
        if metric.file is not None:
            return tuple(self._own_value(metric, label) for label in self.case.labels)
        if metric.kind == "obeyed":
            return tuple(self._obeyed(label, clicks) for label in self.case.labels)
        # "not above", as in the protocol
        if metric.kind == "nsd" and not self._mean_dsc > gate:
            return (0.0,) * len(self.case.labels)
        value_of = OF_PREDICTION[metric.kind]
        return tuple(value_of(pair, metric.tolerance_mm) for pair in self._mask_pairs)

    @cached_property
    def _mask_pairs(self) -> tuple[MaskPair, ...]:
        return tuple(
            MaskPair(
                PreparedMask(mask),
                self.case.prepared(label, self.pairs.expected[label]),
                self.case.spacing,
            )
            for label, mask in self.pairs.predicted.items()
        )

    @cached_property
    def _mean_dsc(self) -> float:
        predicted, expected = self.pairs.predicted, self.pairs.expected
        scores = [
            StepScore(0, label, packed_dice(mask, expected[label]), 0.0)
            for label, mask in predicted.items()
        ]
        return mean_scores(scores)[0]

    def _own_value(self, metric: Metric, label: int) -> float:
        masks = self.pairs.segmentation == label, self.case.label_map == label
        return own_value(metric, *masks, self.case.spacing)

    def _obeyed(self, label: int, clicks: Sequence[Click]) -> float:
        """Return 1 or 0: whether the voxel clicked for a label is right now; NaN without a click.

        A label has at most one click in a step.
        """
        for click in clicks:
            if click.label == label:
                return float((self.pairs.segmentation[click.voxel] == label) == click.positive)
        return math.nan
