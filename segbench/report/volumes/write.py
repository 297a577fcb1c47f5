"""Write the files of an export of volumes, one case in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from segbench.activity import Activity
from segbench.core import Box, Click, LabelMap
from segbench.data.convert.nifti import write_nifti
from segbench.data.dataset import read_case
from segbench.errors import RunError
from segbench.files import write_text
from segbench.report.volumes.colours import (
    itk_snap_labels,
    label_names,
    slicer_colour_table,
    slicer_error_table,
)
from segbench.report.volumes.markups import boxes_markup, clicks_markup
from segbench.report.volumes.masks import box_map, error_map
from segbench.report.volumes.numbers import Numbers, renumbered, written_numbers
from segbench.report.volumes.placement import Placement
from segbench.report.volumes.plan import (
    SCRIPT_FILE,
    Plan,
    PlannedCase,
    RunOfCase,
    VolumeExport,
    clicks_file,
    error_file,
    step_file,
)
from segbench.report.volumes.slicer_script import slicer_script
from segbench.report.written_files import (
    EXPORT_LIST,
    exported_files,
    list_exported_files,
    refuse_others,
)
from segbench.runs.run_data import stored_label_maps

P = TypeVar("P", Box, Click)
LEVEL = 3  # of the compression: higher ones take far longer and save little


def write_planned(plan: Plan, out: Path, activity: Activity) -> VolumeExport:
    """Write all files of a plan.

    Raises
    ------
    RunError
        If the folder is a run folder or has other files of these names; then nothing is written.
    """
    if (out / "run.json").exists():
        raise RunError(f"{out}: expected a folder for exported files, found a run folder")
    refuse_others(out, (*plan.files, EXPORT_LIST), exported_files(out))
    out.mkdir(parents=True, exist_ok=True)
    list_exported_files(out, plan.files)
    for number, planned in enumerate(plan.cases, start=1):
        with activity(f"exporting {planned.name}, {number} of {len(plan.cases)}"):
            _write_case(planned, out / planned.name, slicer=plan.slicer)
    return VolumeExport(tuple(out / name for name in plan.files), plan.left_out)


def _write_case(planned: PlannedCase, folder: Path, *, slicer: bool) -> None:
    case = read_case(planned.source)
    placement = Placement.of(case)
    numbers = written_numbers(case, _unknown(planned))
    names = label_names(case, numbers)
    for run in planned.runs:
        (folder / run.folder).mkdir(parents=True, exist_ok=True)
    _write_volume(folder / "image.nii.gz", case.image.voxels, placement, "image")
    reference = renumbered(case.reference, numbers)
    _write_volume(folder / "reference.nii.gz", reference, placement, "reference")
    write_text(folder / "labels-itksnap.txt", itk_snap_labels(names))
    if slicer:
        write_text(folder / "labels.ctbl", slicer_colour_table(names))
        write_text(folder / "errors.ctbl", slicer_error_table())
    for run in planned.runs:
        _write_label_maps(run, folder / run.folder, reference, placement, numbers)
        if slicer:
            _write_prompts(run, folder / run.folder, placement, names, numbers)


def _unknown(planned: PlannedCase) -> set[int]:
    """Return the labels that a model has made up."""
    return {
        label for run in planned.runs for step in run.result.steps for label in step.unknown_labels
    }


def _write_label_maps(
    run: RunOfCase, folder: Path, reference: LabelMap, placement: Placement, numbers: Numbers
) -> None:
    if run.boxes:
        boxes = box_map(_with_numbers(run.boxes, numbers), reference.shape)
        _write_volume(folder / "boxes.nii.gz", boxes, placement, "boxes")
    label_maps = stored_label_maps(run.predictions, run.result)
    for step, segmentation in label_maps:
        if step.step not in run.steps:
            continue
        failed = " (failed: as before it)" if step.failure else ""
        what = f"step {step.step}{failed}"
        segmentation = renumbered(segmentation, numbers)
        _write_volume(folder / step_file(step.step), segmentation, placement, what)
        errors = error_map(segmentation, reference)
        _write_volume(folder / error_file(step.step), errors, placement, f"errors of {what}")


def _write_volume(file: Path, voxels: NDArray[Any], placement: Placement, what: str) -> None:
    description = "; ".join(filter(None, (f"segbench: {what}", placement.note)))
    in_order = placement.in_file_order(voxels)
    write_nifti(file, in_order, placement.affine, level=LEVEL, description=description)


def _with_numbers(prompts: Iterable[P], numbers: Numbers) -> list[P]:
    return [replace(prompt, label=numbers[prompt.label]) for prompt in prompts]


def _write_prompts(
    run: RunOfCase,
    folder: Path,
    placement: Placement,
    names: Mapping[int, str],
    numbers: Numbers,
) -> None:
    boxes = _with_numbers(run.boxes, numbers)
    markups = {"boxes.mrk.json": boxes_markup(boxes, placement, names)} if boxes else {}
    for step, clicks in run.clicks.items():
        renamed = _with_numbers(clicks, numbers)
        markups[clicks_file(step)] = clicks_markup(renamed, placement, names, step=step)
    label_maps, error_maps = map(step_file, run.steps), map(error_file, run.steps)
    script = slicer_script([*label_maps], [*error_maps], [*markups])
    for name, text in (markups | {SCRIPT_FILE: script}).items():
        write_text(folder / name, text)
