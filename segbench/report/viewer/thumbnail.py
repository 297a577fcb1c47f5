"""The picture of a case in the gallery: the slice in which the reference is largest."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.core import LabelMap, Mask, Spacing
from segbench.report.viewer.window import middle_of

EDGE = 180  # pixels of the longer side
REFERENCE_COLOUR = (255, 255, 255)
PREDICTION_COLOUR = (240, 228, 66)  # of Okabe and Ito's palette
EMPTY = 40  # grey, without an image


def thumbnail(
    image: NDArray[np.uint8] | None,
    reference: LabelMap,
    prediction: LabelMap | None,
    spacing: Spacing,
) -> bytes:
    """Return a PNG of the slice along z with the most of the reference, with outlines.

    Parameters
    ----------
    image : uint8, (z, y, x), optional
        None: the outlines alone.
    reference, prediction : label maps, (z, y, x)
        The reference is white, the prediction yellow.
    spacing : tuple of float
        mm, (z, y, x): pixels of the picture are square.
    """
    from PIL import Image  # matplotlib needs it, so it is there; only pictures do

    shown = reference if prediction is None or (reference > 0).any() else prediction
    z = middle_of(shown > 0)[0]
    plane = np.full(reference.shape[1:], EMPTY, np.uint8) if image is None else image[z]
    size = picture_size(plane.shape, (spacing[1], spacing[2]))
    canvas = Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR).convert("RGB")
    pixels = np.array(canvas)
    for label_map, colour in ((reference, REFERENCE_COLOUR), (prediction, PREDICTION_COLOUR)):
        if label_map is not None:
            pixels[_outline(_resized(label_map[z], size))] = colour
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=False)
    return stream.getvalue()


def picture_size(shape: tuple[int, ...], spacing: tuple[float, float]) -> tuple[int, int]:
    """Return width and height in pixels of a slice, its longer side ``EDGE``."""
    height, width = (max(n * mm, 1e-6) for n, mm in zip(shape, spacing, strict=True))
    scale = EDGE / max(height, width)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _resized(labels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return the nearest label of each pixel."""
    width, height = size
    rows = ((np.arange(height) + 0.5) * labels.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * labels.shape[1] / width).astype(int)
    return labels[np.ix_(rows, columns)]


def _outline(labels: NDArray[Any]) -> Mask:
    """Return the labelled pixels that have a neighbour with another label."""
    padded = np.pad(labels, 1)
    inner = padded[1:-1, 1:-1]
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    differs = np.zeros(labels.shape, bool)
    for neighbour in neighbours:
        differs |= neighbour != inner
    outline: Mask = differs & (inner > 0)
    return outline
