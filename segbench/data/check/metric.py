"""What NSD can tell of a label: whether a poor prediction gets a high one."""

from __future__ import annotations

from dataclasses import dataclass

from segbench.core import Mask, Settings, Spacing
from segbench.further_metrics.poor_predictions import eroded, filled_box
from segbench.protocol.metrics import dice, surface_dice

TOLERANCE_MM = Settings().nsd_tolerance_mm
SATURATED_NSD = 0.9
POOR_DSC = 0.9  # a prediction of a larger DSC deserves its high NSD


@dataclass(frozen=True)
class Saturation:
    """DSC and NSD of two poor predictions of a label; 0 where it does not matter.

    They are the label without the voxels at its surface, and its filled bounding box.
    """

    nsd_eroded: float = 0.0
    nsd_box: float = 0.0
    dsc_eroded: float = 0.0
    dsc_box: float = 0.0
    tolerance_mm: float = TOLERANCE_MM

    @property
    def is_saturated(self) -> bool:
        """Whether both have a high NSD."""
        return min(self.nsd_eroded, self.nsd_box) >= SATURATED_NSD


def saturation(mask: Mask, spacing: Spacing) -> Saturation:
    """Return how well two poor predictions of a mask score.

    Parameters
    ----------
    mask : bool array, shape (z, y, x)
        Cropped to its bounding box, so not empty.
    spacing : voxel size in mm, (z, y, x)
    """
    box, shrunk = filled_box(mask), eroded(mask)
    dsc_box, dsc_eroded = dice(box, mask), dice(shrunk, mask)
    if max(dsc_box, dsc_eroded) > POOR_DSC:
        return Saturation(dsc_eroded=dsc_eroded, dsc_box=dsc_box)
    nsd_box = surface_dice(box, mask, spacing=spacing, tolerance_mm=TOLERANCE_MM)
    if nsd_box < SATURATED_NSD:  # the other one does not matter
        return Saturation(0.0, nsd_box, dsc_eroded, dsc_box)
    nsd_eroded = surface_dice(shrunk, mask, spacing=spacing, tolerance_mm=TOLERANCE_MM)
    return Saturation(nsd_eroded, nsd_box, dsc_eroded, dsc_box)
