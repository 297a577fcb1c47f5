"""Lesions: the connected components of a mask, found or missed as a whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segbench.core import Mask
from segbench.protocol.packed_mask import PackedMask

CONNECTIVITY: Literal[26] = 26  # voxels that share a corner are of one lesion


@dataclass(frozen=True, eq=False)
class Lesions:
    """The lesions of a mask: a number from 1 on for each of its voxels, in their order."""

    mask: PackedMask
    numbers: NDArray[np.unsignedinteger[Any]]
    count: int

    @classmethod
    def of(cls, mask: PackedMask) -> Lesions:
        """Find the lesions of a mask."""
        if not mask.count:
            return cls(mask, np.zeros(0, np.uint16), 0)
        import cc3d  # slow to import

        found = cc3d.connected_components(mask.unpacked(), connectivity=CONNECTIVITY, return_N=True)
        components, count = found
        return cls(mask, components.ravel()[mask.positions], int(count))

    def n_hit(self, other: Lesions) -> int:
        """Return how many lesions share a voxel with another mask of the same region."""
        inside: Mask = other.mask.contains(self.mask.positions)
        return len(np.unique(self.numbers[inside]))


def lesion_f1(prediction: Lesions, reference: Lesions) -> float:
    """Return F1 = 2 TP / (2 TP + FP + FN) over lesions; NaN if there is none in either.

    TP: lesions of the reference that share a voxel with the prediction. FN: its other lesions. FP:
    lesions of the prediction that share no voxel with the reference.

    References
    ----------
    Hernandez Petzsche et al., "ISLES 2022", Scientific Data 2022, doi:10.1038/s41597-022-01875-5.
    Components: cc3d.
    """
    found = reference.n_hit(prediction)
    missed, wrong = reference.count - found, prediction.count - prediction.n_hit(reference)
    total = 2 * found + missed + wrong
    return 2 * found / total if total else math.nan
