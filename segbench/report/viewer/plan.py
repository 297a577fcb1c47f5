"""Which cases the page shows with which data, decided before the first file is written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from segbench.data.challenge_npz import ChallengeFile
from segbench.data.dataset import CaseFile
from segbench.errors import CaseError, RunError
from segbench.report.frames import Results
from segbench.report.private_text import without_machine
from segbench.report.viewer.case_data import Amount
from segbench.report.volumes.plan import PlannedCase, RunOfCase
from segbench.results import CaseResult
from segbench.runs.run_data import count_label_maps, find_run_cases, same_file
from segbench.runs.run_folder import Run, prediction_file

ViewerChoice = Literal["selected", "all", "none"]
VIEWER_CHOICES: tuple[ViewerChoice, ...] = ("selected", "all", "none")
PER_MODALITY = 2  # best, and worst, cases with their whole volume
N_DIFFERENT = 10  # cases with the largest difference between methods
# measured on 41 real scans: gzip leaves about 0.6 of an image, base64 adds a third; label maps add
# a tenth of it
BYTES_PER_VOXEL = 0.9
SHARE_OF_SLICES = 0.35  # of the bytes of a volume that the slices through the clicks have


@dataclass(frozen=True)
class ViewedCase:
    """One case of the page."""

    number: int  # of its files
    name: str
    planned: PlannedCase | None  # None: no data, ``why`` says why
    amount: Amount | None
    methods: tuple[str, ...]  # that have label maps, in the order of ``planned.runs``
    estimate: int  # bytes
    why: str = ""

    @property
    def script(self) -> str:
        """The file with its data."""
        return f"cases/{self.number:05d}.js"

    @property
    def thumbnail(self) -> str:
        """The file of its picture in the gallery."""
        return f"cases/{self.number:05d}.png"


@dataclass(frozen=True)
class ViewerPlan:
    """All cases of the page, in name order, and why some have less than was asked for."""

    cases: tuple[ViewedCase, ...]
    notes: tuple[str, ...]

    @property
    def estimate(self) -> int:
        """Bytes of all data, roughly."""
        return sum(case.estimate for case in self.cases)


def plan_viewer(
    results: Results,
    choice: ViewerChoice,
    limit: int,
    *,
    data: Path | None = None,
    references: Path | None = None,
) -> ViewerPlan:
    """Decide which cases have their volume, slices or no data.

    Parameters
    ----------
    results : Results
        With their runs.
    choice : {"selected", "all", "none"}
        selected: slices through each click for every case, and the volume for the best, worst and
        failed ones and for those with the largest differences; all: the volume for every case.
    limit : int
        Bytes. Above it cases keep slices only, then nothing, in reverse order of interest.
    data, references : Path, optional
        Where the cases of all runs are now; by default as in ``run.json``.
    """
    names = sorted(set(results.cases["case"]))
    if choice == "none":
        cases = [ViewedCase(i, name, None, None, (), 0) for i, name in enumerate(names)]
        return ViewerPlan(tuple(cases), ())
    found, notes = _find_cases(results.runs, data, references)
    first = interesting(results.cases)
    order = [*first, *(name for name in names if name not in first)]
    volumes = {
        name: _volume_bytes(each) for name, each in found.items() if not isinstance(each, str)
    }
    wanted = {name: choice == "all" or name in first for name in volumes}
    chosen = _within_limit([name for name in order if name in volumes], volumes, wanted, limit)
    cases = [
        _viewed(number, name, found.get(name), *chosen.get(name, (None, 0)))
        for number, name in enumerate(names)
    ]
    size = f"{limit / 1e6:.0f} MB"
    for what, names_of in (
        (
            "slices only",
            [n for n, (amount, _) in chosen.items() if wanted[n] and amount == "slices"],
        ),
        ("scores only", [n for n, (amount, _) in chosen.items() if amount is None]),
    ):
        if names_of:
            notes.append(f"{what}, to stay below {size}: {', '.join(names_of)}")
    return ViewerPlan(tuple(cases), tuple(notes))


def _within_limit(
    order: Sequence[str], volumes: Mapping[str, int], wanted: Mapping[str, bool], limit: int
) -> dict[str, tuple[Amount | None, int]]:
    """Return amount and bytes of each case, the most interesting first, as long as they fit."""
    chosen: dict[str, tuple[Amount | None, int]] = {}
    used = 0
    for name in order:
        sizes: dict[Amount, int] = {"slices": round(volumes[name] * SHARE_OF_SLICES)}
        if wanted[name]:
            sizes = {"volume": volumes[name], **sizes}
        fits = ((amount, size) for amount, size in sizes.items() if used + size <= limit)
        chosen[name] = next(fits, (None, 0))
        used += chosen[name][1]
    return chosen


Found = tuple[tuple[str, ...], PlannedCase]


def _viewed(
    number: int, name: str, found: Found | str | None, amount: Amount | None, size: int
) -> ViewedCase:
    if found is None or isinstance(found, str):
        return ViewedCase(number, name, None, None, (), 0, found or "no run has kept label maps")
    methods, planned = found
    why = "" if amount else "the limit of the page's size is reached"
    return ViewedCase(number, name, planned if amount else None, amount, methods, size, why)


def interesting(cases: pd.DataFrame) -> list[str]:
    """Return the cases whose volume is worth its bytes, the most interesting first.

    Failed ones, the best and worst of each modality by the final DSC of any method, and those with
    the largest difference between methods.
    """
    scored = cases[cases["scored"]]
    failed = cases.loc[cases["status"] != "ok", "case"]
    finals = scored.pivot_table(index="case", columns="method", values="dsc_final")
    spread = (finals.max(axis=1) - finals.min(axis=1)).sort_values(ascending=False)
    spread = spread[spread > 0].head(N_DIFFERENT)
    extremes: list[str] = []
    for _, group in scored.groupby("modality", sort=True):
        ranked = group.sort_values(["dsc_final", "case"])["case"].drop_duplicates()
        extremes += [*ranked.head(PER_MODALITY), *ranked.tail(PER_MODALITY)]
    return list(dict.fromkeys([*extremes, *spread.index, *failed]))


def _find_cases(
    runs: Mapping[str, Run], data: Path | None, references: Path | None
) -> tuple[dict[str, Found | str], list[str]]:
    """Return for each case its runs and data, or why there are none."""
    found: dict[str, list[tuple[str, RunOfCase, CaseFile]]] = {}
    checked: dict[tuple[Path, str, str | None], CaseFile] = {}  # a file is hashed once for all runs
    reasons: dict[str, str] = {}
    notes = []
    for method, run in runs.items():
        try:
            files = find_run_cases(run, data, references)
        except RunError as error:
            notes.append(f"{method}: no pictures: {without_machine(str(error))}")
            continue
        for result in run.case_results:
            try:
                one = _run_of_case(run, result, files.get(result.case), checked)
            except (RunError, CaseError) as error:
                reasons[result.case] = without_machine(str(error))
                continue
            if one is not None:
                found.setdefault(result.case, []).append((method, *one))
    together: dict[str, Found | str] = dict(reasons)
    for name, parts in found.items():
        first = parts[0][1].result
        same = [part for part in parts if _data(part[1].result) == _data(first)]
        methods = tuple(method for method, _, _ in same)
        planned = PlannedCase(name, parts[0][2], tuple(run for _, run, _ in same))
        together[name] = (methods, planned)
    return together, notes


def _data(result: CaseResult) -> tuple[str, str | None]:
    return result.file_sha256, result.reference_sha256


def _run_of_case(
    run: Run,
    result: CaseResult,
    source: CaseFile | None,
    checked: dict[tuple[Path, str, str | None], CaseFile],
) -> tuple[RunOfCase, CaseFile] | None:
    file = prediction_file(run.folder, result.case)
    if result.status == "invalid" or not result.steps or not file.exists():
        return None
    kept = result.steps[-count_label_maps(file, result) :]
    key = (source.file if source else Path(), *_data(result))
    if key not in checked:
        checked[key] = same_file(source, result, run.folder)
    return RunOfCase("", result, file, tuple(step.step for step in kept)), checked[key]


def _volume_bytes(found: Found) -> int:
    methods, planned = found
    with ChallengeFile(planned.source.file) as file:
        voxels = math.prod(file.header("imgs").shape)
    return round(BYTES_PER_VOXEL * voxels * (1 + 0.1 * len(methods)) / 1.1)
