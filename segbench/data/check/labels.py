"""The labels of a reference: size, components, border, and their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cc3d
import numpy as np

from segbench.core import Box, LabelMap, Mask, Roi, Spacing
from segbench.data.check.finding import Finding
from segbench.data.check.metric import Saturation, saturation
from segbench.messages import counted
from segbench.protocol.boxes import box_with_slack
from segbench.protocol.mask_pairs import label_rois

TINY = 10  # voxels
MANY_COMPONENTS = 10
LEAST_SHARE = 0.8  # of a label, in its largest component
SHOWN = 5  # labels in a message
FACES = ("first z", "last z", "first y", "last y", "first x", "last x")


@dataclass(frozen=True)
class LabelFacts:
    """What is known of one label of a reference."""

    label: int
    roi: Roi
    n_voxels: int
    n_components: int  # of 26-connected voxels
    largest: int  # voxels of the largest component
    faces: tuple[str, ...]  # of the volume, that it touches
    box: Box  # by the challenge's rule, not widened
    saturation: Saturation


def label_facts(reference: LabelMap, spacing: Spacing | None) -> dict[int, LabelFacts]:
    """Return the facts of each label, ascending; one label at a time is in memory as a mask."""
    return {
        label: _facts(label, roi, reference[roi] == label, reference.shape, spacing)
        for label, roi in label_rois(reference).items()
    }


def _facts(
    label: int, roi: Roi, mask: Mask, shape: tuple[int, ...], spacing: Spacing | None
) -> LabelFacts:
    components, n_components = cc3d.connected_components(
        mask, connectivity=26, return_N=True, binary_image=True
    )
    sizes = cc3d.statistics(components)["voxel_counts"][1:]
    ends = ((side.start == 0, side.stop == n) for side, n in zip(roi, shape, strict=True))
    touched = [touches for pair in ends for touches in pair]
    inner = box_with_slack(mask, label, 0)
    start = np.array([side.start for side in roi])
    low, high = ((start + corner).tolist() for corner in (inner.low, inner.high))
    return LabelFacts(
        label,
        roi,
        int(np.count_nonzero(mask)),
        int(n_components),
        int(sizes.max()),
        tuple(face for face, touches in zip(FACES, touched, strict=True) if touches),
        Box(label, tuple(low), tuple(high), int(start[0]) + inner.mid_slice),
        saturation(mask, spacing) if spacing else Saturation(),
    )


def label_findings(case: str, labels: Mapping[int, LabelFacts]) -> Iterator[Finding]:
    """Yield what is unusual about the labels of a case, each kind once."""
    yield from _gaps(case, labels)
    tiny = {label: facts.n_voxels for label, facts in labels.items() if facts.n_voxels < TINY}
    if tiny:
        what = f"gts: expected at least {TINY} voxels, found {_list(tiny, 'voxels')}"
        yield Finding("label-tiny", case, what, {"voxels": tiny})
    scattered = {label: facts for label, facts in labels.items() if _is_scattered(facts)}
    if scattered:
        found = {
            label: f"{facts.n_components}, the largest {facts.largest / facts.n_voxels:.0%} of it"
            for label, facts in scattered.items()
        }
        what = f"gts: expected one component, found {_list(found)}"
        numbers = {label: [f.n_components, f.largest, f.n_voxels] for label, f in scattered.items()}
        yield Finding("label-fragmented", case, what, {"components": numbers})
    cut = {label: ", ".join(facts.faces) for label, facts in labels.items() if facts.faces}
    if cut:
        what = f"gts: expected background at the border, found {_list(cut)}"
        faces = {label: list(labels[label].faces) for label in cut}
        yield Finding("label-at-border", case, what, {"faces": faces})


def _is_scattered(facts: LabelFacts) -> bool:
    is_main = facts.largest >= LEAST_SHARE * facts.n_voxels
    return not is_main or facts.n_components > MANY_COMPONENTS


def _gaps(case: str, labels: Mapping[int, LabelFacts]) -> Iterator[Finding]:
    found = list(labels)
    if found != list(range(1, len(found) + 1)):
        what = f"gts: expected labels 1..{len(found)}, found {numbers_text(found)}"
        yield Finding("label-gaps", case, what, {"labels": found})


def saturation_findings(
    case: str, labels: Mapping[int, LabelFacts], spacing: Spacing
) -> Iterator[Finding]:
    """Yield the labels of which NSD tells nothing."""
    saturated = {k: f.saturation for k, f in labels.items() if f.saturation.is_saturated}
    if not saturated:
        return
    worst = min(saturated.values(), key=lambda each: min(each.dsc_box, each.dsc_eroded))
    what = (
        f"NSD at {worst.tolerance_mm:g} mm: expected a low one of poor predictions, found "
        f"{worst.nsd_box:.2f} for a filled box (DSC {worst.dsc_box:.2f}) and "
        f"{worst.nsd_eroded:.2f} after erosion (DSC {worst.dsc_eroded:.2f}), "
        f"{len(saturated)} of {counted(len(labels), 'label')}: {numbers_text(list(saturated))}"
    )
    numbers = {label: vars(each) for label, each in saturated.items()}
    yield Finding("nsd-saturated", case, what, {"spacing": spacing, "labels": numbers})


def numbers_text(numbers: list[int]) -> str:
    """Return numbers as text, the first ones if there are many."""
    more = f", ... ({len(numbers)} in all)" if len(numbers) > 2 * SHOWN else ""
    return ", ".join(map(str, numbers[: 2 * SHOWN])) + more


def _list(values: Mapping[int, object], unit: str = "") -> str:
    shown = [f"label {label}: {value} {unit}".rstrip() for label, value in values.items()]
    more = f", and {counted(len(shown) - SHOWN, 'label')} more" if len(shown) > SHOWN else ""
    return "; ".join(shown[:SHOWN]) + more
