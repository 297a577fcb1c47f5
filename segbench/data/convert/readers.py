"""Read a scan or its labels, by the kind of file."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from segbench.data.convert.dicom import read_labels as read_dicom_labels
from segbench.data.convert.dicom import read_series
from segbench.data.convert.dicom_series import modality_of_series
from segbench.data.convert.itk import read_itk, read_itk_labels
from segbench.data.convert.itk_header import read_itk_header
from segbench.data.convert.nifti_reader import read_nifti, require_channel
from segbench.data.convert.volume import LabelVolume, Volume
from segbench.errors import CaseError
from segbench.files import sha256_of

NIFTI = (".nii", ".nii.gz")
ITK = (".mha", ".mhd", ".nrrd", ".nhdr")
DICOM = (".dcm", ".dicom", ".ima")
OF_NIBABEL = (".mgz", ".mgh", ".hdr", ".img")  # which nibabel turns into NIfTI
SUFFIXES = tuple(sorted((*NIFTI, *ITK), key=len, reverse=True))
PREAMBLE, MAGIC = 128, b"DICM"


@dataclass(frozen=True)
class ReadingOptions:
    """What a user says about files that do not say it."""

    channel: int | None = None
    label_channel: int | None = None
    axes: str = ""  # of files that do not state them
    series: str | None = None  # of a folder with several DICOM series


def suffix_of(file: Path) -> str:
    """Return the suffix of a file of volumes, such as ``.nii.gz``; empty if it has none."""
    name = file.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")


def stem_of(file: Path) -> str:
    """Return the name of a file or series folder without the suffix of volumes or of DICOM."""
    suffix = suffix_of(file) or (file.suffix if file.suffix.lower() in DICOM else "")
    return file.name.removesuffix(suffix) if suffix else file.name


def is_dicom(file: Path) -> bool:
    """Whether a file is DICOM: by its content, or by its suffix."""
    if not file.is_file():
        return False
    if file.suffix.lower() in DICOM:
        return True
    with file.open("rb") as stream:
        stream.seek(PREAMBLE)
        return stream.read(len(MAGIC)) == MAGIC


def is_series_folder(folder: Path) -> bool:
    """Whether a folder holds DICOM files itself."""
    return folder.is_dir() and any(is_dicom(file) for file in visible(folder))


def modality_in(image: Path, *, series: str | None = None) -> str:
    """Return the modality that a DICOM image states; empty if it states none, or is another file.

    An image that cannot be read has none here: its conversion says why.
    """
    if not image.is_dir() and not (image.exists() and is_dicom(image)):
        return ""
    try:
        return modality_of_series(image, series=series)
    except CaseError:
        return ""


def visible(folder: Path) -> list[Path]:
    """Return what is in a folder, by name; hidden files are copies that macOS leaves."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def read_image(path: Path, options: ReadingOptions) -> Volume:
    """Read an image: a NIfTI, MetaImage or NRRD file, or a folder with one DICOM series.

    Raises
    ------
    CaseError
        If it is of no such kind, or cannot be read; it names the file.
    """
    if path.is_dir() or is_dicom(path):
        require_channel(options.channel, 1, path.name)
        return _axes_noted(read_series(path, series=options.series), options)
    if suffix_of(path) in NIFTI:
        found = read_nifti(path, channel=options.channel, axes=options.axes)
    elif suffix_of(path) in ITK:
        found = read_itk(path, channel=options.channel, axes=options.axes)
    else:
        raise _foreign(path, "a folder with a DICOM series")
    return _axes_noted(found, options)


def read_labels(
    path: Path,
    image: Volume,
    options: ReadingOptions,
    *,
    only: Collection[str] | None = None,
    merged: Iterable[Collection[str]] = (),
) -> LabelVolume:
    """Read a label map, or a DICOM SEG or RTSTRUCT on the grid of its image.

    Segments and structures may overlap, so of these only those are read that are asked for, by
    name or number, and those that are merged lose nothing to each other. Of a label map all values
    are read.

    Raises
    ------
    CaseError
        If it is of no such kind, or cannot be read; it names the file.
    """
    channel = options.label_channel
    if path.is_dir() or is_dicom(path):
        require_channel(channel, 1, path.name)
        return read_dicom_labels(path, image, only=only, merged=merged)
    if suffix_of(path) in NIFTI:
        found = LabelVolume(read_nifti(path, channel=channel, axes=options.axes, as_labels=True))
    elif suffix_of(path) in ITK:
        found = read_itk_labels(path, channel=channel, axes=options.axes)
    else:
        raise _foreign(path, "DICOM SEG or RTSTRUCT")
    return replace(found, volume=_axes_noted(found.volume, options))


def _axes_noted(volume: Volume, options: ReadingOptions) -> Volume:
    """Note where axes are stated by hand that the file states itself."""
    if not options.axes or volume.axes == options.axes:
        return volume
    note = f"the file states its axes, {volume.axes}; --axes {options.axes} was not used"
    return replace(volume, notes=(*volume.notes, note))


def _foreign(path: Path, further: str) -> CaseError:
    found = "no such file" if not path.exists() else "another kind of file"
    return CaseError(
        f"{path.name}: expected {', '.join((*NIFTI, *ITK))}, or {further}, found "
        f"{found}{cure(path)}"
    )


def cure(file: Path) -> str:
    """Return how a file becomes one that can be read, as the end of a message."""
    if file.suffix.lower() not in OF_NIBABEL:
        return ""
    return f"; make NIfTI of it: nibabel.save(nibabel.load({file.name!r}), '{file.stem}.nii.gz')"


def content_sha256(path: Path) -> str:
    """Return the sha256 of a file, with its detached voxels if it has some, or of all in a folder.

    Names do not count, nor does the order of files in a folder.
    """
    if not path.exists():
        raise CaseError(f"{path.name}: expected a file or folder, found none")
    if path.is_dir():
        files = [file for file in path.rglob("[!.]*") if file.is_file()]
    else:
        files = [path, *_detached(path)]
    if len(files) == 1:
        return sha256_of(files[0])
    return hashlib.sha256("".join(sorted(map(sha256_of, files))).encode()).hexdigest()


def _detached(file: Path) -> list[Path]:
    """Return the files of voxels that belong to a header."""
    if suffix_of(file) not in (".mhd", ".nhdr"):
        return []
    data = read_itk_header(file).file
    return [data] if data != file else []
