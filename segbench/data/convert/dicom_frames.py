"""The slices of DICOM images: where each is, and how its numbers become values.

A classic file is one slice; an enhanced one has many, each with its own or shared functional
groups. Both become a `Frame` per slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import HTJ2K, UID, HTJ2KLossless, HTJ2KLosslessRPCL

from segbench.data.convert.dicom_files import numbers, whole
from segbench.errors import CaseError

FRAME_TAGS = (
    *("SOPClassUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality", "ImageType"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "ModalityLUTSequence"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("RescaleSlope", "RescaleIntercept"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
LARGEST_FRAME = 2**26  # pixels of a compressed frame, whose size its file does not show


@dataclass(frozen=True)
class Pixels:
    """How the pixels of a file are stored."""

    rows: int
    columns: int
    bits: int  # that each takes
    signed: bool
    photometric: str


@dataclass(frozen=True)
class Plane:
    """Where the pixels of a frame are, in mm in LPS as DICOM has it."""

    position: tuple[float, ...]  # of the centre of the first pixel
    orientation: tuple[float, ...]  # along a row, then along a column
    spacing: tuple[float, ...]  # from row to row, then from column to column


@dataclass(frozen=True)
class Frame:
    """One slice of an image."""

    file: Path
    number: int  # in its file, from 0
    plane: Plane
    slope: float
    intercept: float


def groups_of(header: Dataset, file: Path) -> list[Dataset]:
    """Return the functional groups of each frame; a classic file has one frame and no groups.

    Raises
    ------
    CaseError
        If there are more or fewer of them than frames.
    """
    count = whole(header, "NumberOfFrames", file) if header.get("NumberOfFrames") else 1
    groups = list(header.get("PerFrameFunctionalGroupsSequence") or [])
    if not groups and count == 1:
        return [Dataset()]
    if len(groups) != count:
        raise CaseError(
            f"{file}: expected a position of each of {count} frames, found {len(groups)}"
        )
    return groups


def functional_group(header: Dataset, group: Dataset, sequence: str) -> Dataset:
    """Return the item that describes a frame: its own, that of all frames, or the header."""
    shared = header.get("SharedFunctionalGroupsSequence") or [Dataset()]
    for place in (group, shared[0]):
        if items := place.get(sequence):
            found: Dataset = items[0]
            return found
    return header


def plane_of(header: Dataset, group: Dataset, file: Path) -> Plane:
    """Return where a frame is.

    Raises
    ------
    CaseError
        If that is not said, or the rows are not perpendicular to the columns.
    """
    position = functional_group(header, group, "PlanePositionSequence")
    orientation = functional_group(header, group, "PlaneOrientationSequence")
    measures = functional_group(header, group, "PixelMeasuresSequence")
    if "ImagePositionPatient" not in position or "ImageOrientationPatient" not in orientation:
        raise CaseError(
            f"{file}: expected position and orientation of each slice, found none (a secondary "
            "capture, a screenshot or a projection?)"
        )
    plane = Plane(
        numbers(position, "ImagePositionPatient", 3, file),
        numbers(orientation, "ImageOrientationPatient", 6, file),
        numbers(measures, "PixelSpacing", 2, file),
    )
    axes = np.reshape(plane.orientation, (2, 3))
    if np.abs(axes @ axes.T - np.eye(2)).max() > 1e-3:
        raise CaseError(f"{file}: expected perpendicular rows and columns, found {axes.tolist()}")
    if min(plane.spacing) <= 0:
        raise CaseError(f"{file}: expected a positive PixelSpacing, found {plane.spacing}")
    return plane


def frames_of(header: Dataset, file: Path) -> Iterator[Frame]:
    """Yield the frames of a file of an image."""
    if header.get("ModalityLUTSequence"):
        raise CaseError(f"{file}: expected rescale slope and intercept, found a modality LUT")
    for number, group in enumerate(groups_of(header, file)):
        scale = functional_group(header, group, "PixelValueTransformationSequence")
        yield Frame(file, number, plane_of(header, group, file), *_rescale(scale, file))


def pixels_of(header: Dataset, file: Path) -> Pixels:
    """Return how the pixels of an image are stored.

    Raises
    ------
    CaseError
        If they have colours, need a decoder that is not there, or cannot fit into their file.
    """
    samples = whole(header, "SamplesPerPixel", file)
    photometric = str(header.get("PhotometricInterpretation", "")).strip()
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise CaseError(f"{file}: expected grey values, found colours ({samples} samples a pixel)")
    bits = check_size(header, file)
    stored, signed = whole(header, "BitsStored", file), whole(header, "PixelRepresentation", file)
    if (
        whole(header, "HighBit", file) != stored - 1
        or not 0 < stored <= bits
        or signed not in (0, 1)
    ):
        raise CaseError(f"{file}: expected bits 0 to n - 1 of each pixel, found other ones")
    rows, columns = whole(header, "Rows", file), whole(header, "Columns", file)
    return Pixels(rows, columns, bits, bool(signed), photometric)


def check_size(header: Dataset, file: Path) -> int:
    """Return the bits of a pixel, after a look at whether all pixels can be in the file.

    Raises
    ------
    CaseError
        If they cannot, or need a decoder that is not there.
    """
    bits = whole(header, "BitsAllocated", file)
    pixels = whole(header, "Rows", file) * whole(header, "Columns", file)
    if pixels <= 0 or bits not in (1, 8, 16, 32, 64):
        raise CaseError(f"{file}: expected pixels of 8, 16 or 32 bits, found {pixels} of {bits}")
    syntax = UID(str(header.file_meta.get("TransferSyntaxUID", "")))
    _check_decoder(syntax, file)
    frames = max(1, int(header.get("NumberOfFrames") or 1))
    size = file.stat().st_size
    if syntax.is_encapsulated or syntax.is_deflated:
        if pixels > LARGEST_FRAME:
            raise CaseError(f"{file}: expected frames up to {LARGEST_FRAME} pixels, found {pixels}")
    elif (needed := -(-pixels * frames * bits // 8)) > size:
        raise CaseError(f"{file}: truncated: expected {needed} bytes of pixels, found {size} bytes")
    return bits


def _check_decoder(syntax: UID, file: Path) -> None:
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise CaseError(
            f"{file}: expected a transfer syntax of images, found another one"
        ) from None
    if not decoder.is_available:
        high_throughput = syntax in (HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL)
        package = "pylibjpeg pylibjpeg-openjpeg" if high_throughput else "python-gdcm"
        raise CaseError(
            f"{file}: expected pixels that the decoders here can read, found {syntax.name}; "
            f"pip install {package}"
        )


def _rescale(item: Dataset, file: Path) -> tuple[float, float]:
    if item.get("RescaleSlope") is None and item.get("RescaleIntercept") is None:
        return 1.0, 0.0
    (slope,), (intercept,) = (
        numbers(item, keyword, 1, file) for keyword in ("RescaleSlope", "RescaleIntercept")
    )
    if slope == 0:
        raise CaseError(f"{file}: expected a rescale slope other than 0, found 0")
    return slope, intercept
