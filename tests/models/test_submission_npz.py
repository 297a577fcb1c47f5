"""The container contract, both sides: through files, programs and container engines."""

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import segbench
from segbench.cli import cli
from segbench.core import Box, Click, Image, Interactions
from segbench.data.challenge_npz import write_arrays
from segbench.errors import AdapterError, AdapterNotFound, CaseError
from segbench.models.loading import load_adapter
from segbench.models.resolve import resolve_model
from segbench.models.submission_npz import read_input, write_input
from segbench.runs import run_folder
from segbench.runs.config import default_out
from segbench.runs.job import close_models

PROGRAM = Path(__file__).parents[1] / "submissions" / "boxes.py"
TEMPLATE = f"command:{sys.executable} {PROGRAM} {{inputs}} {{outputs}}"
IMAGE = Image(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), (3.0, 1.0, 1.0))
PREVIOUS = np.ones((2, 3, 4), np.uint8)
INTERACTIONS = Interactions(
    (
        (Box(1, (0, 0, 0), (1, 2, 3), 0), Box(2, (1, 1, 1), (2, 3, 4), 1)),
        (Click(1, (0, 1, 2), True), Click(2, (1, 1, 1), False)),
        (Click(2, (1, 2, 3), True),),  # label 1 had no error
    ),
    PREVIOUS,
)


@pytest.fixture(autouse=True)
def no_model_is_left():
    yield
    close_models()


def test_an_input_file_equals_that_of_the_official_script(tmp_path):
    write_input(tmp_path / "case.npz", IMAGE, (1, 2), INTERACTIONS)
    with np.load(tmp_path / "case.npz", allow_pickle=True) as raw:
        keys = {"imgs", "spacing", "boxes", "clicks", "clicks_order", "prev_pred"}
        assert set(raw.files) == keys
        assert raw["clicks"].tolist() == [
            {"fg": [[0, 1, 2]], "bg": []},
            {"fg": [[1, 2, 3]], "bg": [[1, 1, 1]]},
        ]
        assert raw["clicks_order"].tolist() == [["fg", None], ["bg", "fg"]]
        assert raw["boxes"][0]["z_mid_x_max"] == 2


def test_an_input_file_is_not_compressed(tmp_path):
    write_input(tmp_path / "case.npz", IMAGE, (1, 2), INTERACTIONS)
    with zipfile.ZipFile(tmp_path / "case.npz") as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_the_first_step_has_neither_clicks_nor_a_previous_prediction(tmp_path):
    write_input(
        tmp_path / "case.npz", IMAGE, (1, 2), Interactions(INTERACTIONS.rounds[:1], PREVIOUS)
    )
    with np.load(tmp_path / "case.npz", allow_pickle=True) as raw:
        assert set(raw.files) == {"imgs", "spacing", "boxes"}


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("boxes", [True, False])
def test_prompts_are_read_as_they_were_written(tmp_path, steps, boxes):
    rounds = (INTERACTIONS.rounds[0] if boxes else (), *INTERACTIONS.rounds[1:])[:steps]
    write_input(tmp_path / "case.npz", IMAGE, (1, 2), Interactions(rounds, PREVIOUS))
    image, labels, interactions = read_input(tmp_path / "case.npz")
    assert image.spacing == IMAGE.spacing
    np.testing.assert_array_equal(image.voxels, IMAGE.voxels)
    assert interactions.rounds == rounds
    assert labels == ((1, 2) if boxes or steps > 1 else ())


def test_clicks_that_contradict_their_order_are_refused(tmp_path):
    clicks = np.empty(1, object)
    clicks[:] = [{"fg": [], "bg": []}]
    arrays = {"imgs": IMAGE.voxels, "spacing": np.ones(3), "clicks": clicks}
    write_arrays(tmp_path / "case.npz", arrays | {"clicks_order": np.array([["fg"]])})
    with pytest.raises(CaseError, match=r"case\.npz: clicks and clicks_order: expected"):
        read_input(tmp_path / "case.npz")


