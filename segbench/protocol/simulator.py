"""The simulated user: where an annotator would click next (docs/protocol.md).

Every function is pure; training and evaluation use the same click rule. An error is a voxel that
the prediction and the reference of one label disagree on; distances are in voxels, the spacing
plays no part.
"""

from __future__ import annotations

from dataclasses import replace

import cc3d
import numpy as np

from segbench.core import Click, Mask, Settings
from segbench.protocol.depth import deepest_voxels
from segbench.protocol.mask_pairs import MaskPairs, PreparedReference
from segbench.protocol.packed_mask import PackedMask, Positions, bounding_box
from segbench.protocol.validation import as_masks


def next_clicks(comparison: MaskPairs, *, settings: Settings = Settings()) -> tuple[Click, ...]:
    """Place one corrective click for each label that has an error (PROTOCOL 4.1, 4.7).

    Parameters
    ----------
    comparison : Comparison
        The last label map beside the reference, see `segbench.protocol.mask_pairs.Reference`.
    settings : Settings
        Gives the seed of the choice between equally deep voxels.

    Returns
    -------
    tuple of Click
        In ascending label order, each made as by `next_click`; a label without an error has none.
    """
    clicks = []
    for label, predicted in comparison.predicted.items():
        expected = comparison.expected[label]
        error = expected ^ predicted
        if error.words.any():
            component, low = _largest_component(error, in_fortran=comparison.in_fortran_order)
            deepest = deepest_voxels(component) + low
            # a new generator: the choice must not depend on the clicks before (PROTOCOL 4.6)
            chosen = np.random.RandomState(settings.seed).randint(len(deepest))
            z, y, x = deepest[chosen].tolist()
            clicks.append(Click(label, (z, y, x), positive=expected.has((z, y, x))))
    return tuple(clicks)


def next_click(
    prediction: Mask, reference: Mask, *, label: int, settings: Settings = Settings()
) -> Click | None:
    """Place the corrective click of one label (PROTOCOL 4).

    It lands on a deepest voxel of the largest 26-connected error and is positive exactly if the
    reference contains that voxel. Of equally large errors the one that comes first in memory is
    taken; of equally deep voxels one that depends on their number and the seed alone.

    Parameters
    ----------
    prediction, reference : bool or integer array, shape (z, y, x)
        The current and the true mask of the label; integers are masks of what is not 0. Memory is
        read in Fortran order if both masks are in Fortran order only, else in C order.
    label : int
        The label the click speaks about.
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
    prediction, reference = as_masks(prediction, reference)
    comparison = PreparedReference(reference.view(np.uint8), (1,)).compare(
        prediction.view(np.uint8)
    )
    clicks = next_clicks(comparison, settings=settings)
    return replace(clicks[0], label=label) if clicks else None


def _largest_component(error: PackedMask, *, in_fortran: bool) -> tuple[Mask, Positions]:
    """Return the largest 26-connected component, cut to its box, and the box's first voxel.

    Of equals the one whose first voxel comes first in memory (PROTOCOL 4.2).
    """
    error = error.trimmed()
    mask = error.mask()
    # cc3d numbers components by their first voxel in C order, so argmax prefers the first of equals
    scanned = np.ascontiguousarray(mask.T if in_fortran else mask)
    # uint8, not bool: cc3d 4.1.1 raises on some bool volumes, such as a line of odd length
    named, n = cc3d.connected_components(scanned.view(np.uint8), connectivity=26, return_N=True)
    if n > 1:
        names = (named.T if in_fortran else named).ravel()[error.positions]
        largest = error.positions[names == np.argmax(np.bincount(names))]
        mask.fill(False)
        mask.ravel()[largest] = True
    box = bounding_box(mask)
    return mask[box], np.add(error.low, [side.start for side in box])
