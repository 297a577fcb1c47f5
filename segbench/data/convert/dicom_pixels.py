"""The values of DICOM images, read one slice after another into one array.

Values are rescaled (CT in HU, PET in the units of the file) but not windowed. They keep the stored
type where no slice is rescaled, are int16 (or larger, where needed) where slope and intercept are
whole, and float32 elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.utils import iter_pixels

from segbench.data.convert.dicom_files import read_all, reading, whole
from segbench.data.convert.dicom_frames import Frame, Pixels
from segbench.errors import CaseError

WHOLE = 2.0**31  # slopes and intercepts below it are computed exactly in 64 bits
INTEGERS = (np.int16, np.int32, np.int64)


def read_voxels(frames: Sequence[Frame], pixels: Pixels) -> NDArray[Any]:
    """Return the values of frames as (column, row, slice), slices in the order of ``frames``.

    Raises
    ------
    CaseError
        If pixels are damaged, cut off, or do not fit into memory.
    """
    places = {(frame.file, frame.number): index for index, frame in enumerate(frames)}
    volume: NDArray[Any] | None = None
    kind = _kind(frames)
    for file in dict.fromkeys(frame.file for frame in frames):
        for number, stored in enumerate(stored_frames(file)):
            index = places.pop((file, number), None)
            if index is None:
                raise CaseError(f"{file}: expected the frames of its header, found more")
            values = _rescaled(stored, frames[index], kind)
            if volume is None:
                shape = (len(frames), pixels.rows, pixels.columns)
                volume = _empty(shape, values.dtype, file)
            volume = _grown(volume, values.dtype)
            if values.shape != volume.shape[1:]:
                raise CaseError(f"{file}: expected {volume.shape[1:]}, found {values.shape}")
            volume[index] = values
    if volume is None or places:
        raise CaseError(
            f"{frames[0].file}: expected {len(frames)} slices, found {len(frames) - len(places)}"
        )
    return volume.transpose(2, 1, 0)


def stored_frames(file: Path) -> Iterator[NDArray[Any]]:
    """Yield the pixels of a file as stored, (row, column), one frame after another.

    Raises
    ------
    CaseError
        If they are damaged or not as long as the header says.
    """
    with reading(file):
        dataset = read_all(file)
        native = not dataset.file_meta.TransferSyntaxUID.is_encapsulated
        if native:
            _check_length(dataset, file)
    if native and dataset.BitsAllocated == 1:
        frames = _unpacked(dataset)
    else:
        # bits beyond those stored are looked at in _check_range; decoders need them corrected
        options: dict[str, Any] = {"correct_unused_bits": False} if native else {}
        frames = iter_pixels(dataset, raw=True, **options)
    while True:
        with reading(file):  # not around the yield: what the caller raises is the caller's
            frame = _next(frames, file)
            if frame is not None and frame.dtype.kind in "iu":
                _check_range(frame, dataset, file)
        if frame is None:
            return
        yield frame


def _next(frames: Iterator[NDArray[Any]], file: Path) -> NDArray[Any] | None:
    try:
        return next(frames, None)
    except RuntimeError:  # every decoder that is there gave up
        raise CaseError(
            f"{file}: expected pixels that can be decoded, found damaged ones or a compression "
            "that other decoders may know; pip install python-gdcm"
        ) from None


def _unpacked(dataset: Dataset) -> Iterator[NDArray[Any]]:
    """Yield frames of one bit a pixel; pydicom 3.0 takes only those that end with a byte."""
    shape = (int(dataset.Rows), int(dataset.Columns))
    packed = np.frombuffer(dataset.PixelData, np.uint8)
    for first in range(0, int(dataset.get("NumberOfFrames") or 1) * prod(shape), prod(shape)):
        held = packed[first // 8 : -(-(first + prod(shape)) // 8)]
        bits = np.unpackbits(held, bitorder="little")
        yield bits[first % 8 :][: prod(shape)].reshape(shape)


def _check_length(dataset: Dataset, file: Path) -> None:
    """Raise an error if the pixels are not as many as header says; some padding is usual."""
    found = next(
        (
            len(dataset[name].value)
            for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
            if name in dataset
        ),
        0,
    )
    frames = max(1, int(dataset.get("NumberOfFrames") or 1))
    row = whole(dataset, "Columns", file) * whole(dataset, "BitsAllocated", file)
    expected = -(-frames * whole(dataset, "Rows", file) * row // 8)
    if not expected <= found < expected + max(row // 8, 2):
        raise CaseError(f"{file}: expected {expected} bytes of pixels, found {found}")


def _check_range(frame: NDArray[Any], dataset: Dataset, file: Path) -> None:
    """Raise an error if pixels use bits that are not theirs: damage, or an overlay in them."""
    bits = whole(dataset, "BitsStored", file)
    low, high = (
        (-(1 << bits - 1), (1 << bits - 1) - 1) if frame.dtype.kind == "i" else (0, (1 << bits) - 1)
    )
    if frame.size and not low <= int(frame.min()) <= int(frame.max()) <= high:
        raise CaseError(
            f"{file}: expected pixels of {bits} bits, found larger values or an overlay"
        )


def _kind(frames: Sequence[Frame]) -> str:
    """Return what rescaling makes of integers: ``stored``, ``whole`` or ``float``."""
    scales = {(frame.slope, frame.intercept) for frame in frames}
    if scales == {(1.0, 0.0)}:
        return "stored"
    exact = all(value.is_integer() and abs(value) < WHOLE for pair in scales for value in pair)
    return "whole" if exact else "float"


def _rescaled(stored: NDArray[Any], frame: Frame, kind: str) -> NDArray[Any]:
    if kind == "stored":
        return stored
    if kind == "float" or stored.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            return (stored * frame.slope + frame.intercept).astype(np.float32)
    values = stored.astype(np.int64) * int(frame.slope) + int(frame.intercept)
    low, high = int(values.min()), int(values.max())
    fitting = (
        each for each in INTEGERS if np.iinfo(each).min <= low and high <= np.iinfo(each).max
    )
    return values.astype(next(fitting))


def _grown(volume: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    larger = np.promote_types(volume.dtype, kind)
    return volume if larger == volume.dtype else volume.astype(larger)


def _empty(shape: tuple[int, int, int], kind: np.dtype[Any], file: Path) -> NDArray[Any]:
    try:
        return np.empty(shape, kind)
    except MemoryError:
        raise CaseError(f"{file}: expected memory for {shape} voxels, found too little") from None
