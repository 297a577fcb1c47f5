"""The upper bound: the reference itself from a chosen step on; shown in reports, never ranked.

It checks a set-up (``--model oracle --option references=DATA`` must score 1) and gives tests a
model with known outputs. The contract never passes the reference to it: it finds the case in a
folder by the image's voxels.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.core import AdapterInfo, Image, Interactions, LabelMap
from segbench.data.challenge_npz import ChallengeFile
from segbench.errors import AdapterError


def image_sha256(image: NDArray[Any]) -> str:
    """Return a hash of an image's dtype, shape and voxels."""
    digest = hashlib.sha256(f"{image.dtype.str} {image.shape}".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def has_image(file: Path) -> bool:
    """Whether a case file has an image."""
    with ChallengeFile(file) as case:
        return "imgs" in case.keys


class Oracle:
    """Return background before step ``from_step``, then the reference."""

    def __init__(self, references: Path, images: Path, from_step: int) -> None:
        self.info = AdapterInfo(
            "oracle", version="1", licence="Apache-2.0", prompts=(), sees_reference=True
        )
        self._from_step = from_step
        self._references, self._images = references, images
        self._unread = sorted(images.rglob("*.npz"))
        self._known: dict[str, Path] = {}
        if self._unread and not any(map(has_image, self._unread)):
            self._refuse_without_images()

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Find the image's case in the folder."""
        found = self._find(image_sha256(image.voxels)).relative_to(self._images)
        if not (self._references / found).is_file():
            raise AdapterError(
                f"oracle: references: expected a file {found}, as in images, found none"
            )
        with ChallengeFile(self._references / found) as file:
            self._reference: LabelMap = file.read("gts")

    def _refuse_without_images(self) -> None:
        option, advice = "images", ""
        if self._images == self._references:
            option, advice = "references", "; name their folder: --option images=DIR"
        raise AdapterError(
            f"oracle: {option}: expected files with images (the key imgs), found none in "
            f"{self._images}{advice}"
        )

    def _find(self, sha256: str) -> Path:
        while sha256 not in self._known:
            if not self._unread:
                raise AdapterError(f"oracle: no case in {self._images} has this image")
            file = self._unread.pop(0)
            if not has_image(file):  # of references in a folder inside that of the images
                continue
            with ChallengeFile(file) as case:
                self._known[image_sha256(case.read("imgs"))] = file
        return self._known[sha256]

    def predict(self, interactions: Interactions) -> LabelMap:
        """Return the reference or, before ``from_step``, background."""
        is_too_early = interactions.step < self._from_step
        return np.zeros_like(self._reference) if is_too_early else self._reference


def make_adapter(references: str, from_step: int = 0, images: str = "") -> Oracle:
    """Make the adapter.

    Parameters
    ----------
    references
        The folder of the files with ``gts``.
    from_step
        The first step that returns the reference; earlier ones return background.
    images
        The folder of the files with ``imgs``, if it is another one: with the same names below it.
    """
    for option, folder in (("references", references), ("images", images or references)):
        if not Path(folder).is_dir():
            raise AdapterError(f"oracle: {option}: expected a folder of cases, found {folder!r}")
    return Oracle(Path(references), Path(images or references), from_step)
