"""Scans of a data set in the layout of nnU-Net or of the Medical Segmentation Decathlon (MSD).

Both have ``imagesTr``, ``labelsTr`` and ``dataset.json``. nnU-Net has a file per channel, MSD one
file with all channels. Test images (``imagesTs``) have no labels and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segbench.data.convert.label_names import LabelNames, names_of_mapping
from segbench.data.convert.pairing import pair_by_name, volumes_in
from segbench.data.convert.scan import Found, Scan, Stated, case_name, modality_of
from segbench.data.convert.text_files import read_structure
from segbench.errors import CaseError

IMAGES, LABELS, DESCRIPTION = "imagesTr", "labelsTr", "dataset.json"


def is_nnunet(folder: Path) -> bool:
    """Whether a folder has this layout."""
    return (folder / IMAGES).is_dir() and (folder / LABELS).is_dir()


def scans_of_nnunet(folder: Path, stated: Stated) -> Found:
    """Return the training scans of a data set.

    Raises
    ------
    CaseError
        If its description cannot be read, an image has several channels and none is chosen, or
        the modality is neither in the description nor stated.
    """
    facts = _description(folder)
    channels = _channels(facts)
    pairs = pair_by_name(
        volumes_in(folder / IMAGES), volumes_in(folder / LABELS), _channel(channels, stated)
    )
    dataset = stated.dataset or _dataset(facts, folder)
    modality, guessed = _modality(channels, stated, folder)
    names = _label_names(facts)
    scans = (
        Scan(
            case_name(pair.name, modality=modality, dataset=dataset),
            pair.image,
            pair.labels,
            modality,
            stated.patient,
            dataset,
            pair.channel,
            names,
            guessed,
        )
        for pair in pairs.pairs
    )
    kind = "nnU-Net" if "channel_names" in facts else "Medical Segmentation Decathlon"
    return Found(f"a data set in the layout of {kind}", tuple(scans), pairs.unpaired)


def _description(folder: Path) -> Mapping[str, Any]:
    file = folder / DESCRIPTION
    facts = read_structure(file) if file.is_file() else {}
    if not isinstance(facts, Mapping):
        raise CaseError(f"{DESCRIPTION}: expected an object, found {type(facts).__name__}")
    return facts


def _channels(facts: Mapping[str, Any]) -> Mapping[int, str]:
    """Return the names of channels by number: ``channel_names`` of nnU-Net, ``modality`` of MSD."""
    found = facts.get("channel_names", facts.get("modality", {}))
    if not isinstance(found, Mapping) or not all(str(key).isdecimal() for key in found):
        raise CaseError(f"{DESCRIPTION}: expected channels as numbers and names, found {found!r}")
    return {int(key): str(name) for key, name in found.items()}


def _channel(channels: Mapping[int, str], stated: Stated) -> int | None:
    if len(channels) > 1 and stated.channel not in channels:
        listed = ", ".join(f"{number} ({name})" for number, name in channels.items())
        found = "none" if stated.channel is None else stated.channel
        raise CaseError(
            f"{DESCRIPTION}: expected a channel with --channel: {listed}; found {found}"
        )
    return stated.channel


def _dataset(facts: Mapping[str, Any], folder: Path) -> str:
    name = str(facts.get("name") or re.sub(r"^(Dataset|Task)\d+_", "", folder.resolve().name))
    return name.replace("_", "-")


def _modality(
    channels: Mapping[int, str], stated: Stated, folder: Path
) -> tuple[str, tuple[str, ...]]:
    if stated.modality:
        return stated.modality, ()
    name = channels.get(stated.channel or 0, "")
    modality = modality_of(name)
    if not modality:
        raise CaseError(
            f"{folder.name}: expected a known modality as channel {stated.channel or 0} in "
            f"{DESCRIPTION}, found {name!r}; state it with --modality"
        )
    return modality, (f"modality {modality}, from the channel {name!r} in {DESCRIPTION}",)


def _label_names(facts: Mapping[str, Any]) -> LabelNames:
    return names_of_mapping(facts["labels"], DESCRIPTION) if facts.get("labels") else {}
