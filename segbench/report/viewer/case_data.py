"""What the page knows of one case: image, reference, predictions, prompts and scores, cut out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segbench.core import Box, Case, Click, LabelMap, Prompt
from segbench.data.dataset import read_case
from segbench.report.private_text import without_machine
from segbench.report.viewer.encoding import as_small, changes, eight_bits, encoded
from segbench.report.viewer.thumbnail import thumbnail
from segbench.report.viewer.window import (
    Extent,
    Kept,
    extent_of,
    middle_of,
    slices_through,
    window_around,
)
from segbench.report.volumes.plan import PlannedCase, RunOfCase
from segbench.results import Policy
from segbench.runs.run_data import stored_label_maps

Amount = Literal["volume", "slices"]


@dataclass(frozen=True)
class Cropped:
    """A label map, of which only the part with labels is kept in memory."""

    extent: Extent | None
    labels: NDArray[Any]

    @classmethod
    def of(cls, label_map: LabelMap) -> Cropped:
        """Cut a label map to its labels."""
        extent = extent_of(label_map)
        if extent is None:
            return cls(None, np.zeros((0, 0, 0), np.uint8))
        return cls(extent, as_small(label_map[extent.roi]).copy())

    def in_window(self, window: Extent, dtype: Any) -> NDArray[Any]:
        """Return the label map inside a window that contains all of its labels."""
        whole = np.zeros(window.shape, dtype)
        if self.extent is not None:
            at = zip(self.extent.low, self.extent.high, window.low, strict=True)
            whole[tuple(slice(a - start, b - start) for a, b, start in at)] = self.labels
        return whole


@dataclass(frozen=True)
class MethodOfCase:
    """The answers of one method: by step, in the order of the steps."""

    name: str
    run: RunOfCase
    label_maps: tuple[tuple[int, Cropped], ...]  # step, label map


def case_view(
    planned: PlannedCase,
    names: Sequence[str],
    amount: Amount,
    policy: Policy,
    *,
    with_image: bool = True,
) -> tuple[dict[str, Any], bytes]:
    """Return a case as the page reads it, and its picture for the gallery.

    Parameters
    ----------
    planned : PlannedCase
        The case and the runs that have it, with all their steps.
    names : sequence of str
        The methods' names, in the order of the runs.
    amount : {"volume", "slices"}
        All of the window, or the three slices through each click and through the largest area of
        the reference. If these have more voxels than the volume, the volume.
    policy : Policy
        How failed steps are scored.
    with_image : bool
        False: outlines without an image.

    Returns
    -------
    view : dict
        Plain values for JSON. Indices are those of the volume, (z, y, x).
    picture : bytes
        A PNG.
    """
    case = read_case(planned.source)
    methods = [_method(name, run) for name, run in zip(names, planned.runs, strict=True)]
    reference = Cropped.of(case.reference)
    prompts = [prompt for method in methods for prompt in _prompts(method.run)]
    extents = [crop.extent for method in methods for _, crop in method.label_maps]
    window = window_around([reference.extent, *extents], prompts, case.reference.shape)
    kept = None
    if amount == "slices":
        clicks = [prompt.voxel for prompt in prompts if isinstance(prompt, Click)]
        kept = slices_through([*clicks, middle_of(case.reference > 0)])
        if kept.n_voxels(window) >= math.prod(window.shape):
            kept = None
    store = _Store(window, kept)
    image, scale = eight_bits(case.image.voxels[window.roi]) if with_image else (None, (0.0, 0.0))
    whole_reference = reference.in_window(window, reference.labels.dtype)
    view = {
        **_facts(case, planned),
        "window": {"low": list(window.low), "shape": list(window.shape)},
        "kept": [list(axis) for axis in kept.axes] if kept else None,
        "image": None if image is None else store.one(image),
        "scale": list(scale),
        "reference": store.one(whole_reference),
        "methods": [_method_data(method, store, policy) for method in methods],
    }
    first = methods[0].label_maps[-1][1] if methods and methods[0].label_maps else None
    prediction = None if first is None else first.in_window(window, first.labels.dtype)
    return view, thumbnail(image, whole_reference, prediction, case.image.spacing)


@dataclass(frozen=True)
class _Store:
    """Writes arrays of the window: all of it, or the slices that are kept."""

    window: Extent
    kept: Kept | None

    def parts(self, array: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the array, or one stack of slices for each axis."""
        if self.kept is None:
            return [array]
        return [
            np.ascontiguousarray(array.take([i - start for i in at], axis=axis))
            for axis, (at, start) in enumerate(zip(self.kept.axes, self.window.low, strict=True))
        ]

    def one(self, array: NDArray[Any]) -> list[dict[str, Any]]:
        """Return an array for JSON."""
        return [encoded(part) for part in self.parts(array)]

    def steps(self, arrays: Sequence[NDArray[Any]]) -> list[list[dict[str, Any]]]:
        """Return the label maps of all steps for JSON, each as its change from the one before."""
        by_part = zip(*(self.parts(array) for array in arrays), strict=True)
        encoded_parts = [[encoded(change) for change in changes(part)] for part in by_part]
        return [list(step) for step in zip(*encoded_parts, strict=True)]


def _method(name: str, run: RunOfCase) -> MethodOfCase:
    label_maps = stored_label_maps(run.predictions, run.result)
    kept = tuple((step.step, Cropped.of(label_map)) for step, label_map in label_maps)
    return MethodOfCase(name, run, kept)


def _prompts(run: RunOfCase) -> list[Prompt]:
    return [prompt for prompts in run.result.rounds for prompt in prompts]


def _facts(case: Case, planned: PlannedCase) -> dict[str, Any]:
    result = planned.runs[0].result
    return {
        "name": case.name,
        "modality": result.modality,
        "dataset": result.dataset,
        "shape": list(case.reference.shape),
        "spacing": list(case.image.spacing),
        "labels": [int(label) for label in case.labels],
    }


def _method_data(method: MethodOfCase, store: _Store, policy: Policy) -> dict[str, Any]:
    result = method.run.result
    largest = max((crop.labels.max(initial=0) for _, crop in method.label_maps), default=0)
    dtype = np.uint8 if largest <= np.iinfo(np.uint8).max else np.uint16
    arrays = [crop.in_window(store.window, dtype) for _, crop in method.label_maps]
    masks = dict(zip((step for step, _ in method.label_maps), store.steps(arrays), strict=True))
    n_clicks = max(step.step for step in result.steps)
    summary = result.summary(policy, n_clicks)
    steps = []
    for step in result.steps:
        scores = summary.label_scores.get(step.step, ()) if summary else ()
        prompts = result.rounds[step.step] if step.step < len(result.rounds) else ()
        steps.append(
            {
                "step": step.step,
                "seconds": round(result.seconds.get(step.step, 0.0), 3),
                "failure": without_machine(step.failure or ""),
                "scores": {str(s.label): [round(s.dsc, 6), round(s.nsd, 6)] for s in scores},
                "clicks": [_click(p) for p in prompts if isinstance(p, Click)],
                "boxes": [_box(p) for p in prompts if isinstance(p, Box)],
                "mask": masks.get(step.step),
            }
        )
    return {"name": method.name, "steps": steps}


def _click(click: Click) -> dict[str, Any]:
    return {"label": click.label, "at": list(click.voxel), "positive": click.positive}


def _box(box: Box) -> dict[str, Any]:
    return {"label": box.label, "low": list(box.low), "high": list(box.high)}
