"""What nested labels cost `ours`: an object in another, compared with the object alone.

The real scans are those of `SEGBENCH_TUNE`, a folder; without it there are generated scenes only.
"""

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from segbench import evaluate
from segbench.core import Case
from segbench.data.case_folder import find_cases
from segbench.data.challenge_npz import write_case
from tests.bench.nested_scenes import inner_labels, only, scenes

pytestmark = pytest.mark.slow
SEED = 0
MIN_OF_ALONE = 0.90  # of the inner object's final DSC
MAX_LOSS = 0.01  # of the outer object's


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    folder = os.environ.get("SEGBENCH_TUNE")
    return list(scenes(find_cases(Path(folder)) if folder else [], SEED))


def finals(cases: list[Case], folder: Path, refine: str) -> dict[tuple[str, int], float]:
    """Return the final DSC of every label of every case."""
    data = folder / "data"
    data.mkdir(parents=True)
    for case in cases:
        write_case(data / f"{case.name}.npz", case)
    option = {"device": "cpu", "refine": refine}
    result = evaluate("ours", data, out=folder / "run", jobs=2, option=option, predictions="none")
    assert result.all_ok
    return {
        (case.case, score.label): score.dsc
        for case in result.case_results
        for score in case.steps[-1].scores
    }


def table(rows: Mapping[str, list[tuple[float, ...]]], titles: str) -> str:
    """Return the means of each kind of case as text."""
    lines = []
    for kind, values in sorted(rows.items()):
        means = "  ".join(f"{mean:.3f}" for mean in np.mean(values, axis=0))
        lines.append(f"{kind}: {len(values)} objects, {titles}: {means}")
    return "\n".join(lines)


def test_nested_objects(cases, tmp_path, show):
    together = finals(cases, tmp_path / "walker", "walker")
    before = finals(cases, tmp_path / "none", "none")
    lesions = [(case, label) for case in cases for label in inner_labels(case)]
    alone_cases = [only(case, [label]) for case, label in lesions]
    alone = {}
    for number in {label for _, label in lesions}:  # a case name occurs once in a folder
        chosen = [case for case in alone_cases if case.labels == (number,)]
        alone |= finals(chosen, tmp_path / f"alone{number}", "walker")
    inner, outer = defaultdict(list), defaultdict(list)
    for (name, label), dsc in together.items():
        kind = name.split("_")[1]
        if (name, label) in alone:
            inner[kind].append((dsc, before[name, label], alone[name, label]))
        else:
            outer[kind].append((dsc, before[name, label]))
    show(table(inner, "inner ones: final DSC, unrefined, alone"))
    show(table(outer, "others: final DSC, unrefined"))
    ours, _, by_itself = np.mean([row for rows in inner.values() for row in rows], axis=0)
    assert ours >= MIN_OF_ALONE * by_itself
    refined, unrefined = np.mean([row for rows in outer.values() for row in rows], axis=0)
    assert refined >= unrefined - MAX_LOSS
