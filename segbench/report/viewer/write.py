"""Write the page's cases: one script and one picture for each, several cases at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from segbench.activity import Activity
from segbench.data.pool import each
from segbench.errors import SegbenchError
from segbench.files import atomic_write, write_text
from segbench.report.frames import Results
from segbench.report.private_text import without_machine
from segbench.report.viewer.case_data import case_view
from segbench.report.viewer.case_list import case_list
from segbench.report.viewer.documents import (
    PER_PAGE,
    gallery_file,
    gallery_pages,
    view_page,
)
from segbench.report.viewer.plan import ViewedCase, ViewerPlan
from segbench.results import Policy

ASSETS = ("viewer.css", "gallery.js", "planes.js", "view.js")


@dataclass(frozen=True)
class _Job:
    """What a process needs for its cases."""

    out: Path
    policy: Policy
    with_images: bool


def write_planned(
    results: Results,
    plan: ViewerPlan,
    out: Path,
    *,
    with_images: bool,
    jobs: int,
    activity: Activity,
) -> tuple[list[str], tuple[str, ...]]:
    """Write all files; return their names, and the cases that could not be read.

    A case whose files are damaged keeps its scores.
    """
    (out / "cases").mkdir(parents=True, exist_ok=True)
    (out / "assets").mkdir(exist_ok=True)
    with_data = [case for case in plan.cases if case.planned is not None]
    write = partial(_write_case, _Job(out, results.policy, with_images))
    failed: dict[str, str] = {}
    for number, (case, why) in enumerate(each(write, with_data, jobs), start=1):
        with activity(f"writing case {number} of {len(with_data)} of the page"):
            if why is None:
                failed[case.name] = "the process that made its pictures died"
            elif why:
                failed[case.name] = why
    cases = [_without_data(case, failed.get(case.name, "")) for case in plan.cases]
    listed = case_list(results, cases)
    notes = (*plan.notes, *(f"{name}: no pictures: {why}" for name, why in failed.items()))
    write_text(out / "cases.js", f"segbenchCases = {_script(listed)};\n")
    pages = {**gallery_pages(listed, notes), "view.html": view_page(with_images=with_images)}
    for name, text in pages.items():
        write_text(out / name, text)
    for name in ASSETS:
        write_text(out / "assets" / name, asset(name))
    names = [name for case in cases if case.amount for name in (case.script, case.thumbnail)]
    return [*pages, "cases.js", *(f"assets/{name}" for name in ASSETS), *names], notes


def planned_names(plan: ViewerPlan) -> list[str]:
    """Return the names of all files that a plan may write, relative to the report's folder."""
    n_pages = max(-(-len(plan.cases) // PER_PAGE), 1)
    with_data = [case for case in plan.cases if case.planned is not None]
    data = [name for case in with_data for name in (case.script, case.thumbnail)]
    assets = [f"assets/{name}" for name in ASSETS]
    return [*map(gallery_file, range(n_pages)), "view.html", "cases.js", *assets, *data]


def asset(name: str) -> str:
    """Return a script or style of the page."""
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _without_data(case: ViewedCase, why: str) -> ViewedCase:
    if not why:
        return case
    return ViewedCase(case.number, case.name, None, None, (), 0, why)


def _write_case(job: _Job, case: ViewedCase) -> str:
    """Write one case; return why it could not be, or nothing."""
    assert case.planned is not None
    assert case.amount is not None
    try:
        view, picture = case_view(
            case.planned, case.methods, case.amount, job.policy, with_image=job.with_images
        )
    except SegbenchError as error:
        return without_machine(str(error))
    text = f"segbenchCase({case.number}, {_script(view)});\n"
    for name, content in ((case.script, text.encode("ascii")), (case.thumbnail, picture)):
        with atomic_write(job.out / name, sync=False) as stream:  # a page can be made again
            stream.write(content)
    return ""


def _script(value: Any) -> str:
    """Return a value as JavaScript of ASCII characters."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
