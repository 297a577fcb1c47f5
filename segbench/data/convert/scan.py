"""What is to be converted: an image, its labels, and what is known of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from segbench.data.convert.label_names import LabelNames
from segbench.errors import CaseError

MODALITIES = {
    **dict.fromkeys(("ct", "cta", "cbct"), "CT"),
    **dict.fromkeys(("mr", "mri", "t1", "t2", "t1w", "t2w", "t1c", "t1ce", "t1gd", "t2star"), "MR"),
    **dict.fromkeys(("t2starw", "flair", "adc", "dwi", "pd", "pdw", "fla", "t1wce"), "MR"),
    **dict.fromkeys(("pet", "pt", "suv"), "PET"),
    **dict.fromkeys(("us", "ultrasound", "trus"), "US"),
    **dict.fromkeys(("microscopy", "em", "fluorescence"), "Microscopy"),
}


@dataclass(frozen=True)
class Scan:
    """An image and its labels."""

    name: str  # of the case
    image: Path
    labels: Path
    modality: str = ""  # empty: unknown until the file is read
    patient: str = ""
    dataset: str = ""
    channel: int | None = None
    label_names: LabelNames = field(default_factory=dict)
    guessed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """All that a layout holds."""

    layout: str
    scans: tuple[Scan, ...]
    unpaired: tuple[str, ...] = ()  # files that are left out, and why


@dataclass(frozen=True)
class Stated:
    """What the user states for all scans; it counts where the data do not say it."""

    modality: str = ""
    patient: str = ""
    dataset: str = ""
    name: str = ""  # of a single case
    channel: int | None = None
    bids_suffix: str = ""
    series: str | None = None  # of folders with several DICOM series


def modality_of(word: str) -> str:
    """Return the modality that a word such as ``MRI`` or ``T1w`` stands for; empty if unknown."""
    first = re.split(r"[^a-z0-9]+", word.strip().lower())[0]
    return MODALITIES.get(word.strip().lower(), MODALITIES.get(first, ""))


def stated_modality(word: str) -> str:
    """Return a modality that a user states; one that is not known is taken as it is."""
    return modality_of(word) if word.strip().lower() in MODALITIES else _plain(word)


def case_name(stem: str, *, modality: str, dataset: str) -> str:
    """Return the name of a case, such as ``CT_AMOS_0001``: other tools find the modality in it."""
    prefix = "_".join(filter(None, (modality, _plain(dataset).replace("_", "-"))))
    stem = _plain(stem) or "case"
    if not prefix or stem.lower().startswith(f"{prefix}_".lower()):
        return stem
    return f"{prefix}_{stem}"


def _plain(text: str) -> str:
    """Return a text as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text.strip()).strip(".-")


def require_own_names(scans: Iterable[Scan]) -> None:
    """Refuse two cases of one name, whatever the case of letters, and names that are no file's."""
    seen: dict[str, Scan] = {}
    for scan in scans:
        if not scan.name or scan.name != _plain(scan.name):
            raise CaseError(
                f"{scan.image.name}: expected a case name of letters, digits and . _ - only, with "
                f"none of . and - at its ends, found {scan.name!r}; state another with --name or "
                "in a list (columns image, labels, name)"
            )
        other = seen.setdefault(scan.name.lower(), scan)
        if other is not scan:
            raise CaseError(
                f"{scan.image.name} and {other.image.name}: expected a case name for each, found "
                f"{scan.name!r} for both; name them in a list (columns image, labels, name)"
            )
