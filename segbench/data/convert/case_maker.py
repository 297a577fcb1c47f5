"""Make the case of one scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np

from segbench.core import Case, Image
from segbench.data.case_arrays import CaseArrays
from segbench.data.convert.box_rule import DrawnBoxes, draw_boxes
from segbench.data.convert.components import split_components
from segbench.data.convert.grids import CaseGrid, Placed, place, warnings_of
from segbench.data.convert.intensity import Mapped, map_intensities
from segbench.data.convert.labels import CaseLabel, ChosenLabels, choose_labels, without_lost
from segbench.data.convert.readers import read_image, read_labels
from segbench.data.convert.rules import Rules
from segbench.data.convert.scan import Scan
from segbench.data.convert.volume import (
    CASE_AXES,
    Volume,
    case_spacing,
    grid_of,
    to_case_order,
)
from segbench.errors import CaseError

EQUAL = "equal to that of the image"


@dataclass(frozen=True, eq=False)
class Made:
    """A case, and what was decided and guessed for it."""

    case: Case
    decided: dict[str, Any]
    guessed: tuple[str, ...]
    warnings: tuple[str, ...]


def make_case(scan: Scan, rules: Rules, identity: Mapping[str, Any]) -> Made:
    """Return the case of a scan, and what was decided and guessed for it.

    ``identity`` has the sha256 of both sources and the rule, which the case keeps.

    Raises
    ------
    CaseError
        If the image or its labels cannot be read, their grids differ, or the case would not be
        valid under the protocol.
    """
    image = read_image(scan.image, replace(rules.reading, channel=scan.channel))
    modality, warnings = _modality(scan, image)
    mapped = map_intensities(
        image.voxels, modality=modality, rule=rules.intensity, name=scan.image.name
    )
    image = replace(image, voxels=np.broadcast_to(np.uint8(0), image.voxels.shape))  # no memory
    voxels = to_case_order(replace(image, voxels=mapped.voxels))
    mapped = replace(mapped, voxels=voxels)  # the one in the order of the source is not kept
    grid = grid_of(image)
    chosen, placed = _labels(scan, rules, image, CaseGrid.of(grid, voxels.shape))
    drawn = draw_boxes(chosen.label_map, chosen.labels, rules.boxes, scan.name)
    case = Case(
        scan.name,
        Image(voxels, case_spacing(image.affine)),
        chosen.label_map,
        drawn.boxes,
        tuple(label.label for label in chosen.labels),
        modality,
        scan.patient,
        scan.dataset,
        replace(
            grid,
            source_sha256=identity["image"],
            facts=_facts(identity, modality, mapped, placed, chosen),
        ),
    )
    warnings += (*image.notes, *warnings_of(image.affine), *mapped.warnings, *chosen.warnings)
    return Made(
        CaseArrays.of(case).case,
        _decisions(case, mapped, placed, chosen, drawn),
        (*scan.guessed, *mapped.guessed, *drawn.guessed),
        tuple(dict.fromkeys(warnings)),  # image and labels may have the same note
    )


def _modality(scan: Scan, image: Volume) -> tuple[str, tuple[str, ...]]:
    if not scan.modality and not image.modality:
        raise CaseError(
            f"{scan.image.name}: expected a modality, found none in the file; state it with "
            "--modality"
        )
    if scan.modality and image.modality and scan.modality != image.modality:
        return scan.modality, (f"the file says {image.modality}, {scan.modality} was stated",)
    return scan.modality or image.modality, ()


def _labels(
    scan: Scan, rules: Rules, image: Volume, target: CaseGrid
) -> tuple[ChosenLabels, Placed]:
    """Return the labels in the order of cases on the grid of the image, and how they got there."""
    name, keep_values = scan.labels.name, rules.labels.keep_values
    chosen, own = _chosen(scan, rules, image)
    placed = place(chosen.label_map, own, target, resample=rules.resample, name=name)
    chosen = replace(chosen, label_map=placed.label_map)
    if placed.is_resampled:
        chosen = without_lost(chosen, renumber=not keep_values, name=name)
    if rules.split:
        chosen = split_components(chosen, name)
    return chosen, placed


def _chosen(scan: Scan, rules: Rules, image: Volume) -> tuple[ChosenLabels, CaseGrid]:
    """Return the labels in the order of cases, still on their own grid."""
    rule = replace(rules.labels, names={**scan.label_names, **rules.labels.names})
    source = read_labels(scan.labels, image, rules.reading, only=rule.sources, merged=rule.merged)
    chosen = choose_labels(source, rule, scan.labels.name)
    grid = grid_of(source.volume)
    label_map = to_case_order(replace(source.volume, voxels=chosen.label_map))
    warnings = (*source.volume.notes, *chosen.warnings)
    own = CaseGrid.of(grid, label_map.shape)
    return replace(chosen, label_map=label_map, warnings=warnings), own


def _facts(
    identity: Mapping[str, Any], modality: str, mapped: Mapped, placed: Placed, chosen: ChosenLabels
) -> dict[str, Any]:
    """Return what the file says of its making: no path, no text from the header of a scan."""
    return {
        "labels_sha256": identity["labels"],
        "rule": identity["rule"],
        "segbench": version("segbench"),
        "modality": modality,
        "intensity": mapped.facts,
        "labels": [label.facts() for label in chosen.labels],
        "grid_of_labels": placed.how or EQUAL,
    }


def _decided(label: CaseLabel) -> dict[str, Any]:
    whole = {"component_of": label.parent} if label.parent else {}
    facts = {"label": label.label, "name": label.name, **whole}
    return {**facts, "values": label.values, "voxels": label.n_voxels}


def _decisions(
    case: Case, mapped: Mapped, placed: Placed, chosen: ChosenLabels, drawn: DrawnBoxes
) -> dict[str, Any]:
    """Return what the report says of a case."""
    assert case.grid is not None
    return {
        "axes": f"{case.grid.axes} to {CASE_AXES}",
        "shape": list(case.image.voxels.shape),
        "spacing": list(case.image.spacing),
        "intensity": mapped.facts,
        "labels": [_decided(each) for each in chosen.labels],
        "grid_of_labels": placed.how or EQUAL,
        **({"voxels_of_labels": chosen.rule} if chosen.rule else {}),
        "boxes": drawn.reason or f"{len(drawn.boxes)}",
    }
