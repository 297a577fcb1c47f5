"""Small scans and labels as files, for the tests of conversion."""

from itertools import permutations, product
from pathlib import Path

import numpy as np

from segbench.data.convert.nifti import write_nifti
from segbench.data.convert.volume import axes_affine

SPACINGS = [(0.7, 0.8, 2.5), (1.0, 3.0, 1.5), (2.0, 0.5, 0.9)]  # of the axes of the file
SHAPE = (9, 11, 13)
ORIGIN = (12.5, -31.25, 7.75)
ROTATION = np.array([[0.96, -0.28, 0], [0.224, 0.768, -0.6], [0.168, 0.576, 0.8]])


def orientations() -> list[str]:
    """Return the 48 ways to name three axes."""
    pairs = permutations(["LR", "PA", "IS"])
    return ["".join(letters) for order in pairs for letters in product(*order)]


def affine_of(axes="LPS", spacing=SPACINGS[0], rotation=None):
    """Return the matrix of a file with these axes, as float32 holds it."""
    affine = axes_affine(axes, spacing)
    if rotation is not None:
        affine[:3, :3] = rotation @ affine[:3, :3]
    affine[:3, 3] = ORIGIN
    return affine.astype(np.float32).astype(np.float64)


def scan(seed=0, shape=SHAPE):
    """Return an image in Hounsfield units and a label map with the labels 1 and 3."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    labels[1:4, 2:6, 3:9] = 1
    labels[5:8, 6:10, 2:12] = 3
    image = rng.integers(-1000, 1000, shape).astype(np.int16)
    return image, labels


def write_pair(folder: Path, name="scan", affine=None, **changes):
    """Write an image and its labels; return their files."""
    image, labels = scan()
    affine = affine_of() if affine is None else affine
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / f"{name}_img.nii.gz", folder / f"{name}_seg.nii.gz"
    write_nifti(files[0], changes.get("image", image), affine)
    write_nifti(files[1], changes.get("labels", labels), changes.get("label_affine", affine))
    return files
