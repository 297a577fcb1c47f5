"""The lowest floor: answers that nothing is there, whatever it is told."""

from __future__ import annotations

import numpy as np

from segbench.core import AdapterInfo, Image, Interactions, LabelMap


class Empty:
    """Hears no prompt; every score it gets is a gift of the metric."""

    info = AdapterInfo("empty", version="1", licence="Apache-2.0", prompts=())

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Note the shape."""
        self._shape = image.voxels.shape

    def predict(self, interactions: Interactions) -> LabelMap:
        """Answer background."""
        return np.zeros(self._shape, np.uint8)

    def close(self) -> None:
        """Nothing to release."""


def make_adapter() -> Empty:
    """Make the adapter; it takes no options."""
    return Empty()
