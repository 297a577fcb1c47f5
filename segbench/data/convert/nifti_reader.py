"""Read NIfTI files (``.nii``, ``.nii.gz``, NIfTI-1 and NIfTI-2).

Which matrix counts: the sform if its code is above 0, else the qform if its code is above 0. A file
with neither does not say where left and right are; it is refused unless the caller states its axes.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import IO, Any

import nibabel
import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.spatialimages import HeaderDataError

from segbench.data.convert.label_voxels import compact_labels
from segbench.data.convert.nifti_scaling import scaled, slope_and_intercept
from segbench.data.convert.stored_bytes import (
    broken_files_named,
    drain,
    is_gzip,
    left_over,
    opened,
    read_array,
    read_parts,
    require_bytes,
)
from segbench.data.convert.volume import Affine, Volume, axes_affine, checked_affine, corners
from segbench.errors import CaseError
from segbench.messages import named

HEADERS: dict[int, Any] = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}
MM = {"mm": 1.0, "meter": 1000.0, "micron": 0.001, "unknown": 1.0}
SAME_MM, SAME_VOXEL = 1e-2, 0.1  # between sform and qform, which round differently
REFUSED = 40  # level of what nibabel finds wrong in a header and cannot repair


def read_nifti(
    file: Path, *, channel: int | None = None, axes: str = "", as_labels: bool = False
) -> Volume:
    """Read a volume.

    Parameters
    ----------
    file : Path
        Compressed or not, whatever its name.
    channel : int, optional
        Which volume of a file with several, from 0 on.
    axes : str
        The axes of a file that does not state them, such as ``LPS``.
    as_labels : bool
        The values must be whole numbers from 0 on, and get the smallest type that holds them.

    Raises
    ------
    CaseError
        If the file is not NIfTI, is damaged or cut off, has several volumes and no channel is
        chosen, or does not state its axes; it names the file.
    """
    with broken_files_named(file), opened(file) as stream:
        header, notes = _read_header(stream, file.name)
        shape = _shape(header, file.name)
        affine = _affine(header, axes, notes, file.name)
        scale = slope_and_intercept(header, file.name)
        n_left = _seek(stream, header, channel, file)
        dtype = header.get_data_dtype()
        if as_labels:
            parts = read_parts(stream, math.prod(shape), dtype, file.name)
            voxels = compact_labels((scaled(part, *scale) for part in parts), shape, file.name)
        else:
            voxels = scaled(read_array(stream, shape, dtype, file.name), *scale)
        if is_gzip(file):
            n_left += drain(stream)
    return Volume(voxels, affine, (*notes, *left_over(n_left)))


def _read_header(stream: IO[bytes], name: str) -> tuple[Any, list[str]]:
    """Return the header, and what was repaired in it."""
    first = stream.read(4)
    size = next((n for n in HEADERS for end in ("<", ">") if first == _packed(n, end)), None)
    if size is None:
        raise CaseError(f"{name}: expected a NIfTI file, found other content")
    block = first + stream.read(size - 4)
    if len(block) < size:
        raise CaseError(f"{name}: expected a header of {size} bytes, found {len(block)}")
    header = HEADERS[size](block, check=False)
    notes: list[str] = []
    log = logging.Logger("header")  # of its own: nibabel's would print
    log.addHandler(_Collector(notes))
    try:
        header.check_fix(logger=log, error_level=REFUSED)
    except HeaderDataError as error:
        raise CaseError(f"{name}: expected a sound NIfTI header, found {named(error)}") from None
    sizes = HEADERS[size](block, check=False)["pixdim"][1:4]
    if not (np.isfinite(sizes).all() and (sizes > 0).all()) and int(header["sform_code"]) <= 0:
        raise CaseError(f"{name}: expected voxel sizes above 0, found {sizes.tolist()}")
    return header, notes


def _packed(size: int, end: str) -> bytes:
    return np.array(size, f"{end}i4").tobytes()


class _Collector(logging.Handler):
    def __init__(self, notes: list[str]) -> None:
        super().__init__(level=logging.WARNING)
        self._notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        self._notes.append(f"NIfTI header: {record.getMessage()}")


def _affine(header: Any, axes: str, notes: list[str], name: str) -> Affine:
    """Return the matrix to mm in RAS, by the rule of this module."""
    to_mm = _unit_in_mm(header, notes)
    sform, s_code = header.get_sform(coded=True)
    qform, q_code = _qform(header)
    if s_code > 0 and sform is not None:
        affine = _in_mm(sform, to_mm, name)
        if q_code > 0:
            notes += _disagreement(affine, qform, to_mm, header)
        return affine
    if q_code > 0:
        if qform is None:
            raise CaseError(f"{name}: expected a qform that is a rotation, found another one")
        return _in_mm(qform, to_mm, name)
    if not axes:
        raise CaseError(
            f"{name}: expected a sform or a qform, found both unset: the file does not say where "
            "left and right are; state its axes with --axes, for example --axes LPS"
        )
    notes.append(f"neither sform nor qform is set; the axes are {axes}, as stated by hand")
    x, y, z = (float(size) * to_mm for size in header["pixdim"][1:4])
    return axes_affine(axes, (x, y, z))


def _unit_in_mm(header: Any, notes: list[str]) -> float:
    try:
        unit = header.get_xyzt_units()[0]
    except KeyError:
        unit = "unknown"
    factor = MM.get(unit, 1.0)
    if factor != 1:
        notes.append(f"lengths in the header are in {unit}s and were turned into mm")
    return factor


def _qform(header: Any) -> tuple[Affine | None, int]:
    """Return the qform and its code; None in place of a quaternion that is no rotation."""
    try:
        matrix, code = header.get_qform(coded=True)
    except (ValueError, HeaderDataError):
        return None, int(header["qform_code"])
    return matrix, int(code)


def _in_mm(matrix: Affine, to_mm: float, name: str) -> Affine:
    return checked_affine(np.diag([to_mm, to_mm, to_mm, 1.0]) @ matrix, name)


def _disagreement(affine: Affine, qform: Affine | None, to_mm: float, header: Any) -> list[str]:
    if qform is None:
        return ["the sform was used; the qform is no rotation"]
    other = np.diag([to_mm, to_mm, to_mm, 1.0]) @ qform
    ends = corners(tuple(header.get_data_shape()[:3]))
    distance = float(np.abs(apply_affine(affine, ends) - apply_affine(other, ends)).max())
    if distance <= min(SAME_MM, SAME_VOXEL * float(voxel_sizes(affine).min())):
        return []
    mirrored = np.linalg.det(affine[:3, :3]) * np.linalg.det(other[:3, :3]) < 0
    kind = ", one is the mirror image of the other" if mirrored else ""
    return [
        f"sform and qform differ by up to {distance:.4g} mm{kind}; the sform was used, programs "
        "that use the qform show another place"
    ]


def _shape(header: Any, name: str) -> tuple[int, ...]:
    """Return the first three axes; refuse what is no volume of numbers."""
    shape, dtype = tuple(int(n) for n in header.get_data_shape()), header.get_data_dtype()
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise CaseError(f"{name}: expected one number per voxel, found {dtype}")
    if len(shape) < 3 or min(shape) < 1:
        raise CaseError(f"{name}: expected a volume of three axes, found shape {shape}")
    return shape[:3]


def _seek(stream: IO[bytes], header: Any, channel: int | None, file: Path) -> int:
    """Go to the voxels; return how many bytes are left over, less the unread of a gzip file."""
    shape, itemsize = header.get_data_shape(), int(header.get_data_dtype().itemsize)
    n_volumes = math.prod(int(n) for n in shape[3:])
    index = chosen_channel(channel, n_volumes, file.name)
    size, offset = math.prod(int(n) for n in shape[:3]) * itemsize, int(header.get_data_offset())
    stored, compressed = file.stat().st_size, is_gzip(file)
    end = offset + size * n_volumes
    require_bytes(file.name, end, stored, compressed=compressed)
    stream.seek(offset + index * size)
    return -size * (n_volumes - index - 1) if compressed else stored - end


def chosen_channel(channel: int | None, n_channels: int, name: str) -> int:
    """Return which of a file's channels to read; refuse to choose one of several."""
    if channel is None and n_channels > 1:
        raise CaseError(
            f"{name}: expected one volume, found {n_channels}; choose one, 0 to {n_channels - 1}, "
            "with --channel (of labels: --label-channel)"
        )
    require_channel(channel, n_channels, name)
    return channel or 0


def require_channel(channel: int | None, n_channels: int, name: str) -> None:
    """Refuse a channel that a file does not have; one volume is channel 0."""
    if channel is not None and channel >= n_channels:
        there = f"from 0 to {n_channels - 1}" if n_channels > 1 else "0, as the file is one volume"
        raise CaseError(
            f"{name}: expected a channel {there}, found {channel}, from --channel (of labels: "
            "--label-channel)"
        )
