"""A lower bound: fill the ellipsoid inscribed in each box, then paint or erase a ball per click."""

from __future__ import annotations

import numpy as np

from segbench.core import AdapterInfo, Image, Interactions, LabelMap, Mask, Voxel
from segbench.models.prompt_painting import paint_prompts


def inscribed_ellipsoid(size: Voxel) -> Mask:
    """Return the mask of the voxels whose centres are in the box's inscribed ellipsoid."""
    z, y, x = ((2 * np.arange(n) + 1 - n) / n for n in size)
    mask: Mask = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= 1
    return mask


class Ellipsoid:
    """Ignore the image; a strong baseline on organs and tumours."""

    info = AdapterInfo("ellipsoid", version="1", licence="Apache-2.0")

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Ignore the image."""

    def predict(self, interactions: Interactions) -> LabelMap:
        """Paint all prompts."""
        return paint_prompts(interactions, inscribed_ellipsoid)


def make_adapter() -> Ellipsoid:
    """Make the adapter; it takes no options."""
    return Ellipsoid()
