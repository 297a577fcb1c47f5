"""NIfTI files from arrays, complete or not at all; equal arrays give equal bytes."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import IO, Any, cast

import nibabel
import numpy as np
from numpy.typing import NDArray

from segbench.data.convert.volume import Affine
from segbench.files import atomic_write

SCANNER = 1  # the code of a matrix to the coordinates of the scanner
LEVEL = 3  # of the compression: higher ones take far longer and save little


def write_nifti(file: Path, voxels: NDArray[Any], affine: Affine, *, description: str = "") -> None:
    """Write a volume as ``.nii.gz``, or as ``.nii``.

    Parameters
    ----------
    file : Path
        Where it will be; the suffix decides whether it is compressed.
    voxels : array, shape (i, j, k)
        Numbers. Types that NIfTI does not have, or that few programs read, become the smallest
        type that holds the values.
    affine : array, shape (4, 4)
        From voxel index to mm in RAS; stored as sform. The qform is the nearest one without shear.
    description : str
        At most 79 ASCII characters.
    """
    stored = voxels.astype(_stored_dtype(voxels), copy=False)
    image = nibabel.Nifti1Image(stored, affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode("ascii", "replace")[:79]
    image.set_sform(affine, code=SCANNER)
    image.set_qform(affine, code=SCANNER)
    with atomic_write(file) as to:
        if file.suffix != ".gz":
            image.to_stream(_as_stream(to))
            return
        # without name and time, so that the bytes depend on the content only
        with gzip.GzipFile("", "wb", LEVEL, to, mtime=0) as compressed:
            image.to_stream(compressed)


def _as_stream(stream: IO[bytes]) -> io.IOBase:
    return cast("io.IOBase", stream)


def _stored_dtype(voxels: NDArray[Any]) -> np.dtype[Any]:
    """Return the type for the file: one that common programs read."""
    dtype = voxels.dtype
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind == "f":
        return np.dtype(np.float32 if dtype.itemsize <= 4 else np.float64)
    if dtype.itemsize == 8:
        low, high = (int(voxels.min()), int(voxels.max())) if voxels.size else (0, 0)
        dtype = np.result_type(np.min_scalar_type(low), np.min_scalar_type(high))
        return dtype if dtype.itemsize < 8 and dtype.kind != "f" else np.dtype(np.float64)
    return dtype.newbyteorder("=")
