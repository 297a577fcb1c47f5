"""Volumes for viewers: images, references, label maps and prompts of runs, in the source's grid.

`write_volumes` is the entry. A case that was converted by segbench gets the voxel order and the
matrix of its source back; any other has a stated grid. Needs the extra ``segbench[convert]``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from segbench.activity import Activity, silent
from segbench.errors import RunError
from segbench.report.volumes.plan import StepChoice, VolumeExport, plan_export

VolumeFormat = Literal["nifti", "slicer"]
VOLUME_FORMATS: tuple[VolumeFormat, ...] = ("nifti", "slicer")


def write_volumes(  # noqa: PLR0913
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    format: VolumeFormat = "nifti",
    cases: Sequence[str] = (),
    step: StepChoice = "final",
    data: Path | None = None,
    references: Path | None = None,
    activity: Activity = silent,
) -> VolumeExport:
    """Write label maps and prompts of runs as files of viewers, one case after another.

    Parameters
    ----------
    runs : run folders
        A folder that contains run folders stands for all of them.
    out : path
        The folder, created if it is missing. Files of earlier exports are replaced, no others.
    format : {"nifti", "slicer"}
        slicer: also clicks and boxes as markups, colour tables, and a script that opens a case.
    cases : sequence of str
        Patterns of names, such as ``CT_*``; empty: all cases.
    step : {"final", "all"} or int
        Which label maps: that of the last step, of all steps, or of one step.
    data, references : Path, optional
        Where the cases of all these runs are now; by default as in ``run.json``.
    activity : Activity
        Says which case is written.

    Returns
    -------
    VolumeExport
        What was written, and what could not be and why.

    Raises
    ------
    RunError
        If nibabel is missing, the folder is a run folder or has other files of these names, the
        data of a case are not those of the run, two runs have different data for one case, a run
        has not kept the step, or there is nothing to export. Then nothing is written.
    """
    if format not in VOLUME_FORMATS:
        raise RunError(f"format: expected one of {', '.join(VOLUME_FORMATS)}, found {format!r}")
    if importlib.util.find_spec("nibabel") is None:
        raise RunError(
            f"format {format}: expected the package nibabel, found none; "
            "pip install 'segbench[convert]'"
        )
    from segbench.report.volumes.write import write_planned

    planned = plan_export(
        list(map(Path, runs)),
        slicer=format == "slicer",
        patterns=cases,
        step=step,
        data=data,
        references=references,
    )
    return write_planned(planned, Path(out), activity)
