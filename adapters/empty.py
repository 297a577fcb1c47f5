"""The lowest bound: an empty segmentation for all prompts."""

from __future__ import annotations

import numpy as np

from segbench.core import AdapterInfo, Image, Interactions, LabelMap


class Empty:
    """Ignore all prompts; any score above 0 comes from how the metric treats empty masks."""

    info = AdapterInfo("empty", version="1", licence="Apache-2.0", prompts=())

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Store the shape."""
        self._shape = image.voxels.shape

    def predict(self, interactions: Interactions) -> LabelMap:
        """Return background."""
        return np.zeros(self._shape, np.uint8)


def make_adapter() -> Empty:
    """Make the adapter; it takes no options."""
    return Empty()
