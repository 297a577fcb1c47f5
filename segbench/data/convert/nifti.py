"""Write NIfTI files, whole or not at all; equal arrays give equal bytes."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from segbench.data.convert.volume import STRAIGHT, Affine, shear_of
from segbench.files import atomic_write

LONGEST_AXIS = 32767  # of NIfTI-1
SCANNER = 1  # the code of a matrix that leads to the scanner's coordinates


def write_nifti(  # noqa: PLR0913
    file: Path,
    voxels: NDArray[Any],
    affine: Affine,
    *,
    code: int = SCANNER,
    level: int = 6,
    description: str = "",
) -> None:
    """Write a volume as ``.nii`` or, by its name, as ``.nii.gz``.

    sform and qform both hold the matrix. A sheared one fits into the sform only: then the qform is
    marked as unset, so that no program reads another grid from it.

    Parameters
    ----------
    file : Path
    voxels : array, shape (i, j, k)
        In the order of the axes of ``affine``. bool becomes uint8, float16 becomes float32, and
        64-bit integers become the smallest type that holds them.
    affine : array, shape (4, 4)
        From voxel index to mm in RAS.
    code : int
        Of sform and qform: 1 scanner, 2 aligned, 3 Talairach, 4 MNI, 5 template.
    level : int
        Of the compression.
    description : str
        The header's description, at most 79 ASCII characters.
    """
    long = max(voxels.shape) > LONGEST_AXIS
    kind: Any = nibabel.Nifti2Image if long else nibabel.Nifti1Image
    image = kind(_storable(voxels), None)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode("ascii", "replace")[:79]
    image.set_sform(affine, code)
    image.set_qform(affine, 0 if shear_of(affine) > STRAIGHT else code)
    with atomic_write(file) as stream, _compressed(file, stream, level) as to:
        image.to_stream(to)


@contextmanager
def _compressed(file: Path, stream: IO[bytes], level: int) -> Iterator[Any]:
    if not file.name.endswith(".gz"):
        yield stream
        return
    with gzip.GzipFile("", "wb", level, stream, mtime=0) as compressed:
        yield compressed


def _storable(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return the array with a type that NIfTI has."""
    if voxels.dtype.kind == "b":
        return voxels.astype(np.uint8)
    if voxels.dtype == np.float16:
        return voxels.astype(np.float32)
    if voxels.dtype.kind in "iu" and voxels.dtype.itemsize == 8:
        low, high = int(voxels.min(initial=0)), int(voxels.max(initial=0))
        for kind in (np.uint8, np.int16, np.uint16, np.int32, np.uint32):
            if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return voxels.astype(kind)
    return voxels