FITTING = {
    "imgs": IMAGE.voxels,
    "spacing": np.ones(3),
    "clicks": [{"fg": [[0, 1, 2]], "bg": []}],
    "clicks_order": [["fg"]],
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imgs": IMAGE.voxels[0]}, r"imgs: expected three axes, found \(3, 4\)"),
        ({"spacing": np.ones(2)}, "spacing: expected three positive mm"),
        ({"spacing": np.array(1.0)}, "spacing: expected three positive mm"),
        ({"spacing": np.array(["1", "1", "1"])}, "spacing: expected three positive mm"),
        ({"spacing": np.array([1.0, np.nan, 1.0])}, "spacing: expected three positive mm"),
        (
            {"prev_pred": PREVIOUS[:1]},
            r"prev_pred and imgs: expected .* found \(1, 3, 4\) and \(2, 3, 4\)",
        ),
        ({"clicks": [{"fg": [[0, 1, 2], [0, 0, 0]], "bg": []}]}, "label 1 has clicks that its"),
        ({"clicks_order": [["fg"], ["bg"]]}, "1 labels have clicks and 2 an order"),
        ({"clicks": [{"fg": [[0, 3, 2]], "bg": []}]}, r"click \(0, 3, 2\) outside the image"),
    ],
)
def test_an_inconsistent_input_is_refused_by_name(tmp_path, changes, message):
    arrays = {key: as_stored(key, value) for key, value in (FITTING | changes).items()}
    write_arrays(tmp_path / "case.npz", arrays)
    with pytest.raises(CaseError, match=rf"case\.npz: .*{message}"):
        read_input(tmp_path / "case.npz")


def as_stored(key, value):
    """Return an array as the script stores it: clicks as objects."""
    if key != "clicks":
        return np.asarray(value)
    clicks = np.empty(len(value), object)
    clicks[:] = value
    return clicks


def test_a_program_is_evaluated_like_any_model(contiguous, tmp_path):
    outcome = segbench.evaluate(TEMPLATE, contiguous, out=tmp_path / "run")
    assert outcome.all_ok, outcome.case_results[0].reason
    assert outcome.case_results[0].summary().dsc == (1.0,) * 6  # its objects are boxes
    assert (
        run_folder.read_run(outcome.folder)
        .manifest.options["command"]
        .endswith("{inputs} {outputs}")
    )


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("fail", "failed: exit status 1: "),
        ("silent", "failed: submission: expected it to write outputs/case.npz, found nothing"),
    ],
)
def test_an_old_or_missing_output_file_is_never_scored(contiguous, tmp_path, mode, reason):
    outcome = segbench.evaluate(f"{TEMPLATE} {mode}", contiguous, out=tmp_path / "run")
    steps = outcome.case_results[0].steps
    assert [step.failure is None for step in steps] == [True, True, False, True, True, True]
    assert steps[2].failure.startswith(reason)
    if mode == "fail":
        assert "out of memory, says the model" in steps[2].failure


def test_predict_and_command_are_the_two_sides_of_one_contract(contiguous, tmp_path):
    words = f"{sys.executable} -m segbench predict --model boxfill"
    template = f"command:{words} --inputs {{inputs}} --outputs {{outputs}}"
    segbench.evaluate(template, contiguous, out=tmp_path / "through")
    segbench.evaluate("boxfill", contiguous, out=tmp_path / "direct", in_process=True)
    case_files = []
    for run in ("through", "direct"):
        (file,) = (tmp_path / run / "cases").iterdir()
        case_files.append(json.loads(file.read_text()) | {"cost": None})
    assert case_files[0] == case_files[1]


def test_predict_without_inputs_is_an_error(tmp_path):
    (tmp_path / "inputs").mkdir()
    words = ["predict", "--model", "boxfill", "--inputs", str(tmp_path / "inputs")]
    result = CliRunner().invoke(cli, [*words, "--outputs", str(tmp_path / "outputs")])
    assert result.exit_code == 2
    assert "expected .npz inputs, found none" in result.output


def test_an_engine_that_does_not_respond_is_not_used(environment, tmp_path):
    for name, status in (("docker", 1), ("podman", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (tmp_path / name).chmod(0o755)
    environment(PATH=tmp_path)
    file, implied = resolve_model("container:image:tag")
    assert load_adapter(file, implied)._command.words[0] == "podman"
    with pytest.raises(AdapterError, match="expected one of apptainer on the path, found none"):
        load_adapter(file, implied | {"engine": "apptainer"})
    reason = "expected an answer of docker, found none; `docker info` says why"
    with pytest.raises(AdapterError, match=reason):
        load_adapter(file, implied | {"engine": "docker"})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("command:program", "expected {inputs} and {outputs}"),
        ("container:", "expected container:IMAGE"),
    ],
)
def test_a_bad_scheme_is_explained(model, message):
    file, implied = resolve_model(model)
    with pytest.raises(AdapterError, match=message):
        load_adapter(file, implied)


def test_an_unknown_scheme_is_an_unknown_model(tmp_path):
    with pytest.raises(AdapterNotFound):
        resolve_model("https://example.org/model")


def test_the_run_folder_of_an_image_has_a_plain_name():
    assert default_out("container:team/model:v1") == Path("runs/team-model-v1")
