"""An experiment: make the segmentation agree with every click."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segbench.core import Click, LabelMap, Mask

from .crop import Region
from .intensity import Intensity

RADIUS = 3  # voxels
MAX_DIFFERENCE = 0.5  # standard deviations of the image


def enforce_clicks(
    segmentation: LabelMap, clicks: Iterable[Click], voxels: NDArray[Any], intensity: Intensity
) -> None:
    """Write every click into the segmentation, in place, in order.

    A positive click labels the voxels around it with similar intensity. A negative click removes
    the label from such voxels, and from its component unless that is the label's largest.
    """
    for click in clicks:
        region, ball = similar_voxels(click, voxels, intensity)
        cropped = segmentation[region]
        if click.positive:
            cropped[ball] = click.label
            continue
        if segmentation[click.voxel] == click.label:
            _remove_component(segmentation, click)
        cropped[ball & (cropped == click.label)] = 0


def similar_voxels(click: Click, voxels: NDArray[Any], intensity: Intensity) -> tuple[Region, Mask]:
    """Return the voxels near a click with similar intensity: a region, and a mask in it."""
    region = tuple(slice(max(at - RADIUS, 0), at + RADIUS + 1) for at in click.voxel)
    cropped = intensity.z_score(voxels[region])
    offsets = np.ogrid[tuple(slice(0, n) for n in cropped.shape)]
    squares = sum((o + s.start - at) ** 2 for o, s, at in zip(offsets, region, click.voxel))
    centre = tuple(at - span.start for at, span in zip(click.voxel, region))
    ball: Mask = (squares <= RADIUS**2) & (np.abs(cropped - cropped[centre]) <= MAX_DIFFERENCE)
    return region, ball


def _remove_component(segmentation: LabelMap, click: Click) -> None:
    region = ndimage.find_objects(segmentation, max_label=click.label)[click.label - 1]
    cropped = segmentation[region]
    components, _ = ndimage.label(cropped == click.label, structure=np.ones((3, 3, 3)))
    here = components[tuple(at - span.start for at, span in zip(click.voxel, region))]
    sizes = np.bincount(components.ravel())[1:]
    if sizes[here - 1] < sizes.max():
        cropped[components == here] = 0
