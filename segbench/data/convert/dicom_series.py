"""Read an image series of DICOM files: CT, MR and others, classic and enhanced.

Nothing but voxels, geometry and the kind of scanner leaves the header. Voxels are indexed (column,
row, slice); slices are in the order of their positions along the normal, whatever the files are
called. What is not a regular grid of grey values is refused with the file and the finding; what
was decided is in the notes of the volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset

from segbench.data.convert.dicom_files import (
    DOSE,
    SEGMENTATIONS,
    dicom_files,
    kind_of,
    listed,
    read_header,
    reading,
    short_code,
)
from segbench.data.convert.dicom_frames import FRAME_TAGS, Frame, Pixels, frames_of, pixels_of
from segbench.data.convert.dicom_grid import grid_of, ordered
from segbench.data.convert.dicom_pixels import read_voxels
from segbench.data.convert.dicom_references import ids_of
from segbench.data.convert.volume import SeriesIds, Volume, checked_affine
from segbench.errors import CaseError
from segbench.messages import counted

# what may be said of a series; other texts of the header may name a patient
MODALITIES = {"CT": "CT", "MR": "MR", "PT": "PET", "US": "US", "NM": "NM", "XA": "XA", "OT": "OT"}
Headers = list[tuple[Path, Dataset]]


def read_series(folder: Path, *, series: str | None = None) -> Volume:
    """Read the image series of a folder, or one of several.

    Parameters
    ----------
    folder : Path
        Searched with all folders in it. May also be one (enhanced) file.
    series : str, optional
        Which one: its SeriesInstanceUID, or the code of eight characters by which messages name
        it.

    Returns
    -------
    Volume
        Values after rescaling, and the affine, sheared where the gantry was tilted. Its ``notes``
        say what was unusual: MONOCHROME1, slices slightly off the grid, slopes that differ.

    Raises
    ------
    CaseError
        If there is no image series or more than one, or it is not a regular grid of grey values.
    """
    found = image_series(folder)
    with reading(folder):
        chosen = _chosen(found, series, folder)
        modality = _modality(found[chosen])
        ids = ids_of(chosen, (header for _, header in found[chosen]))
    frames: list[Frame] = []
    formats: dict[Pixels, Path] = {}
    for file, header in found[chosen]:
        with reading(file):
            formats.setdefault(pixels_of(header, file), file)
            frames.extend(frames_of(header, file))
    pixels = _one_format(formats)
    frames = ordered(frames)
    affine, notes = grid_of(frames)
    notes += _notes(frames, pixels, modality, ids)
    voxels = read_voxels(frames, pixels)
    return Volume(voxels, checked_affine(affine, str(folder)), notes, modality, ids)


def modality_of_series(folder: Path, *, series: str | None = None) -> str:
    """Return the modality of the image series of a folder, empty if it is no known one.

    All images of a series have one modality, so without ``series`` only the first is read: that
    there is but one series is found when its voxels are.
    """
    if series is not None:
        found = image_series(folder)
        with reading(folder):
            return _modality(found[_chosen(found, series, folder)])
    for file in dicom_files(folder):
        header = read_header(file, FRAME_TAGS)
        with reading(file):
            if _is_image(header, file):
                return _modality([(file, header)])
    return ""


def image_series(folder: Path) -> dict[str, Headers]:
    """Return the headers of the image files of a folder by their SeriesInstanceUID.

    Raises
    ------
    CaseError
        If there are none.
    """
    files = dicom_files(folder)
    found: dict[str, Headers] = {}
    for file in files:
        header = read_header(file, FRAME_TAGS)
        with reading(file):
            if _is_image(header, file):
                uid = str(header.get("SeriesInstanceUID", ""))
                if not uid or "Rows" not in header:
                    raise CaseError(
                        f"{file}: damaged: expected a header with series and size, found a part"
                    )
                found.setdefault(uid, []).append((file, header))
    if not found:
        raise CaseError(
            f"{folder}: expected a series of images, found none in {counted(len(files), 'file')}"
        )
    return found


def _is_image(header: Dataset, file: Path) -> bool:
    """Whether a file holds an image; one that is cut off in its header may have held one."""
    kind = str(header.get("SOPClassUID", ""))
    if not kind:
        raise CaseError(f"{file}: damaged: expected a SOPClassUID, found none")
    if kind in (*SEGMENTATIONS, DOSE):
        return False
    kinds = (kind, header.file_meta.get("MediaStorageSOPClassUID", ""))
    return "Rows" in header or any(kind_of(each).endswith("Image Storage") for each in kinds)


def _chosen(found: dict[str, Headers], series: str | None, folder: Path) -> str:
    if series is None and len(found) == 1:
        return next(iter(found))
    matching = [uid for uid in found if series in (uid, short_code(uid))]
    if len(matching) == 1:
        return matching[0]
    there = "; ".join(_described(uid, headers) for uid, headers in found.items())
    if series is None:
        raise CaseError(f"{folder}: expected one series, found {len(found)}; choose one: {there}")
    raise CaseError(f"{folder}: expected a series of it, found {series!r}; choose one: {there}")


def _described(uid: str, headers: Headers) -> str:
    """Return what may be said of a series: no text of the header."""
    first = headers[0][1]
    localizer = " localizer" if "LOCALIZER" in str(first.get("ImageType", "")).upper() else ""
    modality = _modality(headers) or "images"
    return f"{short_code(uid)} ({modality}{localizer}, {counted(len(headers), 'file')})"


def _modality(headers: Headers) -> str:
    return MODALITIES.get(str(headers[0][1].get("Modality", "")).strip(), "")


def _one_format(formats: dict[Pixels, Path]) -> Pixels:
    first, *others = formats
    if others:
        raise CaseError(
            f"{formats[others[0]]}: expected pixels as in {formats[first]}, {first}, "
            f"found {others[0]}"
        )
    return first


def _notes(
    frames: Sequence[Frame], pixels: Pixels, modality: str, ids: SeriesIds
) -> tuple[str, ...]:
    notes = []
    if len(ids.frames_of_reference) > 1:
        notes.append(
            f"the slices state {len(ids.frames_of_reference)} frames of reference; their positions "
            "were taken as those of one"
        )
    if pixels.photometric == "MONOCHROME1":
        notes.append("MONOCHROME1: low values are shown bright; values are kept, not inverted")
    scales = dict.fromkeys((frame.slope, frame.intercept) for frame in frames)
    if len(scales) > 1 and modality == "CT":
        raise CaseError(
            f"{frames[0].file}: expected one rescale slope and intercept in CT, found "
            f"{listed(list(scales))}"
        )
    if len(scales) > 1 and modality != "PET":
        notes.append(f"rescale slope and intercept differ between slices: {listed(list(scales))}")
    return tuple(notes)
