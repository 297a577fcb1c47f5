"""Random pairs of masks, and metrics of them as plain as possible: whole arrays, no crop."""

import math

import numpy as np
import surface_distance
from scipy import ndimage

SPACINGS = [(1, 1, 1), (5.0, 0.8, 0.8), (0.5, 2, 1), (0.3, 0.3, 0.3), (3, 1, 1)]


def pair(seed):
    """Return two masks that are neither empty nor alike, and a spacing; some touch the border."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(4, 24, 3))
    field = ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(0.5, 2.5))
    other = field + rng.uniform(0.1, 1) * field.std() * ndimage.gaussian_filter(
        rng.normal(size=shape) * 4, 1
    )
    masks = [each >= np.quantile(each, rng.uniform(0.55, 0.97)) for each in (other, field)]
    return *masks, SPACINGS[seed % len(SPACINGS)]


def library_distances(prediction, reference, spacing):
    return surface_distance.compute_surface_distances(reference, prediction, spacing)


def assd(found):
    """Return both directions of the library in one mean."""
    averages = surface_distance.compute_average_surface_distance(found)
    areas = found["surfel_areas_gt"].sum(), found["surfel_areas_pred"].sum()
    return float(np.average(averages, weights=areas))


def nsd_voxels(prediction, reference, spacing, tolerance_mm):
    """Return what MONAI's documentation says of its default."""
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (prediction, reference)]
    counted = sum(edge.sum() for edge in edges)
    if not all(edge.any() for edge in edges):
        return 0.0 if counted else math.nan
    near = [
        edge & (ndimage.distance_transform_edt(~other, sampling=spacing) <= tolerance_mm)
        for edge, other in (edges, edges[::-1])
    ]
    return sum(each.sum() for each in near) / counted


def lesion_f1(prediction, reference):
    """Return F1 over components that scipy finds, compared one by one."""
    touching = np.ones((3, 3, 3))
    lesions = []
    for mask in (prediction, reference):
        numbers, n = ndimage.label(mask, touching)
        lesions.append([numbers == number for number in range(1, n + 1)])
    found = sum((lesion & prediction).any() for lesion in lesions[1])
    wrong = sum(not (lesion & reference).any() for lesion in lesions[0])
    missed = len(lesions[1]) - found
    return 2 * found / (2 * found + wrong + missed)
