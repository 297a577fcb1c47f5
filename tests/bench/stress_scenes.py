"""Cases of the kinds that are hard for `ours`, made by seed, from nothing or from real scans.

SCENES: nested labels (`nested_scenes`); large objects, 150 to 250 voxels across; tiny objects of
30 to 100 voxels; and faint ones, hardly brighter or darker than what they touch, in boxes that
contain much else, so that the user clicks on background. Of real scans, one object of each
modality is enlarged, one shrunk and one faded (`changed_objects`). Nothing here is shared with the
scenes that `ours` is trained on. ``python -m tests.bench.stress_scenes OUT [--scans FOLDER]
[--seed N]`` writes all.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from scipy import ndimage

from segbench.core import Case
from segbench.data.dataset import CaseFile, read_case
from segbench.protocol.boxes import MAX_SLACK, box_with_slack
from tests.bench import nested_scenes
from tests.bench.changed_objects import enlarged, faded, shrunk, single_object
from tests.bench.scene_parts import imaged, write_scenes
from tests.bench.stress_drawings import FAINT, LARGE, TINY, TINY_SIZE, Rng

LARGE_SIDE = 150, 250  # voxels, the longest side of an object
PER_FORM = 2  # generated scenes
FORMS = LARGE | TINY | FAINT


def generated(form: str, seed: int) -> Case:
    """Return a scene with one object of a form of `LARGE`, `TINY` or `FAINT`."""
    rng = np.random.default_rng([seed, *form.encode()])
    drawing = FORMS[form](rng, seed)
    blurred = ndimage.gaussian_filter(drawing.levels, 0.5)
    image = imaged(blurred, drawing.modality, drawing.spacing, rng)
    case = single_object(f"{drawing.modality}_{form}_{seed}", image, drawing.mask, rng)
    return _in_widest_box(case) if form in FAINT else case


def real_objects(
    scans: Sequence[CaseFile], seed: int, change: Callable[[Case, int, Rng], Case | None]
) -> Iterator[Case]:
    """Yield one changed object of each modality, where there is one that can be."""
    for number, modality in enumerate(sorted({scan.metadata.modality for scan in scans})):
        rng = np.random.default_rng([seed, number])
        cases = (_changed(read_case(scan), rng, change) for scan in _turn(scans, modality, seed))
        yield from islice(filter(None, cases), 1)


def one_of_each(scans: Sequence[CaseFile], seed: int) -> list[CaseFile]:
    """Return one scan of each modality; the seed says which."""
    return [_turn(scans, each, seed)[0] for each in sorted({s.metadata.modality for s in scans})]


def _turn(scans: Sequence[CaseFile], modality: str, seed: int) -> list[CaseFile]:
    """Return the scans of a modality, from another one on for each seed."""
    chosen = [scan for scan in scans if scan.metadata.modality == modality]
    first = seed % len(chosen)
    return chosen[first:] + chosen[:first]


def _changed(case: Case, rng: Rng, change: Callable[[Case, int, Rng], Case | None]) -> Case | None:
    """Return the first object, in random order, that can be changed."""
    labels = rng.permutation(case.labels)
    return next(filter(None, (change(case, int(label), rng) for label in labels)), None)


def large(scans: Sequence[CaseFile], seed: int) -> Iterator[Case]:
    """Yield large objects."""
    yield from _all_generated(LARGE, seed)
    yield from real_objects(
        scans,
        seed,
        lambda case, label, rng: enlarged(case, label, int(rng.integers(160, 240)), rng),
    )


def tiny(scans: Sequence[CaseFile], seed: int) -> Iterator[Case]:
    """Yield tiny objects."""
    yield from _all_generated(TINY, seed)
    yield from real_objects(
        scans,
        seed,
        lambda case, label, rng: shrunk(
            case, label, int(rng.integers(*TINY_SIZE, endpoint=True)), rng
        ),
    )


def faint(scans: Sequence[CaseFile], seed: int) -> Iterator[Case]:
    """Yield faint objects."""
    yield from _all_generated(FAINT, seed)
    yield from map(_in_widest_box, real_objects(scans, seed, faded))


def nested(scans: Sequence[CaseFile], seed: int) -> Iterator[Case]:
    """Yield nested and touching objects, generated ones and some in one scan of each modality."""
    yield from nested_scenes.scenes(one_of_each(scans, seed), seed)


def _in_widest_box(case: Case) -> Case:
    return replace(case, boxes=(box_with_slack(case.reference > 0, 1, MAX_SLACK),))


def _all_generated(forms: Iterable[str], seed: int) -> Iterator[Case]:
    for form in forms:
        yield from (generated(form, seed * PER_FORM + i) for i in range(PER_FORM))


SCENES: dict[str, Callable[[Sequence[CaseFile], int], Iterator[Case]]] = {
    "nested": nested,
    "large": large,
    "tiny": tiny,
    "faint": faint,
}


def scenes(scans: Sequence[CaseFile], seed: int) -> Iterator[Case]:
    """Yield the scenes of all kinds."""
    for of_kind in SCENES.values():
        yield from of_kind(scans, seed)


if __name__ == "__main__":
    write_scenes(scenes, __doc__)
