"""Connected components of labels: which labels are scattered, and objects out of classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import cc3d
import numpy as np
from numpy.typing import NDArray

from segbench.arrays import bounding_box, label_map_dtype
from segbench.core import MAX_LABEL, Mask
from segbench.data.convert.labels import ChosenLabels
from segbench.errors import CaseError

NEIGHBOURS: Final = 26
SHARE = 0.9  # of a label's voxels
MOST_MAIN_PARTS = 4  # components that together have this share: two kidneys are two
SMALLEST_PART = 10  # voxels; smaller components are noise of an annotation
MOST_PARTS = 20  # components of at least this size


def scattered(mask: Mask) -> str:
    """Return why an object is scattered, empty if it is not: no box can stand for it.

    It is if more than 4 of its 26-connected components are needed for 90 % of its voxels, or if
    more than 20 of them have 10 voxels or more. In the scans on which segbench was developed, this
    finds the multiple sclerosis lesions, and nothing else.
    """
    components = _components(np.ascontiguousarray(mask[bounding_box(mask)]))
    sizes = np.sort(np.bincount(components.ravel(order="K"))[1:])[::-1]
    n_main = int(np.searchsorted(np.cumsum(sizes), SHARE * sizes.sum())) + 1
    if n_main > MOST_MAIN_PARTS:
        return f"{n_main} components are needed for 90 % of its voxels"
    n_parts = int(np.count_nonzero(sizes >= SMALLEST_PART))
    if n_parts > MOST_PARTS:
        return f"{n_parts} components have {SMALLEST_PART} voxels or more"
    return ""


def split_components(chosen: ChosenLabels, name: str) -> ChosenLabels:
    """Make each 26-connected component a label of its own; those of one label follow each other.

    Raises
    ------
    CaseError
        If there are more components than a label map can number.
    """
    components = _components(chosen.label_map)
    sizes = np.bincount(components.ravel())
    if len(sizes) - 1 > MAX_LABEL:
        raise CaseError(f"{name}: expected at most {MAX_LABEL} components, found {len(sizes) - 1}")
    owner = np.zeros(len(sizes), np.int64)
    owner[components.ravel()] = chosen.label_map.ravel()
    order = np.argsort(owner[1:], kind="stable") + 1
    table = np.zeros(len(sizes), label_map_dtype([len(order)]))
    table[order] = np.arange(1, len(order) + 1)
    by_label = {each.label: each for each in chosen.labels}
    counted = dict.fromkeys(by_label, 0)
    found = []
    for label, component in enumerate(order.tolist(), 1):
        parent = by_label[int(owner[component])]
        counted[parent.label] += 1
        own_name = f"{parent.name} {counted[parent.label]}"
        n_voxels = int(sizes[component])
        found.append(
            replace(parent, label=label, name=own_name, n_voxels=n_voxels, parent=parent.name)
        )
    return replace(chosen, label_map=table[components], labels=tuple(found))


def _components(array: NDArray[Any]) -> NDArray[Any]:
    # uint8, not bool: cc3d 4.1.1 raises on some bool volumes, such as a line of odd length
    array = array.view(np.uint8) if array.dtype == bool else array
    components, _ = cc3d.connected_components(array, connectivity=NEIGHBOURS, return_N=True)
    return components
