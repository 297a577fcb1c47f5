"""What a model is: `Adapter` is what an author writes, `ModelHandle` what the protocol calls.

Standard library and numpy only, syntax of Python 3.9: adapters import this in foreign environments.
"""

from __future__ import annotations

from typing import Protocol

from segbench.core import AdapterInfo, Image, Interactions, LabelMap, StepOutput


class Adapter(Protocol):
    """One model that segments one image at a time, prompt by prompt.

    A method ``close()`` is optional: it releases device memory and processes. An adapter with an
    attribute ``outlives_worker`` that is true is closed also when its worker is terminated: it
    holds something that is no child of the worker, such as a container.
    """

    info: AdapterInfo

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Start a new image; everything known of the last one is void.

        Parameters
        ----------
        image : Image
            Voxels (z, y, x) as stored, and the spacing in mm.
        labels : tuple of int
            The labels to segment, ascending.
        """

    def predict(self, interactions: Interactions) -> LabelMap:
        """Return the label map after all prompts so far.

        The result must be the same whether or not the earlier steps were predicted by this
        instance: after a crash another instance continues in the middle of a case.

        Returns
        -------
        unsigned integer array, shape (z, y, x) of the image
            0 is background.
        """


class ModelHandle(Protocol):
    """A model that the protocol can prompt, in this process or in another."""

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Set a new image; if the model cannot take it, its outputs are failures."""

    def predict(self, interactions: Interactions) -> StepOutput:
        """Return the model's output, in an array that does not change afterwards.

        A failure of the model is an output, never an exception.
        """
