"""The simulated user: where an annotator would click next (docs/protocol.md).

Every function is pure; training and evaluation use the same click rule. An error is a voxel that
the prediction and the reference of one label disagree on; distances are in voxels, the spacing
plays no part.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

import cc3d
import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from segbench.core import Click, LabelMap, Mask, Settings, Voxel

Window = tuple[slice, ...]  # one slice per axis, in voxels of the volume

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
    order: Literal["C", "F"] = "F" if _is_fortran(previous) and _is_fortran(reference) else "C"
    windows = _error_windows(previous, reference)
    clicks = []
    for label in sorted(windows.keys() & set(labels)):
        window = windows[label]
        click = next_click(
            np.equal(previous[window], label, order=order),
            np.equal(reference[window], label, order=order),
            label=label,
            settings=settings,
            max_fine_voxels=max_fine_voxels,
        )
        if click is not None:
            clicks.append(replace(click, at=_outside(click.at, window)))
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
    error = prediction ^ reference
    if not error.any():
        return None
    in_fortran_order = _is_fortran(prediction) and _is_fortran(reference)
    component, window = _largest_component(error, in_fortran_order=in_fortran_order)
    deepest = np.flatnonzero(_deepest(component, max_fine_voxels))
    # a fresh generator each time: the choice must not depend on the clicks that came before
    chosen = deepest[np.random.RandomState(settings.seed).randint(len(deepest))]
    z, y, x = np.unravel_index(chosen, component.shape)
    at = _outside((int(z), int(y), int(x)), window)
    return Click(label, at, positive=bool(reference[at]))


def _error_windows(previous: LabelMap, reference: LabelMap) -> dict[int, Window]:
    """Return for each label the box around its wrong voxels, found in one pass."""
    wrong = previous != reference
    found = find_objects(np.stack([previous, reference]) * wrong)
    # the first slice only says in which of the two maps the label was seen
    return {label: box[1:] for label, box in enumerate(found, start=1) if box is not None}


def _is_fortran(array: NDArray[Any]) -> bool:
    return array.flags.f_contiguous and not array.flags.c_contiguous


def _outside(voxel: Voxel, window: Window) -> Voxel:
    """Translate a voxel of the window to the volume that the window was cut from."""
    z, y, x = (inside + side.start for inside, side in zip(voxel, window, strict=True))
    return z, y, x


def _largest_component(error: Mask, *, in_fortran_order: bool) -> tuple[Mask, Window]:
    """Return the largest 26-connected component, cut to its box, and the box."""
    # cc3d numbers components by their first voxel in C order, so argmax prefers the first of equals
    scanned = np.ascontiguousarray(error.T if in_fortran_order else error)
    # uint8, not bool: cc3d 4.1.1 raises on a bool volume that is a single line of odd length
    components = cc3d.connected_components(scanned.view(np.uint8), connectivity=26)
    statistics = cc3d.statistics(components, no_slice_conversion=True)
    largest = 1 + int(np.argmax(statistics["voxel_counts"][1:]))
    if in_fortran_order:
        components = components.T
    sides = statistics["bounding_boxes"][largest].reshape(3, 2).tolist()
    z, y, x = (slice(low, high + 1) for low, high in (sides[::-1] if in_fortran_order else sides))
    return components[z, y, x] == largest, (z, y, x)


def _deepest(component: Mask, max_fine_voxels: int) -> Mask:
    """Mark the voxels of the component, cut to its box, that are farthest from its outside."""
    padding = [max(int(0.25 * size), 1) for size in component.shape]
    padded = [size + 2 * pad for size, pad in zip(component.shape, padding, strict=True)]
    if math.prod(padded) > max_fine_voxels:
        return _deepest_by_blocks(component, padding)
    # squared distances are whole numbers, which float32 holds exactly up to 4096 voxels
    depth = edt.edtsq(np.ascontiguousarray(component).view(np.uint8), black_border=True)
    deepest: Mask = depth == depth.max()
    return deepest


def _deepest_by_blocks(component: Mask, padding: list[int]) -> Mask:
    """Mark the voxels of the component that lie in the deepest blocks of 2x2x2 voxels.

    Blocks start at the corner of the padded box, so an odd padding shifts them against the
    component. Nothing lies outside the blocks: a padding of one voxel may vanish in a block of
    the component, and depth is then not bounded on that side.
    """
    shape = [-(-(size + 2 * pad) // 2) for size, pad in zip(component.shape, padding, strict=True)]
    blocks = np.zeros(shape, bool)
    for start in np.ndindex(2, 2, 2):
        part = component[tuple(slice(first, None, 2) for first in start)]
        corner = [(first + pad) // 2 for first, pad in zip(start, padding, strict=True)]
        sides = zip(corner, part.shape, strict=True)
        blocks[tuple(slice(low, low + size) for low, size in sides)] |= part
    depth = edt.edtsq(blocks.view(np.uint8), black_border=False)
    sides = zip(component.shape, padding, strict=True)
    block_of = np.ix_(*((np.arange(size) + pad) // 2 for size, pad in sides))
    deepest: Mask = component & (depth == depth.max())[block_of]
    return deepest
