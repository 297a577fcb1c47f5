"""Input and output files of the challenge's container contract, both written and read.

A submission is called once per step. It reads ``inputs/CASE.npz`` and writes ``outputs/CASE.npz``
with ``segs`` (PROTOCOL 3.6). ``clicks`` has one ``{"fg": [[z, y, x], ...], "bg": [...]}`` per
label, in ascending label order, with all clicks so far; ``clicks_order`` has one list per label of
"fg", "bg" or None (no error in that step). Object arrays are pickled, as participants expect.

Standard library and numpy only, syntax of Python 3.9: adapters use this in foreign environments.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.arrays import label_map_dtype
from segbench.core import MAX_LABEL, Box, Click, Image, Interactions, LabelMap, Prompt
from segbench.data.challenge_boxes import boxes_to_array, parse_box
from segbench.data.challenge_npz import ChallengeFile, write_arrays
from segbench.errors import CaseError
from segbench.messages import named

CLICK_KINDS = {True: "fg", False: "bg"}


def write_input(
    file: Path, image: Image, labels: Sequence[int], interactions: Interactions
) -> None:
    """Write the input file of a step; step 0 has no clicks and no ``prev_pred``."""
    arrays: dict[str, NDArray[Any]] = {
        "imgs": image.voxels,
        "spacing": np.array(image.spacing, np.float64),
    }
    if interactions.boxes:
        arrays["boxes"] = boxes_to_array(interactions.boxes)
    if interactions.step > 0:
        arrays["clicks"] = raw_clicks(labels, interactions)
        arrays["clicks_order"] = raw_clicks_order(labels, interactions)
        arrays["prev_pred"] = interactions.previous_segmentation
    # not compressed, not waiting for the disk: this is part of the step's time
    write_arrays(file, arrays, level=0, sync=False)


def raw_clicks(labels: Sequence[int], interactions: Interactions) -> NDArray[Any]:
    """Return all clicks so far as the object array of the challenge's files."""
    raw = np.empty(len(labels), object)
    raw[:] = [
        {kind: _voxels(interactions, label, kind) for kind in ("fg", "bg")} for label in labels
    ]
    return raw


def _voxels(interactions: Interactions, label: int, kind: str) -> list[list[int]]:
    clicks = (click for click in interactions.clicks if click.label == label)
    return [list(click.voxel) for click in clicks if CLICK_KINDS[click.positive] == kind]


def raw_clicks_order(labels: Sequence[int], interactions: Interactions) -> NDArray[Any]:
    """Return the kind of each label's click in each step; None where the label had no error."""
    order = [[_kind(prompts, label) for prompts in interactions.rounds[1:]] for label in labels]
    missing = any(kind is None for kinds in order for kind in kinds)
    return np.array(order, object if missing else None)


def _kind(prompts: Sequence[Prompt], label: int) -> str | None:
    clicks = (p for p in prompts if isinstance(p, Click) and p.label == label)
    return next((CLICK_KINDS[click.positive] for click in clicks), None)


def read_output(file: Path) -> LabelMap:
    """Return the ``segs`` of a submission.

    Some submissions write floats, which the official script accepts (PROTOCOL 3.4): whole numbers
    in the range of label maps become integers. All other arrays are returned as they are.
    """
    with ChallengeFile(file) as npz:
        segmentation: LabelMap = npz.read("segs")
    if segmentation.dtype.kind != "f" or not segmentation.size:
        return segmentation
    low, high = segmentation.min(), segmentation.max()
    if not (low >= 0 and high <= MAX_LABEL and (segmentation == np.floor(segmentation)).all()):
        return segmentation
    return segmentation.astype(label_map_dtype([int(high)]))


def read_input(file: Path) -> tuple[Image, tuple[int, ...], Interactions]:
    """Return the image, the labels and all prompts so far of an input file.

    A label is its position in ``boxes`` and ``clicks``, counted from 1, as in the official files.

    Raises
    ------
    CaseError
        If the file is damaged or its prompts contradict each other.
    """
    with ChallengeFile(file) as npz:
        image = _read_image(npz)
        shape = image.voxels.shape
        boxes = _read_boxes(npz)
        rounds = _read_rounds(npz, shape)
        n_labels = max(len(boxes), len(npz.read("clicks")) if "clicks" in npz.keys else 0)
        known = "prev_pred" in npz.keys
        previous = npz.read("prev_pred") if known else np.zeros(shape, np.uint8)
        if previous.shape != shape:
            raise CaseError(
                f"{npz.name}: prev_pred and imgs: expected one shape, found {previous.shape} and "
                f"{shape}"
            )
    labels = tuple(range(1, n_labels + 1))
    return image, labels, Interactions((boxes, *rounds), previous)


def _read_image(npz: ChallengeFile) -> Image:
    voxels, spacing = npz.read("imgs"), np.asarray(npz.read("spacing"))
    if voxels.ndim != 3:
        raise CaseError(f"{npz.name}: imgs: expected three axes, found {voxels.shape}")
    is_number = spacing.shape == (3,) and spacing.dtype.kind in "fiu"
    if not (is_number and np.isfinite(spacing).all() and (spacing > 0).all()):
        raise CaseError(f"{npz.name}: spacing: expected three positive mm, found {spacing}")
    z, y, x = (float(mm) for mm in spacing)
    return Image(voxels, (z, y, x))


def _read_boxes(npz: ChallengeFile) -> tuple[Box, ...]:
    raw = npz.read("boxes") if "boxes" in npz.keys else ()
    try:
        return tuple(parse_box(label, raw_box) for label, raw_box in enumerate(raw, start=1))
    except (ValueError, TypeError) as error:
        raise CaseError(f"{npz.name}: boxes: {error}") from None


def _read_rounds(npz: ChallengeFile, shape: Sequence[int]) -> list[tuple[Click, ...]]:
    if "clicks" not in npz.keys:
        return []
    try:
        rounds = _rounds(npz.read("clicks").tolist(), npz.read("clicks_order").tolist())
        for click in (click for clicks in rounds for click in clicks):
            if not all(0 <= index < size for index, size in zip(click.voxel, shape)):
                raise ValueError(f"click {click.voxel} outside the image of {tuple(shape)}")
        return rounds
    except (LookupError, StopIteration, TypeError, ValueError) as error:
        raise CaseError(
            f"{npz.name}: clicks and clicks_order: expected clicks inside the image, and each in "
            f"the order of its label, found {named(error)}"
        ) from None


def _rounds(
    clicks: Sequence[Any], order: Sequence[Sequence[str | None]]
) -> list[tuple[Click, ...]]:
    if len(clicks) != len(order):
        raise ValueError(f"{len(clicks)} labels have clicks and {len(order)} an order")
    rounds: list[list[Click]] = [[] for _ in range(max(map(len, order), default=0))]
    for label, (voxels, kinds) in enumerate(zip(clicks, order), start=1):
        remaining = {kind: iter(voxels[kind]) for kind in ("fg", "bg")}
        for round_clicks, kind in zip(rounds, kinds):
            if kind is not None:
                z, y, x = (int(c) for c in next(remaining[str(kind)]))
                round_clicks.append(Click(label, (z, y, x), positive=kind == "fg"))
        if any(True for rest in remaining.values() for _ in rest):
            raise ValueError(f"label {label} has clicks that its order does not name")
    return [tuple(round_clicks) for round_clicks in rounds]


def write_output(file: Path, segmentation: LabelMap) -> None:
    """Write the output file of a step as participants do."""
    write_arrays(file, {"segs": segmentation}, level=1)
