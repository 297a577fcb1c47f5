"""The simulated user: where an annotator would click next (docs/protocol.md).

Every function is pure; training and evaluation use the same click rule. An error is a voxel that
the prediction and the reference of one label disagree on; distances are in voxels, the spacing
plays no part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import cc3d
import numpy as np

from segbench.bits import Bits
from segbench.comparison import Comparison, Reference
from segbench.core import Click, LabelMap, Mask, Settings, Voxel
from segbench.depth import deepest_voxels

MAX_FINE_VOXELS = 60_000_000  # padded errors above this are measured at half the resolution


def next_clicks(
    previous: LabelMap,
    reference: LabelMap,
    labels: Iterable[int],
    *,
    settings: Settings = Settings(),
    max_fine_voxels: int = MAX_FINE_VOXELS,
) -> tuple[Click, ...]:
    """Place one corrective click for each label that has an error.

    Parameters
    ----------
    previous, reference : unsigned integer array, shape (z, y, x)
        The last label map and the true one, in any unsigned integer dtypes.
    labels : int
        The labels that get clicks; the others count as wrong voxels only.
    settings : Settings
        Gives the seed of the choice between equally deep voxels.
    max_fine_voxels : int
        See `next_click`.

    Returns
    -------
    tuple of Click
        In ascending label order; a label without an error has none.
    """
    comparison = Reference(reference, labels).compare(previous)
    return corrective_clicks(comparison, settings=settings, max_fine_voxels=max_fine_voxels)


def corrective_clicks(
    comparison: Comparison,
    *,
    settings: Settings = Settings(),
    max_fine_voxels: int = MAX_FINE_VOXELS,
) -> tuple[Click, ...]:
    """Do what `next_clicks` does for a label map already put beside its reference.

    Each label is looked at by itself, in ascending order (PROTOCOL 4.1).
    """
    clicks = []
    for label, predicted in comparison.predicted.items():
        expected = comparison.expected[label]
        at = _worst_voxel(
            expected ^ predicted,
            in_fortran_order=comparison.in_fortran_order,
            settings=settings,
            max_fine_voxels=max_fine_voxels,
        )
        if at is not None:
            clicks.append(Click(label, at, positive=expected.has(at)))
    return tuple(clicks)


def next_click(
    prediction: Mask,
    reference: Mask,
    *,
    label: int,
    settings: Settings = Settings(),
    max_fine_voxels: int = MAX_FINE_VOXELS,
) -> Click | None:
    """Place the corrective click of one label.

    It lands on a deepest voxel of the largest 26-connected error and is positive exactly if the
    reference contains that voxel. Of equally large errors the one that comes first in memory is
    taken; of equally deep voxels one that depends on their number and the seed alone.

    Parameters
    ----------
    prediction, reference : bool array, shape (z, y, x)
        The current and the true mask of the label. Memory is read in Fortran order if both masks
        are in Fortran order only, else in C order.
    label : int
        The label the click speaks about.
    settings : Settings
        Gives the seed.
    max_fine_voxels : int
        An error whose padded box has more voxels than this is measured on blocks of two voxels
        along each axis; tests lower it.

    Returns
    -------
    Click or None
        None if the masks are equal.
    """
    clicks = next_clicks(
        prediction.view(np.uint8),
        reference.view(np.uint8),
        (1,),
        settings=settings,
        max_fine_voxels=max_fine_voxels,
    )
    return replace(clicks[0], label=label) if clicks else None


def _worst_voxel(
    error: Bits, *, in_fortran_order: bool, settings: Settings, max_fine_voxels: int
) -> Voxel | None:
    """Return a deepest voxel of the largest error, in voxels of the volume."""
    if not error.words.any():
        return None
    component, low = _largest_component(error.trimmed(), in_fortran_order=in_fortran_order)
    deepest = deepest_voxels(component, max_fine_voxels=max_fine_voxels)
    # a fresh generator each time: the choice must not depend on the clicks before (PROTOCOL 4.6)
    chosen = deepest[np.random.RandomState(settings.seed).randint(len(deepest))]
    z, y, x = (int(inside) + start for inside, start in zip(chosen, low, strict=True))
    return z, y, x


def _largest_component(error: Bits, *, in_fortran_order: bool) -> tuple[Mask, Voxel]:
    """Return the largest 26-connected component, cut to its box, and the box's first voxel.

    Of equals the one whose first voxel comes first in memory (PROTOCOL 4.2).
    """
    mask = error.mask()
    # cc3d numbers components by their first voxel in C order, so argmax prefers the first of equals
    scanned = np.ascontiguousarray(mask.T) if in_fortran_order else mask
    # uint8, not bool: cc3d 4.1.1 raises on a bool volume that is a single line of odd length
    components, n = cc3d.connected_components(
        scanned.view(np.uint8), connectivity=26, return_N=True
    )
    if n > 1:
        numbers = (components.T if in_fortran_order else components).ravel()[error.at]
        largest = error.at[numbers == 1 + np.argmax(np.bincount(numbers)[1:])]
        mask.fill(False)
        mask.ravel()[largest] = True
    return _cut_to_box(mask, error.low)


def _cut_to_box(mask: Mask, low: Voxel) -> tuple[Mask, Voxel]:
    """Return a mask without its empty sides, and its first voxel in the volume."""
    from_above = np.bitwise_or.reduce(mask, axis=0)
    lines = mask.reshape(len(mask), -1).any(axis=1), from_above.any(axis=1), from_above.any(axis=0)
    used = [np.flatnonzero(line) for line in lines]
    z, y, x = (start + int(at[0]) for start, at in zip(low, used, strict=True))
    return mask[tuple(slice(at[0], at[-1] + 1) for at in used)], (z, y, x)
