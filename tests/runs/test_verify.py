"""A run checked again: equal when untouched, and every tampering is found."""

import json

import numpy as np
import pytest

import segbench
from segbench.data.challenge_npz import write_arrays, write_case, write_prediction
from segbench.errors import CaseError, RunError
from segbench.runs.job import close_models
from segbench.runs.run_folder import case_file
from segbench.runs.verify import verify


@pytest.fixture
def run(data, tmp_path, scripted):
    """Return the folder of a run in which one step of each case failed."""
    segbench.evaluate(
        scripted, data, out=tmp_path / "run", option={"fail": "raise"}, in_process=True
    )
    close_models()
    return tmp_path / "run"


def tamper(folder, case, change):
    facts = json.loads(case_file(folder, case).read_text())
    change(facts)
    case_file(folder, case).write_text(json.dumps(facts))


def test_an_untouched_run_is_equal_in_every_fact(run):
    found = verify(run)
    # per case: 5 rounds of clicks; per step a prediction and 2 labels of 2 scores
    assert len(found.checks) == 3 * 5 + (5 + 4 + 5) * 5
    assert found.different == ()


@pytest.mark.parametrize("order", ["C", "F"])
def test_ties_decided_by_a_memory_order_that_is_no_longer_known_are_equal(tmp_path, order):
    reference = np.zeros((6, 7, 8), np.uint8, order="F")
    (tmp_path / "val").mkdir()
    reference[0, 0, 4] = reference[4, 0, 0] = 1  # which comes first depends on the order
    write_arrays(
        tmp_path / "val" / "CT_a.npz",
        {"imgs": reference * 9, "gts": reference, "spacing": np.ones(3)},
    )
    (tmp_path / "still.py").write_text(f"""
import numpy as np
from segbench.core import AdapterInfo

class Still:
    info = AdapterInfo("still")

    def set_image(self, image, labels):
        self.shape = image.voxels.shape

    def predict(self, interactions):
        return np.zeros(self.shape, np.uint8, order={order!r})

    def close(self):
        pass

make_adapter = Still
""")
    outcome = segbench.evaluate(
        str(tmp_path / "still.py"), tmp_path / "val", out=tmp_path / "run", in_process=True
    )
    clicks = {
        click.voxel for interactions in outcome.case_results[0].rounds[2:] for click in interactions
    }
    assert clicks == {{"C": (0, 0, 4), "F": (4, 0, 0)}[order]}
    assert verify(tmp_path / "run").different == ()


def test_a_changed_score_is_found(run):
    def change(facts):
        facts["steps"][1]["scores"][0]["dsc"] -= 1e-16 + 1e-3

    tamper(run, "CT_Toy_001", change)
    (check,) = verify(run).different
    assert (check.case, check.what) == ("CT_Toy_001", "step 1 label 1 dsc")


def test_a_moved_click_is_found(run):
    def change(facts):
        facts["rounds"][1][0]["voxel"][0] += 1

    tamper(run, "MR_Toy_002", change)
    (check,) = verify(run).different
    assert check.what == "step 1 clicks"


def test_a_changed_prediction_is_found(run):
    write_prediction(run / "predictions" / "CT_Toy_001.npz", [np.zeros((10, 20, 31), np.uint8)] * 6)
    assert "step 0 prediction" in {check.what for check in verify(run).different}


def test_only_the_last_step_can_be_checked_when_only_it_was_kept(data, tmp_path):
    segbench.evaluate("boxfill", data, out=tmp_path / "run", predictions="final", in_process=True)
    found = verify(tmp_path / "run")
    assert {check.what.partition(" l")[0] for check in found.checks} == {
        "step 5",
        "step 5 prediction",
    }
    assert found.different == ()


def test_another_data_file_is_refused(run, data, make_case):
    write_case(data / "CT_Toy_001.npz", make_case("CT_Toy_001", seed=5))
    with pytest.raises(
        RunError, match="expected the data of case CT_Toy_001, found another file in"
    ):
        verify(run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prediction": np.zeros((4, 5, 6))}, "prediction: expected integer labels, found float64"),
        ({"reference": np.zeros((4, 5), np.uint8)}, r"reference: expected shape \(z, y, x\)"),
        ({"prediction": np.zeros((4, 5, 7), np.uint8)}, r"found \(4, 5, 7\) and \(4, 5, 6\)"),
        ({"spacing": (1.0, 1.0)}, "expected 3 numbers"),
    ],
)
def test_scoring_from_python_says_what_is_wrong(changes, message):
    block = np.zeros((4, 5, 6), np.uint8)
    block[1:3, 1:3, 1:3] = 1
    given = {"prediction": block, "reference": block, "spacing": (1.0, 1.0, 1.0)} | changes
    with pytest.raises(CaseError, match=message):
        segbench.score(**given)


def test_masks_may_be_scored_from_python():
    block = np.zeros((4, 5, 6), bool)
    block[1:3, 1:3, 1:3] = True
    (score,) = segbench.score(block, block, (1.0, 1.0, 1.0))
    assert (score.label, score.dsc, score.nsd) == (1, 1.0, 1.0)
