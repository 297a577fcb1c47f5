"""Find what is to be converted: a pair, two folders, a list, or a data set of a known layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from segbench.data.convert import pair_list
from segbench.data.convert.bids import LAYOUT as BIDS
from segbench.data.convert.bids import is_bids, scans_of_bids
from segbench.data.convert.nnunet import is_nnunet, scans_of_nnunet
from segbench.data.convert.pair_list import scans_of_list
from segbench.data.convert.pairing import Pair, pair_by_name, volumes_in
from segbench.data.convert.readers import (
    cure,
    is_dicom,
    is_series_folder,
    modality_in,
    stem_of,
    visible,
)
from segbench.data.convert.scan import Found, Scan, Stated, case_name, require_own_names
from segbench.errors import CaseError


def find_scans(sources: Sequence[Path], stated: Stated) -> Found:
    """Find the scans in what a user gives.

    Parameters
    ----------
    sources : sequence of Path
        An image and its labels; a folder of images and one of labels; a list; or the folder of a
        data set (nnU-Net, MSD, BIDS with derivatives).
    stated : Stated
        What the user states for all of them.

    Raises
    ------
    CaseError
        If they are none of these, no image has labels, a modality is not known, or two cases
        would have one name.
    """
    found = _by_layout(sources, stated)
    if not found.scans:
        left = f"; {found.unpaired[0]}" if found.unpaired else ""
        raise CaseError(f"{sources[0]}: expected images with labels, found no pair{left}")
    if stated.bids_suffix and found.layout != BIDS:
        raise CaseError(
            f"--bids-suffix {stated.bids_suffix}: expected {BIDS}, found {found.layout}; leave it "
            "out"
        )
    if stated.name:
        found = _named(found, stated.name)
    require_own_names(found.scans)
    for scan in found.scans:
        if not scan.modality and not scan.image.is_dir() and not is_dicom(scan.image):
            raise CaseError(
                f"{scan.image.name}: expected a modality, found none, because only DICOM files say "
                "it; state it with --modality, for example --modality CT"
            )
    return found


def _by_layout(sources: Sequence[Path], stated: Stated) -> Found:
    if len(sources) == 1:
        return _of_one(sources[0], stated)
    if len(sources) != 2:
        raise CaseError(
            f"convert: expected an image and its labels, two folders, a list or a data set, found "
            f"{len(sources)} paths; several pairs go into a list (columns image, labels)"
        )
    for path in sources:
        if not path.exists():
            raise CaseError(f"{path}: expected a file or folder, found none")
    return _of_two(sources[0], sources[1], stated)


def _of_two(image: Path, labels: Path, stated: Stated) -> Found:
    if image.is_file() or is_series_folder(image) or is_dicom(labels):
        pair = Pair(stem_of(image.resolve()), image, labels, stated.channel)
        return Found("one image", (_scan(pair, stated),))
    if not labels.is_dir():
        raise CaseError(
            f"{labels}: expected a folder of labels next to one of images, found a file"
        )
    if any(image.glob("sub-*/")) and any(labels.glob("sub-*/")):
        return scans_of_bids(image, labels, stated)
    pairs = pair_by_name(volumes_in(image), volumes_in(labels), stated.channel)
    scans = tuple(_scan(pair, stated) for pair in pairs.pairs)
    unread = [path for folder in (image, labels) for path in visible(folder) if cure(path)]
    left_out = tuple(f"{path.name}: no file that is read here{cure(path)}" for path in unread)
    return Found("two folders, paired by name", scans, (*left_out, *pairs.unpaired))


def _of_one(source: Path, stated: Stated) -> Found:
    if source.is_file() and source.suffix.lower() in pair_list.SUFFIXES:
        return scans_of_list(source, stated)
    if source.is_dir() and is_nnunet(source):
        return scans_of_nnunet(source, stated)
    if source.is_dir() and is_bids(source):
        return scans_of_bids(source, source / "derivatives", stated)
    kind = "a folder of another layout" if source.is_dir() else "one file"
    kind = kind if source.exists() else "nothing"
    raise CaseError(
        f"{source}: expected a list (CSV, TSV, YAML, JSON) or a data set (imagesTr and labelsTr, "
        f"or BIDS with derivatives), found {kind}; name the labels, too: IMAGE LABELS"
    )


def _scan(pair: Pair, stated: Stated) -> Scan:
    modality = stated.modality or modality_in(pair.image, series=stated.series)
    name = case_name(pair.name, modality=modality, dataset=stated.dataset)
    patient, dataset = stated.patient, stated.dataset
    return Scan(name, pair.image, pair.labels, modality, patient, dataset, pair.channel)


def _named(found: Found, name: str) -> Found:
    if len(found.scans) > 1:
        raise CaseError(
            f"--name {name}: expected one image, found {len(found.scans)}; a list names them"
        )
    return replace(found, scans=(replace(found.scans[0], name=name),))
