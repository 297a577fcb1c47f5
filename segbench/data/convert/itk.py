"""Read MetaImage (``.mha``, ``.mhd``) and NRRD (``.nrrd``, ``.nhdr``) files by SimpleITK."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from segbench.data.convert.itk_header import VoxelData, read_itk_header
from segbench.data.convert.label_voxels import compact_labels
from segbench.data.convert.nifti_reader import chosen_channel
from segbench.data.convert.slabs import slabs
from segbench.data.convert.stored_bytes import broken_files_named, left_over
from segbench.data.convert.volume import (
    Affine,
    LabelVolume,
    Volume,
    axes_affine,
    checked_affine,
)
from segbench.errors import CaseError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
BYTES = {
    **dict.fromkeys((sitk.sitkUInt8, sitk.sitkInt8), 1),
    **dict.fromkeys((sitk.sitkUInt16, sitk.sitkInt16), 2),
    **dict.fromkeys((sitk.sitkUInt32, sitk.sitkInt32, sitk.sitkFloat32), 4),
    **dict.fromkeys((sitk.sitkUInt64, sitk.sitkInt64, sitk.sitkFloat64), 8),
    **dict.fromkeys((sitk.sitkVectorUInt8, sitk.sitkVectorInt8), 1),
    **dict.fromkeys((sitk.sitkVectorUInt16, sitk.sitkVectorInt16), 2),
    **dict.fromkeys((sitk.sitkVectorUInt32, sitk.sitkVectorInt32, sitk.sitkVectorFloat32), 4),
    **dict.fromkeys((sitk.sitkVectorUInt64, sitk.sitkVectorInt64, sitk.sitkVectorFloat64), 8),
}

WIDE: dict[
    int, np.dtype[Any]
] = {  # pixels of one number that are wider than those of most label maps
    **{sitk.sitkUInt32: np.dtype(np.uint32), sitk.sitkInt32: np.dtype(np.int32)},
    **{sitk.sitkUInt64: np.dtype(np.uint64), sitk.sitkInt64: np.dtype(np.int64)},
    **{sitk.sitkFloat32: np.dtype(np.float32), sitk.sitkFloat64: np.dtype(np.float64)},
}


def read_itk(
    file: Path, *, channel: int | None = None, axes: str = "", as_labels: bool = False
) -> Volume:
    """Read a volume.

    Parameters
    ----------
    file : Path
    channel : int, optional
        Which component, or which volume along the fourth axis, of a file with several; from 0 on.
    axes : str
        The axes of a file that does not state them, such as ``LPS``.
    as_labels : bool
        The values must be whole numbers from 0 on, and get the smallest type that holds them.

    Raises
    ------
    CaseError
        If the file is foreign, damaged or cut off, has several channels and none is chosen, or
        does not state its axes; it names the file.
    """
    with broken_files_named(file):
        data = read_itk_header(file)
        reader = _information(file)
        stated = _require_orientation(data, axes, file.name)
        n_left = data.require(_n_bytes(reader, file.name), file.name)
        affine = _affine(reader, axes if stated else "", file.name)
        voxels = (
            _labels(reader, data, channel, file) if as_labels else _voxels(reader, channel, file)
        )
        return Volume(voxels, affine, (*data.notes, *stated, *left_over(n_left)))


def read_itk_labels(file: Path, *, channel: int | None = None, axes: str = "") -> LabelVolume:
    """Read a label map; a segmentation of 3D Slicer has names, too.

    3D Slicer stores segments that overlap in layers, which are channels. Values count in a layer.
    """
    with broken_files_named(file):
        reader = _information(file)
        names = _segment_names(reader, layer=channel or 0)
    return LabelVolume(read_itk(file, channel=channel, axes=axes, as_labels=True), names)


def _information(file: Path) -> Any:
    reader = sitk.ImageFileReader()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise CaseError(
            f"{file.name}: expected a file that ITK can read, found {_reason(error, file)}"
        ) from None
    return reader


def _reason(error: RuntimeError, file: Path) -> str:
    """Return the last line of what ITK says: the others name places in its source."""
    text = str(error).replace(f"{file.parent}/", "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rpartition(": ")[2] if lines else "SimpleITK gives no reason"


def _require_orientation(data: VoxelData, axes: str, name: str) -> tuple[str, ...]:
    if data.has_orientation:
        return ()
    if not axes:
        raise CaseError(
            f"{name}: expected the directions of its axes, found none: the file does not say where "
            "left and right are; state its axes with --axes, for example --axes LPS"
        )
    return (f"the file has no directions; the axes are {axes}, as stated by hand",)


def _n_bytes(reader: Any, name: str) -> int:
    size, pixel = reader.GetSize(), reader.GetPixelID()
    if pixel not in BYTES:
        raise CaseError(f"{name}: expected numbers as voxels, found another type")
    if min(size) < 1 or len(size) not in (3, 4):
        raise CaseError(f"{name}: expected a volume of three axes, found {len(size)}: {size}")
    n_voxels = 1
    for length in size:
        n_voxels *= length
    return int(n_voxels * BYTES[pixel] * reader.GetNumberOfComponents())


def _affine(reader: Any, axes: str, name: str) -> Affine:
    """Return the matrix to mm in RAS of the first three axes."""
    n_axes = reader.GetDimension()
    x, y, z = reader.GetSpacing()[:3]
    if axes:
        return axes_affine(axes, (x, y, z))
    direction = np.array(reader.GetDirection()).reshape(n_axes, n_axes)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * (x, y, z)
    affine[:3, 3] = reader.GetOrigin()[:3]
    return checked_affine(LPS_TO_RAS @ affine, name)


def _voxels(reader: Any, channel: int | None, file: Path) -> NDArray[Any]:
    n_volumes = reader.GetSize()[3] if reader.GetDimension() == 4 else 1
    n_components = reader.GetNumberOfComponents()
    if n_volumes > 1 and n_components > 1:
        raise CaseError(f"{file.name}: expected one number per voxel, found {n_components}")
    index = chosen_channel(channel, n_volumes * n_components, file.name)
    if reader.GetDimension() == 4:
        reader.SetExtractSize([*reader.GetSize()[:3], 0])
        reader.SetExtractIndex([0, 0, 0, index if n_volumes > 1 else 0])
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise CaseError(
            f"{file.name}: expected a file that ITK can read, found {_reason(error, file)}"
        ) from None
    view = sitk.GetArrayViewFromImage(image)
    if n_components > 1:
        view = view[..., index]
    voxels: NDArray[Any] = np.array(view).transpose(2, 1, 0)
    return voxels


def _labels(reader: Any, data: VoxelData, channel: int | None, file: Path) -> NDArray[Any]:
    """Return a label map in the smallest type; one of large numbers is never read as a whole."""
    shape, dtype = reader.GetSize(), WIDE.get(reader.GetPixelID())
    if dtype is not None and len(shape) == 3 and not data.skips:
        chosen_channel(channel, 1, file.name)
        parts = data.parts(math.prod(shape), dtype, file.name)
        return compact_labels(parts, shape, file.name)
    voxels = _voxels(reader, channel, file)
    whole = voxels.ravel(order="K")  # the order of the file, without a copy
    parts = (whole[at] for at in slabs(whole.shape))
    return compact_labels(parts, voxels.shape, file.name) if whole.itemsize > 2 else voxels


def _segment_names(reader: Any, *, layer: int) -> dict[int, str]:
    """Return the names in a layer of a ``.seg.nrrd`` of 3D Slicer."""
    facts = {key: reader.GetMetaData(key).strip() for key in reader.GetMetaDataKeys()}
    names, number = {}, 0
    while f"Segment{number}_LabelValue" in facts:
        value, name = (facts.get(f"Segment{number}_{key}", "") for key in ("LabelValue", "Name"))
        if value.isdecimal() and name and facts.get(f"Segment{number}_Layer", "0") == str(layer):
            names[int(value)] = name
        number += 1
    return names
