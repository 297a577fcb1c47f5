"""The golden data through the whole of ``segbench run``: every value ``==`` the official one."""

import csv
import json
from pathlib import Path

import pytest

import segbench
from segbench.runs.job import close_models

FOLDER = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())["cases"]
LARGE = "c30_large_even"
LARGER = "c17_larger"
MODELS = ["modela", "modelb", "modelc", "modeld", "modelp"]
REFUSED = "c07_no_background_one_label"  # no voxel is 0: refused by name (docs/protocol.md)


def cases_of(model):
    names = sorted(name for name in EXPECTED if model in EXPECTED[name]["models"])
    return tuple(name for name in names if name not in (LARGE, LARGER))


def check_clicks(result, expected):
    """Compare the clicks of every round, the missing ones of perfect labels included."""
    for step in range(1, 6):
        by_label = {click.label: click for click in result.rounds[step]}
        clicks = [by_label.get(label) for label in result.labels]
        found = [click and ["fg" if click.positive else "bg", *click.voxel] for click in clicks]
        assert found == expected["clicks_new"][str(step)], (result.case, step)


def check_row(row, expected):
    """Compare a row of metrics.csv; c23's silent model has none."""
    numbers = {key: float(value) for key, value in row.items() if key != "CaseName"}
    for step in range(6):
        assert numbers[f"DSC_{step + 1}"] == expected["DSC"][step], (row["CaseName"], step)
        assert numbers[f"NSD_{step + 1}"] == expected["NSD"][step], (row["CaseName"], step)
    for name in ("DSC_AUC", "NSD_AUC", "DSC_Final", "NSD_Final", "runtime_upperbound"):
        assert numbers[name] == expected[name], (row["CaseName"], name)


@pytest.mark.parametrize("model", MODELS)
def test_a_run_writes_what_the_official_script_wrote(tmp_path, model):
    check_run(tmp_path, model, cases_of(model))


# modelc wrote nothing at one step; tests/protocol/test_golden.py compares this case for all models
@pytest.mark.parametrize(
    "model",
    [name if name == "modelc" else pytest.param(name, marks=pytest.mark.slow) for name in MODELS],
)
def test_a_run_of_a_larger_case_writes_what_the_official_script_wrote(tmp_path, model):
    check_run(tmp_path, model, (LARGER,))


def check_run(tmp_path, model, cases):
    """Run cases and compare everything that the run folder has of them."""
    outcome = segbench.evaluate(
        str(FOLDER.with_name("fake_adapters") / "replay.py"),
        FOLDER,
        out=tmp_path / "run",
        option={"folder": str(FOLDER), "model": model},
        case=cases,
        exact_sum=True,
        in_process=True,
        predictions="none",
        failures="carry_forward",
    )
    close_models()
    assert outcome.crashed == ()
    assert len(outcome.case_results) == len(cases)
    with (tmp_path / "run" / "metrics.csv").open() as stream:
        rows = {row["CaseName"].removesuffix(".npz"): row for row in csv.DictReader(stream)}
    for result in outcome.case_results:
        expected = EXPECTED[result.case]["models"][model]
        if result.case == REFUSED:
            assert result.status == "invalid"
            assert "expected a background of 0, found 1 as smallest label" in result.reason
            continue
        assert [step.failure is None for step in result.steps] == [
            wrote for wrote in expected["wrote"] if wrote is not None
        ]
        check_clicks(result, expected)
        assert (result.case in rows) == expected["in_csv"]
        if expected["in_csv"]:
            check_row(rows[result.case], expected)
