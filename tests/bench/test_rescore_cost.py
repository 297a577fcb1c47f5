"""What further metrics of a real run cost, next to a plain loop with surface-distance.

``make bench`` shows the numbers; docs/rescore.md quotes them. Both read the same files. CPU seconds
are compared, because wall seconds depend on what else is running.
"""

import time

import numpy as np
import pytest
import surface_distance

import segbench
from segbench.data.case_folder import find_cases
from segbench.data.challenge_npz import ChallengeFile
from segbench.runs.job import close_models
from segbench.runs.run_folder import prediction_file, read_run

pytestmark = pytest.mark.slow

TOLERANCES = (1, 2, 3)
BARS = {"nsd-ungated": 8, "hd95": 1.2}  # times less CPU


@pytest.fixture(scope="module")
def runs(tmp_path_factory, real_cases):
    """Return two runs on the real scans, and the folder of these."""
    data = real_cases
    folder = tmp_path_factory.mktemp("runs")
    for model in ("ellipsoid", "boxfill"):
        segbench.evaluate(model, data, out=folder / model, in_process=True, progress=False)
    close_models()
    return folder, data


def plain_loop(folder, data, measure):
    """Return what is measured of every label of every stored prediction, by its place."""
    files, found = {case.name: case.file for case in find_cases(data)}, {}
    for result in read_run(folder).case_results:
        with ChallengeFile(files[result.case]) as file:
            reference, spacing = file.read("gts"), file.read("spacing")
        with ChallengeFile(prediction_file(folder, result.case)) as file:
            predictions = file.read("all_segs")
        for step, prediction in zip(result.steps, predictions, strict=True):
            for label in result.labels:
                masks = reference == label, prediction == label
                if masks[1].any():
                    distances = surface_distance.compute_surface_distances(*masks, spacing)
                    found[result.case, label, step.step] = measure(distances)
                else:
                    found[result.case, label, step.step] = None
    return found


def nsd(distances):
    return [
        surface_distance.compute_surface_dice_at_tolerance(distances, tolerance)
        for tolerance in TOLERANCES
    ]


def hd95(distances):
    return [surface_distance.compute_robust_hausdorff(distances, 95)]


def cpu_seconds(work):
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def stored(folder, names):
    derived = segbench.load(folder).derived
    by_name = derived.pivot(index=["case", "label", "step"], columns="metric", values="value")
    return by_name[list(names)]


@pytest.mark.parametrize(
    ("kind", "measure", "empty"), [("nsd-ungated", nsd, 0.0), ("hd95", hd95, np.nan)]
)
def test_a_run_is_rescored_in_a_fraction_of_a_plain_loop(runs, kind, measure, empty, show):
    root, data = runs
    folder = root / "ellipsoid"
    names = [f"{kind}@{mm}mm" for mm in TOLERANCES] if kind == "nsd-ungated" else [kind]
    segbench.rescore(folder, metric="obeyed", progress=False, data=data)  # imports
    spent, done = cpu_seconds(
        lambda: segbench.rescore(folder, metric=names, progress=False, data=data)
    )
    plain, expected = cpu_seconds(lambda: plain_loop(folder, data, measure))
    both, _ = cpu_seconds(lambda: segbench.rescore(root / "boxfill", metric=names, progress=False))
    again, _ = cpu_seconds(lambda: segbench.rescore(root, metric=names, progress=False))
    show(
        f"{len(read_run(folder).case_results)} cases, {done.n_computed} values of "
        f"{', '.join(names)}: plain loop {plain:.1f} -> {spent:.2f} CPU s, {plain / spent:.1f}x; "
        f"a second run {both:.2f} s; both again {again:.2f} s"
    )
    values = stored(folder, names)
    assert done.refused == ()
    assert len(values) == len(expected)
    for place, row in expected.items():
        found = values.loc[place].tolist()
        np.testing.assert_allclose(found, row or [empty] * len(names), rtol=1e-12)
    assert plain / spent >= BARS[kind]
