"""Pictures of the best and the worst case of each method and modality.

The published paper shows them in its Figures 4 to 8, one for each modality.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from segbench.core import Box, Click, LabelMap
from segbench.data.dataset import CaseFile, read_case
from segbench.errors import RunError, SegbenchError
from segbench.messages import counted, named
from segbench.report.comparison import display_names
from segbench.report.figures.case_choice import best_and_worst
from segbench.report.figures.case_drawing import ShownCase, draw_cases
from segbench.report.figures.case_views import AXES, three_planes
from segbench.report.figures.figure import ReportFigure
from segbench.report.frames import Results
from segbench.report.modalities import TABLE_3_STYLE
from segbench.report.private_text import file_stems, without_machine
from segbench.report.tables.notes import policy_note
from segbench.results import CaseResult
from segbench.runs.run_data import find_run_cases, same_file, stored_label_maps
from segbench.runs.run_folder import Run, prediction_file


@dataclass(frozen=True)
class Pictures:
    """The pictures that could be made, and one line for each case that could not be shown."""

    figures: tuple[ReportFigure, ...]
    left_out: tuple[str, ...]


def case_pictures(results: Results, *, data: Path | None = None, images: bool = True) -> Pictures:
    """Return one figure for each method and modality: its best and its worst case.

    Parameters
    ----------
    data : where the cases of all runs are now; by default where run.json says
    images : whether the image is shown; otherwise outlines alone
    """
    figures, left_out = [], list[str]()
    chosen = best_and_worst(results)
    chosen = chosen[chosen["method"].isin(list(results.runs))]
    for method, of_method in chosen.groupby("method", sort=False):
        run = results.runs[str(method)]
        try:
            files = find_run_cases(run, data)
        except SegbenchError as error:
            left_out.append(f"pictures of {method}: {error}")
            continue
        for _, rows in of_method.groupby("modality", sort=False):
            shown, missing = _read_all(run, files, rows, images=images)
            left_out += [f"pictures of {method}: {reason}" for reason in missing]
            if shown:
                figures.append(_figure(results, rows, shown, images=images))
    return Pictures(tuple(_with_names(figures)), tuple(left_out))


def _read_all(
    run: Run, files: dict[str, CaseFile], rows: pd.DataFrame, *, images: bool
) -> tuple[list[ShownCase], list[str]]:
    shown, missing = [], []
    for row in rows.to_dict("records"):
        try:
            shown.append(_read(run, files, row, images=images))
        except SegbenchError as error:
            missing.append(str(error))
        except OSError as error:
            missing.append(f"{row['case']}: expected its files, found {named(error)}")
    return shown, missing


def _read(run: Run, files: dict[str, CaseFile], row: dict[Any, Any], *, images: bool) -> ShownCase:
    (result,) = (each for each in run.case_results if each.case == row["case"])
    case = read_case(same_file(files.get(result.case), result, run.folder))
    prediction = _last_label_map(run, result)
    prompts = [
        (step, prompt)
        for step, prompts in enumerate(result.rounds)
        for prompt in prompts
        if prompt.label == row["label"]
    ]
    boxes = [prompt for _, prompt in prompts if isinstance(prompt, Box)]
    clicks = [(step, prompt) for step, prompt in prompts if isinstance(prompt, Click)]
    planes = three_planes(
        case, prediction, row["label"], box=boxes[0] if boxes else None, clicks=clicks
    )
    if not images:
        planes = [plane.without_image() for plane in planes]
    facts = dict(zip((f"slice_{axis}" for axis in AXES), (p.index for p in planes), strict=True))
    return ShownCase(row | facts | _prompt_texts(boxes, clicks), tuple(planes))


def _last_label_map(run: Run, result: CaseResult) -> LabelMap:
    """Return the label map after the last step; of a failed step it is the one before."""
    file = prediction_file(run.folder, result.case)
    if not file.exists():
        raise RunError(
            f"{run.folder}: expected the label maps of case {result.case}, found none; run again "
            "with --predictions final or all"
        )
    *_, (_, segmentation) = stored_label_maps(file, result)
    return segmentation


def _prompt_texts(boxes: list[Box], clicks: list[tuple[int, Click]]) -> dict[str, str]:
    """Return what the label was given as texts: corners in voxels, and signs of the clicks."""
    box = "; ".join(f"{low}:{high}" for b in boxes for low, high in zip(b.low, b.high, strict=True))
    texts = (
        f"{step}{'+' if click.positive else '-'} {' '.join(map(str, click.voxel))}"
        for step, click in clicks
    )
    return {"box": box, "clicks": "; ".join(texts)}


def _figure(
    results: Results, rows: pd.DataFrame, shown: list[ShownCase], *, images: bool
) -> ReportFigure:
    method, code = rows.iloc[0][["method", "modality"]]
    modality = TABLE_3_STYLE.display_name(code)
    frame = pd.DataFrame([case.facts for case in shown])
    what = "image, reference" if images else "reference"
    return ReportFigure(
        f"figure-cases-{method}-{code}",
        f"{modality}: best and worst case of {display_names(results)[method]}",
        (
            f"The cases with the best and the worst DSC after the last click, of "
            f"{counted(int(rows.iloc[0]['n_cases']), 'case')} of {modality}; of several labels the "
            "one with the best DSC in the best case, with the worst in the worst.",
            f"The {what}, prediction and box in three slices, those of the label's largest area in "
            "the reference along z, y and x; under each its number and the width that it shows. "
            "Along y and x, z goes up.",
            "Numbers are the steps of the label's clicks. Thin marks are in other slices.",
            policy_note(results.policy),
        ),
        frame,
        draw_cases(shown),
    )


def _with_names(figures: list[ReportFigure]) -> Iterator[ReportFigure]:
    """Yield figures under names that files can have, all different."""
    names = (without_machine(figure.name).lower() for figure in figures)
    stems = file_stems([re.sub("[^a-z0-9]+", "-", name).strip("-") for name in names])
    for figure, stem in zip(figures, stems, strict=True):
        yield replace(figure, name=stem)
