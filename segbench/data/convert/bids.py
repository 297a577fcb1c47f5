"""Scans of a data set in the layout of BIDS, with label maps among its derivatives.

``derivatives/*/sub-01/anat/sub-01_dseg.nii.gz`` belongs to ``sub-01/anat/sub-01_T1w.nii.gz``: a
label map and its image have the same entities, apart from those that derivatives add. A table next
to a label map (``*_dseg.tsv``, columns index and name) names its labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.data.convert.label_names import LabelNames, read_label_names
from segbench.data.convert.readers import NIFTI, stem_of, suffix_of
from segbench.data.convert.scan import Found, Scan, Stated, case_name, modality_of
from segbench.errors import CaseError

LAYOUT = "a data set in the layout of BIDS"
DERIVATIVES = "derivatives"
LABEL_SUFFIXES = ("dseg", "mask")
ADDED = {"space", "res", "den", "desc", "label", "seg", "atlas"}  # entities of derivatives


@dataclass(frozen=True)
class _Name:
    """A file's name in BIDS: ``sub-01_ses-2_T1w``."""

    file: Path
    entities: Mapping[str, str]
    suffix: str

    @classmethod
    def of(cls, file: Path) -> _Name:
        *pairs, suffix = stem_of(file).split("_")
        entities = dict(pair.split("-", 1) for pair in pairs if "-" in pair)
        return cls(file, entities, suffix)

    @property
    def source(self) -> Mapping[str, str]:
        """The entities of the raw image."""
        return {key: value for key, value in self.entities.items() if key not in ADDED}


def is_bids(folder: Path) -> bool:
    """Whether a folder has this layout: subjects, and label maps among derivatives."""
    return any(folder.glob("sub-*")) and (folder / DERIVATIVES).is_dir()


def scans_of_bids(folder: Path, derivatives: Path, stated: Stated) -> Found:
    """Return the scans that have a label map.

    Parameters
    ----------
    folder : Path
        Of the raw data set.
    derivatives : Path
        Of the label maps; searched with all folders inside.
    stated : Stated
        ``bids_suffix`` chooses between images such as T1w and T2w.

    Raises
    ------
    CaseError
        If a label map fits several images or an image has several label maps.
    """
    images = [
        name for name in _names(folder) if _is_image(name, stated) and not _inside(name, folder)
    ]
    labels = [name for name in _names(derivatives) if name.suffix in LABEL_SUFFIXES]
    dataset = stated.dataset or folder.resolve().name.replace("_", "-")
    taken: dict[Path, _Name] = {}
    unpaired, scans = [], []
    for each in labels:
        image = _image_of(each, images)
        if image is None:
            unpaired.append(f"{each.file.name}: no image of those entities")
            continue
        if image.file in taken:
            raise CaseError(
                f"{image.file.name}: expected one label map, found {each.file.name} and "
                f"{taken[image.file].file.name}; name the folder of one derivative as LABELS"
            )
        taken[image.file] = each
        scans.append(_scan(image, each, dataset, stated))
    unpaired += [f"{image.file.name}: no label map" for image in images if image.file not in taken]
    return Found(LAYOUT, tuple(scans), tuple(unpaired))


def _names(folder: Path) -> list[_Name]:
    files = sorted(folder.rglob("sub-*"))
    return [_Name.of(file) for file in files if file.is_file() and suffix_of(file) in NIFTI]


def _inside(name: _Name, folder: Path) -> bool:
    return DERIVATIVES in name.file.relative_to(folder).parts


def _is_image(name: _Name, stated: Stated) -> bool:
    if stated.bids_suffix:
        return name.suffix == stated.bids_suffix
    return name.suffix not in LABEL_SUFFIXES and bool(modality_of(name.suffix))


def _image_of(labels: _Name, images: Sequence[_Name]) -> _Name | None:
    fitting = [image for image in images if image.entities == labels.source]
    if len(fitting) > 1:
        names = ", ".join(image.file.name for image in fitting)
        raise CaseError(
            f"{labels.file.name}: expected one image, found {names}; choose with --bids-suffix, "
            f"such as --bids-suffix {fitting[0].suffix}"
        )
    return fitting[0] if fitting else None


def _scan(image: _Name, labels: _Name, dataset: str, stated: Stated) -> Scan:
    modality = stated.modality or modality_of(image.suffix)
    if not modality:
        raise CaseError(
            f"{image.file.name}: expected a suffix of a known modality, found {image.suffix!r}; "
            "state it with --modality"
        )
    return Scan(
        case_name(stem_of(image.file), modality=modality, dataset=dataset),
        image.file,
        labels.file,
        modality,
        stated.patient or f"sub-{image.entities.get('sub', '')}",
        dataset,
        stated.channel,
        _label_names(labels.file),
        () if stated.modality else (f"modality {modality}, from the suffix {image.suffix}",),
    )


def _label_names(file: Path) -> LabelNames:
    table = file.with_name(f"{stem_of(file)}.tsv")
    return read_label_names(table) if table.is_file() else {}
