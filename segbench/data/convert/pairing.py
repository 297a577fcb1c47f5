"""Pair the images of a folder with the labels of another, by their names.

A pair has the same name; else the same name without words such as ``image`` and ``label`` at its
ends (``volume-3.nii`` and ``segmentation-3.nii``); else the image has nnU-Net's channel number,
four digits, behind the name of the labels (``liver_3_0000.nii.gz`` and ``liver_3.nii.gz``). A pair
is named after its image, without the number of a channel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.data.convert.readers import (
    is_dicom,
    is_series_folder,
    stem_of,
    suffix_of,
    visible,
)
from segbench.errors import CaseError

IMAGE_WORDS = r"(?:images?|img|volume|vol|scan)"
LABEL_WORDS = r"(?:labels?|dseg|seg|segmentations?|masks?|gt|annotations?|rtstruct|rtss)"
CHANNEL = re.compile(r"_(\d{4})$")


@dataclass(frozen=True)
class Pair:
    """An image and its labels."""

    name: str
    image: Path
    labels: Path
    channel: int | None  # to be read of the image; None where its name has the number


@dataclass(frozen=True)
class Pairs:
    """Pairs in the order of their names, and what has no partner."""

    pairs: tuple[Pair, ...]
    unpaired: tuple[str, ...]


def volumes_in(folder: Path) -> list[Path]:
    """Return the files of volumes and the DICOM series and objects in a folder, by name."""
    return [
        path
        for path in visible(folder)
        if suffix_of(path) or is_dicom(path) or is_series_folder(path)
    ]


def pair_by_name(images: Sequence[Path], labels: Sequence[Path], channel: int | None) -> Pairs:
    """Pair images with labels.

    Raises
    ------
    CaseError
        If a file could belong to several others, or an image has several channels and none is
        chosen.
    """
    left, right = list(images), list(labels)
    found: list[Pair] = []
    for image_key, label_key in (
        (_stem, _stem),
        (_without(IMAGE_WORDS), _without(LABEL_WORDS)),
        (_without_channel, _stem),
    ):
        by_label = _grouped(right, label_key)
        for key, group in _grouped(left, image_key).items():
            if key not in by_label:
                continue
            partner = _only(by_label[key], key)
            if image_key is _without_channel:
                found.append(Pair(key, _of_channel(group, channel), partner, None))
            else:
                image = _only(group, key)
                found.append(Pair(_stem(image), image, partner, channel))
            left = [path for path in left if path not in group]
            right.remove(partner)
    unpaired = [f"{path.name}: no labels of that name" for path in left]
    unpaired += [f"{path.name}: no image of that name" for path in right]
    return Pairs(tuple(sorted(found, key=lambda pair: pair.name)), tuple(unpaired))


def _stem(path: Path) -> str:
    stem = path.name if path.is_dir() else stem_of(path)
    return stem if stem != path.name or path.is_dir() else path.stem


def _without(words: str) -> Callable[[Path], str]:
    """Return the function that takes these words from the ends of a name."""
    ends = re.compile(rf"^{words}(?=[-_. \d])[-_. ]*|[-_. ]+{words}$", re.IGNORECASE)
    return lambda path: ends.sub("", _stem(path))


def _without_channel(path: Path) -> str:
    return CHANNEL.sub("", _stem(path))


def _grouped(paths: Sequence[Path], key: Callable[[Path], str]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = {}
    for path in paths:
        groups.setdefault(key(path), []).append(path)
    return groups


def _only(paths: Sequence[Path], key: str) -> Path:
    if len(paths) > 1:
        names = ", ".join(path.name for path in paths)
        raise CaseError(
            f"{key}: expected one file of that name, found {names}; pair them in a list"
        )
    return paths[0]


def _of_channel(paths: Sequence[Path], channel: int | None) -> Path:
    """Return the file of a channel, by the four digits at the end of its name."""
    by_number = {int(CHANNEL.findall(_stem(path))[0]): path for path in paths}
    if channel is None and len(by_number) == 1:
        return paths[0]
    if channel not in by_number:
        numbers = ", ".join(map(str, sorted(by_number)))
        found = "none" if channel is None else channel
        raise CaseError(
            f"{paths[0].name}: expected a channel with --channel, one of {numbers}, found {found}"
        )
    return by_number[channel]
