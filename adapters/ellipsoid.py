"""A floor: fills the ellipsoid inscribed in its box, then paints or erases a ball per click."""

from __future__ import annotations

import numpy as np

from segbench.core import AdapterInfo, Image, Interactions, LabelMap, Mask, Voxel
from segbench.models.prompt_painting import paint


def inscribed_ellipsoid(size: Voxel) -> Mask:
    """Return the mask of the voxels whose centres lie in the ellipsoid that touches the box."""
    z, y, x = ((2 * np.arange(n) + 1 - n) / n for n in size)
    mask: Mask = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= 1
    return mask


class Ellipsoid:
    """Never looks at the image; on organs and tumours it is a strong floor."""

    info = AdapterInfo("ellipsoid", version="1", licence="Apache-2.0")

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Nothing to remember: the prompts say it all."""

    def predict(self, interactions: Interactions) -> LabelMap:
        """Paint all prompts anew."""
        return paint(interactions, inscribed_ellipsoid)

    def close(self) -> None:
        """Nothing to release."""


def make_adapter() -> Ellipsoid:
    """Make the adapter; it takes no options."""
    return Ellipsoid()
