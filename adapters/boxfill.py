"""A lower bound: fill each box, then paint or erase a ball at every click."""

from __future__ import annotations

import numpy as np

from segbench.core import AdapterInfo, Image, Interactions, LabelMap, Mask, Voxel
from segbench.models.prompt_painting import paint_prompts


def filled_box(size: Voxel) -> Mask:
    """Return the mask of a filled box."""
    return np.ones(size, bool)


class BoxFill:
    """Ignore the image; a model that uses it should score higher."""

    info = AdapterInfo("boxfill", version="1", licence="Apache-2.0")

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Ignore the image."""

    def predict(self, interactions: Interactions) -> LabelMap:
        """Paint all prompts."""
        return paint_prompts(interactions, filled_box)


def make_adapter() -> BoxFill:
    """Make the adapter; it takes no options."""
    return BoxFill()
