"""The protocol once more, straight from docs/protocol.md: what segbench is compared with.

It does per step what the official script does: masks of the whole volume for each label, all
components by cc3d, scipy's distance transform of the padded component, surfaces and distances by
the published surface-distance package. No tricks, but nothing slow on purpose either.
"""

import cc3d
import numpy as np
from scipy.ndimage import distance_transform_edt
from surface_distance import compute_surface_dice_at_tolerance, compute_surface_distances

from segbench.core import Click


def clicks(prediction, reference, labels, *, max_fine_voxels=60_000_000):
    """Return the clicks of one round, ascending by label (PROTOCOL 4)."""
    placed = []
    for label in labels:
        truth = reference == label
        at = _worst_voxel(truth ^ (prediction == label), max_fine_voxels)
        if at is not None:
            placed.append(Click(label, at, positive=bool(truth[at])))
    return tuple(placed)


def dsc(prediction, reference, labels):
    """Return the DSC of each label (PROTOCOL 5)."""
    values = []
    for label in labels:
        truth, predicted = reference == label, prediction == label
        both = np.count_nonzero(truth & predicted)
        values.append(2 * both / (np.count_nonzero(truth) + np.count_nonzero(predicted)))
    return values


def nsd(prediction, reference, labels, spacing, *, tolerance_mm=2.0):
    """Return the NSD of each label, the gate left out (PROTOCOL 6)."""
    values = []
    for label in labels:
        truth, predicted = reference == label, prediction == label
        if not predicted.any():  # the package fails on empty masks under numpy 2
            values.append(0.0)
            continue
        distances = compute_surface_distances(truth, predicted, spacing)
        values.append(float(compute_surface_dice_at_tolerance(distances, tolerance_mm)))
    return values


def scores(prediction, reference, labels, spacing):
    """Return DSC and NSD of each label; NSD only counts above a mean DSC of 0.2 (PROTOCOL 6.1)."""
    overlaps = dsc(prediction, reference, labels)
    if not np.mean(overlaps) > 0.2:
        return overlaps, [0.0] * len(overlaps)
    return overlaps, nsd(prediction, reference, labels, spacing)


def _worst_voxel(error, max_fine_voxels):
    if not error.any():
        return None
    # in Fortran order only if both label maps are: then numpy's xor of them is, too
    turned = error.flags.f_contiguous and not error.flags.c_contiguous
    scanned = (error.T if turned else error).view(np.uint8)
    components = cc3d.connected_components(scanned, connectivity=26)
    counts = np.bincount(components.ravel())
    counts[0] = 0
    component = components == counts.argmax()
    depth = _depth(component.T if turned else component, max_fine_voxels)
    candidates = np.argwhere(depth == depth.max())
    chosen = np.random.RandomState(42).choice(len(candidates))
    return tuple(int(i) for i in candidates[chosen])


def _depth(component, max_fine_voxels):
    """Return the distance of each voxel of the component to its outside, 0 elsewhere."""
    lines = [component.any(axis=axes) for axes in ((1, 2), (0, 2), (0, 1))]
    box = tuple(slice(at[0], at[-1] + 1) for at in map(np.flatnonzero, lines))
    crop = component[box]
    padding = [max(int(0.25 * size), 1) for size in crop.shape]
    padded = np.pad(crop, [(pad, pad) for pad in padding])
    measure = _coarse_distances if padded.size > max_fine_voxels else distance_transform_edt
    inner = tuple(slice(pad, pad + size) for pad, size in zip(padding, crop.shape, strict=True))
    depth = np.zeros(component.shape)
    depth[box] = measure(padded)[inner] * crop
    return depth


def _coarse_distances(padded):
    """Return the distances between blocks of 2x2x2 voxels, each for all its voxels."""
    even = np.pad(padded, [(0, size % 2) for size in padded.shape])
    z, y, x = (size // 2 for size in even.shape)
    blocks = even.reshape(z, 2, y, 2, x, 2).max(axis=(1, 3, 5))
    distances = distance_transform_edt(blocks)
    return distances.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)
