"""What `segbench report` costs for many cases: reading, tables and statistics."""

import os
import random
import subprocess
import sys

import pytest

from segbench.core import AdapterInfo, Box, Click, StepScore
from segbench.results import CaseResult, StepResult
from segbench.runs.run_folder import write_case_result, write_manifest
from tests.manifests import manifest

pytestmark = pytest.mark.slow

SECONDS, MODELS, CASES = 20, 6, 500
MODALITIES = ("CT", "MR", "Microscopy", "PET", "US")
N_DATASETS = 25


def case(number, model):
    """One to eight labels, a box for the first, two cases of a patient."""
    rng = random.Random(f"{number} {model}")
    labels = tuple(range(1, 2 + number % 8))
    base = 0.5 + 0.003 * model
    steps = tuple(
        StepResult(
            step,
            tuple(
                StepScore(step, label, base + 0.05 * step + 0.1 * rng.random(), rng.random())
                for label in labels
            ),
            prediction_sha256=f"{rng.getrandbits(256):064x}",
        )
        for step in range(6)
    )
    boxes = tuple(Box(label, (1, 2, 3), (5, 6, 7), 2) for label in labels)
    clicks = tuple(Click(label, (3, 4, 5), True) for label in labels)
    modality = MODALITIES[number % 5]
    return CaseResult(
        f"{modality}_{number:04}",
        "ok",
        modality=modality,
        patient=f"p{number // 10}_{number % 5}",
        dataset=f"D{number % N_DATASETS}",
        labels=labels,
        has_boxes=True,
        rounds=(boxes, *[clicks] * 5),
        steps=steps,
        seconds=dict.fromkeys(range(6), 1.0),
        file_sha256=f"{number:064x}",
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for model in range(MODELS):
        out = folder / f"m{model}"
        write_manifest(out, manifest(AdapterInfo(f"m{model}"), n_cases=CASES))
        for number in range(CASES):
            write_case_result(out, case(number, model))
    return sorted(folder.iterdir())


@pytest.mark.parametrize("option", ["--no-significance", "--significance", "--intervals"])
def test_a_report_of_many_cases_takes_less_than_20_seconds(runs, tmp_path, option, show):
    command = [sys.executable, "-m", "segbench", "report", *runs, "--out", tmp_path / "out", option]
    command += ["--figures", "none"]  # test_figure_cost.py has them
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    spent, mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    show(f"{CASES} cases x {MODELS} models, {option}: {spent:.1f} CPU s, {mb:.0f} MB at most")
    assert process.returncode == 0
    assert spent <= SECONDS
