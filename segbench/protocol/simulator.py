"""The simulated user: where an annotator would click next (docs/protocol.md).

Every function is pure; training and evaluation use the same click rule. An error is a voxel that
the prediction and the reference of one label disagree on; distances are in voxels, without the
spacing.
"""

from __future__ import annotations

from dataclasses import replace

import cc3d
import numpy as np
from numpy.typing import ArrayLike

from segbench.arrays import bounding_box
from segbench.core import Click, Mask, Settings, Voxel
from segbench.protocol.depth import MAX_FINE_VOXELS, deepest_voxels
from segbench.protocol.mask_pairs import MaskPairs, PreparedReference
from segbench.protocol.packed_mask import PackedMask, Positions
from segbench.protocol.validation import as_masks


def next_clicks(
    pairs: MaskPairs, *, settings: Settings = Settings(), max_fine_voxels: int = MAX_FINE_VOXELS
) -> tuple[Click, ...]:
    """Place one corrective click for each label that has an error (PROTOCOL 4.1, 4.7).

    Parameters
    ----------
    pairs : MaskPairs
        The last label map and the reference, see `PreparedReference.compare`.
    settings : Settings
        Its seed selects one of several equally deep voxels.
    max_fine_voxels : int
        An error whose padded box has more is measured at half the resolution (PROTOCOL 4.4).

    Returns
    -------
    tuple of Click
        In ascending label order, each as in `next_click`; a label without an error has none.
    """
    clicks = []
    for label, predicted in pairs.predicted.items():
        expected = pairs.expected[label]
        error = expected ^ predicted
        if error.words.any():
            component, low = _largest_component(error, in_fortran_order=pairs.in_fortran_order)
            deepest = deepest_voxels(component, max_fine_voxels=max_fine_voxels) + low
            voxel = _chosen_voxel(deepest, settings.seed)
            clicks.append(Click(label, voxel, positive=expected.contains_voxel(voxel)))
    return tuple(clicks)


def next_click(
    prediction: ArrayLike,
    reference: ArrayLike,
    *,
    label: int,
    settings: Settings = Settings(),
) -> Click | None:
    """Place the corrective click of one label (PROTOCOL 4).

    The click is on a deepest voxel of the largest 26-connected error, and is positive exactly if
    the reference contains that voxel. Of equally large errors the one that comes first in memory is
    taken; of equally deep voxels one that depends on their number and the seed alone.

    Parameters
    ----------
    prediction, reference : bool or integer array, shape (z, y, x)
        The current and the true mask of the label; integers are masks of what is not 0. Memory is
        read in Fortran order if both arrays are Fortran- and not C-contiguous, else in C order.
    label : int
        The label of the click.
    settings : Settings
        Gives the seed.

    Returns
    -------
    Click or None
        None if the masks are equal.

    Raises
    ------
    CaseError
        If an array is of floats or the shapes differ.
    """
    predicted, expected = (mask.astype(np.uint8) for mask in as_masks(prediction, reference))
    pairs = PreparedReference(expected, (1,)).compare(predicted)
    clicks = next_clicks(pairs, settings=settings)
    return replace(clicks[0], label=label) if clicks else None


def _chosen_voxel(deepest: Positions, seed: int) -> Voxel:
    """Return one of the deepest voxels, by their number and the seed alone (PROTOCOL 4.6)."""
    z, y, x = deepest[np.random.RandomState(seed).randint(len(deepest))].tolist()
    return z, y, x


def _largest_component(error: PackedMask, *, in_fortran_order: bool) -> tuple[Mask, Positions]:
    """Return the largest 26-connected component, cropped, and the first voxel of the crop.

    Here the tie between components of equal size is decided: the one whose first voxel comes first
    in memory wins (PROTOCOL 4.2).
    """
    error = error.trimmed()
    mask = error.unpacked()
    # cc3d numbers components by their first voxel in C order, so argmax takes the first of equals
    scanned = np.ascontiguousarray(mask.T if in_fortran_order else mask)
    # uint8, not bool: cc3d 4.1.1 raises on some bool volumes, such as a line of odd length
    components, n = cc3d.connected_components(
        scanned.view(np.uint8), connectivity=26, return_N=True
    )
    if n > 1:
        numbers = (components.T if in_fortran_order else components).ravel()[error.positions]
        largest = error.positions[numbers == np.argmax(np.bincount(numbers))]
        mask.fill(False)
        mask.ravel()[largest] = True
    box = bounding_box(mask)
    return mask[box], np.add(error.low, [side.start for side in box])
