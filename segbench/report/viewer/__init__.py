"""The page's cases: a gallery, and a view of each case click by click, without server or network.

`write_viewer` is the entry. ``plan`` decides which case has which data, ``case_data`` makes it,
``documents`` has the pages, and ``assets`` their scripts and style.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segbench.activity import Activity, silent
from segbench.errors import RunError
from segbench.report.frames import Results
from segbench.report.viewer.plan import VIEWER_CHOICES, ViewerChoice, ViewerPlan, plan_viewer
from segbench.report.viewer.write import planned_names, write_planned
from segbench.report.written_files import (
    PAGE_LIST,
    exported_files,
    list_exported_files,
    refuse_others,
)

__all__ = ["ViewerOptions", "ViewerPlan", "plan_of", "write_viewer"]


@dataclass(frozen=True)
class ViewerOptions:
    """What of the cases the page contains."""

    choice: ViewerChoice = "selected"
    limit: int = 500_000_000  # bytes
    images: bool = True
    data: Path | None = None
    references: Path | None = None
    jobs: int = 1

    def __post_init__(self) -> None:
        if self.choice not in VIEWER_CHOICES:
            expected = ", ".join(VIEWER_CHOICES)
            raise RunError(f"viewer: expected one of {expected}, found {self.choice!r}")


def plan_of(results: Results, options: ViewerOptions) -> ViewerPlan:
    """Return what `write_viewer` would write, and its estimated size."""
    return plan_viewer(
        results, options.choice, options.limit, data=options.data, references=options.references
    )


def write_viewer(
    results: Results,
    out: Path,
    options: ViewerOptions = ViewerOptions(),
    *,
    plan: ViewerPlan | None = None,
    activity: Activity = silent,
) -> tuple[list[str], tuple[str, ...]]:
    """Write gallery, case view and the data of the cases into a report's folder.

    Parameters
    ----------
    results : Results
        With their runs.
    out : Path
        The folder of the report, which exists.
    options : ViewerOptions
        Which data, and where the cases are.
    plan : ViewerPlan, optional
        That of `plan_of`, if it has been made.
    activity : Activity
        Says which case is written.

    Returns
    -------
    names, notes
        The files, relative to the folder; and which cases have less than was asked for, and why.

    Raises
    ------
    RunError
        If a file that segbench did not write would be replaced; then nothing is written.
    """
    made = plan_of(results, options) if plan is None else plan
    planned = planned_names(made)
    own = exported_files(out, PAGE_LIST)
    refuse_others(out, planned, own)
    for name in own - {*planned, PAGE_LIST}:  # of an earlier report with more cases
        (out / name).unlink(missing_ok=True)
    list_exported_files(out, planned, PAGE_LIST)
    return write_planned(
        results, made, out, with_images=options.images, jobs=options.jobs, activity=activity
    )
