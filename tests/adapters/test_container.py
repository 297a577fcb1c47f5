"""Submissions as programs and containers: limits, termination, and one call for many steps."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

import segbench
from segbench.core import Interactions
from segbench.data.challenge_npz import write_arrays
from segbench.errors import AdapterError
from segbench.models.in_process import InProcessModel
from segbench.models.loading import load_adapter
from segbench.models.resolve import resolve_model
from segbench.models.submission_npz import read_output
from segbench.processes import is_running
from segbench.runs.job import close_models

FOLDER = Path(__file__).parents[1] / "submissions"


@pytest.fixture(autouse=True)
def no_model_stays_open():
    yield
    close_models()


@pytest.fixture
def docker(tmp_path, environment):
    """Replace docker by a fake engine; return the folder of its files."""
    folder = tmp_path / "engine"
    folder.mkdir()
    shutil.copy(FOLDER / "boxes.py", folder)
    text = (FOLDER / "engine.py").read_text()
    (folder / "docker").write_text(f"#!{sys.executable}\n{text}")
    (folder / "docker").chmod(0o755)
    (folder / "id").write_text("sha256:1234")
    (folder / "mode").write_text("")
    environment(PATH=f"{folder}:{os.environ['PATH']}")
    return folder


def command(tmp_path, mode=""):
    """Return ``--model`` for the participant's program, which records each start."""
    words = f"{sys.executable} {FOLDER / 'boxes.py'} {{inputs}} {{outputs}}"
    return f"command:{words} '{mode}' {tmp_path / 'notes'}"


def facts(run):
    """Return a run's results of its one case, without times and memory."""
    (file,) = (run / "cases").iterdir()
    return json.loads(file.read_text()) | {"cost": None}


def failures(outcome):
    return [step.failure for step in outcome.case_results[0].steps]


def has_ended(pid):
    """Wait until a process has ended."""
    deadline = time.monotonic() + 60
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(pid)


# ---- limits and termination ------------------------------------------------------------------


def test_a_late_output_is_a_failure_and_the_whole_program_is_killed(
    contiguous, tmp_path, hangs_once
):
    hangs_once(tmp_path / "notes.child")
    options = {"seconds": "50"}
    outcome = segbench.evaluate(
        *(command(tmp_path, "hang"), contiguous),
        out=tmp_path / "run",
        option=options,
        in_process=True,
    )
    late = failures(outcome)
    assert [failure is None for failure in late] == [True, True, False, True, True, True]
    assert late[2].startswith("failed: no output within 50 s, killed: ")
    assert late[2].splitlines()[1] == "thinking"
    assert has_ended(int((tmp_path / "notes.child").read_text()))


def test_a_late_container_is_killed_by_its_name(contiguous, docker, tmp_path, hangs_once):
    (docker / "mode").write_text("hang")
    hangs_once(docker / "notes.child")
    options = {"seconds": "50"}
    outcome = segbench.evaluate(
        *("container:team/model:v1", contiguous),
        out=tmp_path / "run",
        option=options,
        in_process=True,
    )
    assert "no output within 50 s" in failures(outcome)[2]
    log = [line.split() for line in (docker / "log").read_text().splitlines()]
    names = [words[words.index("--name") + 1] for words in log if words[0] == "run"]
    assert len(set(names)) == 6
    assert [words[1] for words in log if words[0] == "kill"] == [names[2]]
    assert has_ended(int((docker / names[2]).read_text()))


@pytest.mark.parametrize("persistent", ["no", "yes"])
def test_a_container_ends_with_a_step_that_takes_too_long(
    contiguous, docker, tmp_path, persistent, hangs_once
):
    (docker / "mode").write_text("hang")
    hangs_once(docker / "notes.child")
    outcome = segbench.evaluate(
        "container:team/model:v1",
        contiguous,
        out=tmp_path / "run",
        option={"persistent": persistent},
        step_timeout=50,
    )
    assert "timed out: took more than 50 s" in failures(outcome)[2]
    close_models()
    assert all(has_ended(int(pid)) for pid in (docker / "notes").read_text().split())


def test_a_program_ends_with_a_step_that_takes_too_long_and_leaves_no_folder(
    contiguous, tmp_path, environment, hangs_once
):
    (temporary := tmp_path / "temporary").mkdir()
    hangs_once(tmp_path / "notes.child")
    environment(TMPDIR=temporary)
    outcome = segbench.evaluate(
        command(tmp_path, "hang"), contiguous, out=tmp_path / "run", step_timeout=50
    )
    assert "timed out: took more than 50 s" in failures(outcome)[2]
    close_models()
    assert has_ended(int((tmp_path / "notes.child").read_text()))
    assert list(temporary.glob("segbench-submission-*")) == []


@pytest.fixture
def program(tmp_path):
    """Return a function that starts a shell command with a kill command that records its calls."""
    file, implied = resolve_model(command(tmp_path))
    load_adapter(file, implied)
    module = sys.modules["segbench_adapter_container._programs"]

    def start(line, *, persistent=False, kill_command=":"):
        recorded = f"echo >> {tmp_path / 'killed'}; {kill_command}"
        return module.Program(["sh", "-c", line], ["sh", "-c", recorded], persistent=persistent)

    return start


@pytest.mark.parametrize(
    ("line", "kill_command", "times"),
    [
        ("exit 0", ":", 0),
        ("kill -9 $$", ":", 1),  # the container of a dead client may still run
        ("kill -9 $$", "exit 1", 2),  # no container yet: the client was about to start it
    ],
)
def test_a_container_is_killed_unless_its_client_succeeded(
    program, tmp_path, line, kill_command, times
):
    called = program(line, kill_command=kill_command)
    with contextlib.suppress(AdapterError):
        called.wait(10)
    called.kill()
    called.kill()
    kills = tmp_path / "killed"
    assert (kills.read_text() if kills.exists() else "") == "\n" * times


@pytest.mark.parametrize(("rest", "killed"), [("read x; touch {}", False), ("sleep 60", True)])
def test_a_persistent_program_may_exit_by_itself(program, tmp_path, rest, killed):
    left = tmp_path / "left"
    called = program(f"read x; echo 'segbench: done'; {rest.format(left)}", persistent=True)
    called.run_step("case.npz", 10, lambda: True)
    called.stop()
    assert left.exists() is not killed
    assert (tmp_path / "killed").exists() is killed
    assert not called.is_alive()


def test_a_container_ends_with_segbench(contiguous, docker, tmp_path):
    (docker / "mode").write_text("hang")
    words = [
        "run",
        "--model",
        "container:team/model:v1",
        "--data",
        contiguous,
        "--out",
        tmp_path / "run",
    ]
    run = subprocess.Popen([sys.executable, "-m", "segbench", *words])
    while not (docker / "notes.child").exists():
        time.sleep(0.1)
        assert run.poll() is None
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert all(has_ended(int(pid)) for pid in (docker / "notes").read_text().split())


def test_in_process_the_callers_signal_handlers_stay(tmp_path):
    file, implied = resolve_model(command(tmp_path))
    before = signal.getsignal(signal.SIGTERM)
    InProcessModel.load(file, implied)
    assert signal.getsignal(signal.SIGTERM) is before


# ---- one call for many steps -----------------------------------------------------------------


def test_a_persistent_program_gives_the_same_outputs_and_starts_once(contiguous, tmp_path):
    for how in ("no", "yes"):
        (tmp_path / "notes").unlink(missing_ok=True)
        outcome = segbench.evaluate(
            command(tmp_path), contiguous, out=tmp_path / how, option={"persistent": how}
        )
        assert outcome.all_ok, failures(outcome)
        starts = (tmp_path / "notes").read_text().split()
        assert len(starts) == {"no": 6, "yes": 1}[how]
    assert facts(tmp_path / "yes") == facts(tmp_path / "no")
    close_models()
    assert has_ended(int(starts[0]))


@pytest.mark.parametrize("mode", ["dots", "twice"])
def test_half_lines_and_repeated_lines_do_not_confuse_the_steps(contiguous, tmp_path, mode):
    options = {"persistent": "yes", "seconds": "20"}
    outcome = segbench.evaluate(
        command(tmp_path, mode), contiguous, out=tmp_path / "run", option=options
    )
    assert outcome.all_ok, failures(outcome)


def test_a_program_that_exits_while_its_child_runs_is_noticed_at_once(contiguous, tmp_path):
    options = {"persistent": "yes", "seconds": "50"}
    started = time.monotonic()
    outcome = segbench.evaluate(
        command(tmp_path, "orphan"), contiguous, out=tmp_path / "run", option=options
    )
    assert "the program ended with exit status 3" in failures(outcome)[2]
    assert time.monotonic() - started < 50


def test_a_persistent_container_gets_its_steps_as_lines(contiguous, docker, tmp_path):
    outcome = segbench.evaluate(
        "container:team/model:v1", contiguous, out=tmp_path / "run", option={"persistent": "yes"}
    )
    assert outcome.all_ok, failures(outcome)
    assert len((docker / "notes").read_text().split()) == 1


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("fail", "persistent=yes: expected the line 'segbench: done', the program ended with exit"),
        ("silent", "submission: expected it to write outputs/case.npz, found nothing"),
        ("hang", "no output within 50 s, killed"),
    ],
)
def test_a_failure_costs_one_step_and_a_fresh_start(contiguous, tmp_path, mode, reason, hangs_once):
    hangs_once(tmp_path / "notes.child")
    options = {"persistent": "yes", "seconds": "50"}
    outcome = segbench.evaluate(
        *(command(tmp_path, mode), contiguous),
        out=tmp_path / "run",
        option=options,
        in_process=True,
    )
    found = failures(outcome)
    assert [failure is None for failure in found] == [True, True, False, True, True, True]
    assert found[2].startswith(f"failed: {reason}")
    assert len((tmp_path / "notes").read_text().split()) == 2


def test_a_program_that_is_not_persistent_gets_an_error_with_the_expected_line(
    contiguous, tmp_path
):
    model = f"command:{sys.executable} -c 'pass' {{inputs}} {{outputs}}"
    outcome = segbench.evaluate(
        model, contiguous, out=tmp_path / "run", option={"persistent": "yes"}
    )
    assert all("expected the line 'segbench: done'" in failure for failure in failures(outcome))


def test_segbench_predict_is_persistent_and_loads_its_model_once(contiguous, tmp_path):
    adapter = tmp_path / "counting.py"
    adapter.write_text(f"""
from segbench.models.loading import import_adapter_file
from segbench.models.registry import find_adapter
make = import_adapter_file(find_adapter("boxfill")).make_adapter

def make_adapter():
    with open({str(tmp_path / "loads")!r}, "a") as loads:
        loads.write("x")
    return make()
""")
    words = f"{sys.executable} -m segbench predict --model {adapter}"
    through = f"command:{words} --inputs {{inputs}} --outputs {{outputs}} --persistent"
    outcome = segbench.evaluate(
        through, contiguous, out=tmp_path / "yes", option={"persistent": "yes"}
    )
    assert outcome.all_ok, failures(outcome)
    assert (tmp_path / "loads").read_text() == "x"
    segbench.evaluate("boxfill", contiguous, out=tmp_path / "direct", in_process=True)
    assert facts(tmp_path / "yes") == facts(tmp_path / "direct")


# ---- outputs ---------------------------------------------------------------------------------


def test_whole_numbers_may_be_written_as_floats(contiguous, tmp_path):
    segbench.evaluate(command(tmp_path, "float"), contiguous, out=tmp_path / "float")
    segbench.evaluate(command(tmp_path), contiguous, out=tmp_path / "whole")
    assert facts(tmp_path / "float") == facts(tmp_path / "whole")


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0, 2], np.uint8),
        ([0, 300], np.uint16),
        ([0.5, 1], np.float64),
        ([-1, 1], np.float64),
        ([np.nan, 1], np.float64),
        ([0, 65536], np.float64),
    ],
)
def test_only_whole_numbers_in_range_become_integers(tmp_path, values, dtype):
    write_arrays(tmp_path / "case.npz", {"segs": np.array(values, np.float64)})
    found = read_output(tmp_path / "case.npz")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, values)


def test_a_link_is_not_an_output(contiguous, tmp_path):
    outcome = segbench.evaluate(command(tmp_path, "link"), contiguous, out=tmp_path / "run")
    assert (
        "submission: expected it to write outputs/case.npz, found case.npz" in failures(outcome)[2]
    )


def test_outputs_are_writable_by_all_and_cleared(tmp_path):
    load_adapter(*resolve_model(command(tmp_path)))
    folder = sys.modules["segbench_adapter_container.container"].CallFolder()
    assert folder.outputs.stat().st_mode & 0o777 == 0o777
    assert folder.outputs.parent.stat().st_mode & 0o777 == 0o700
    (folder.outputs / "old").mkdir()
    (folder.outputs / "old.npz").touch()
    folder.clear_outputs()
    assert list(folder.outputs.iterdir()) == []
    folder.remove()
    assert not folder.outputs.exists()


@pytest.mark.parametrize(
    ("persistent", "failed"), [("no", [False] * 3), ("yes", [False, True, False])]
)
def test_a_file_that_cannot_be_removed_is_never_taken_for_an_output(
    tmp_path, make_case, monkeypatch, persistent, failed
):
    """A container's user may own its files; each call has its own folder."""
    case, unlink = make_case("CT_Toy_001"), os.unlink

    def refusing(path, **rest):
        if Path(path).name == "case.npz":
            raise PermissionError(1, "Operation not permitted")
        unlink(path, **rest)

    file, implied = resolve_model(command(tmp_path))
    model = InProcessModel.load(file, implied | {"persistent": persistent})
    model.set_image(case.image, case.labels)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "unlink", refusing)
    interactions = Interactions((case.boxes,), np.zeros_like(case.reference))
    outputs = [model.predict(interactions) for _ in failed]
    model.close()
    assert [output.failure is not None for output in outputs] == failed
    if persistent == "yes":
        assert "outputs/case.npz of an earlier step cannot be removed" in outputs[1].failure


# ---- how it is called ------------------------------------------------------------------------

DOCKER = "run --rm --name {name} --network none --memory 8g"
MOUNTS = "--volume {inputs}:/workspace/inputs:ro --volume {outputs}:/workspace/outputs"
APPTAINER = "exec --containall --net --network none --writable-tmpfs --memory 8g"
BINDS = "--bind {inputs}:/workspace/inputs:ro --bind {outputs}:/workspace/outputs --pwd /workspace"


@pytest.mark.parametrize(
    ("engine", "gpus", "persistent", "words"),
    [
        ("docker", "", False, f"{DOCKER} {MOUNTS}"),
        ("docker", "all", False, f"{DOCKER} --gpus all {MOUNTS}"),
        ("docker", "", True, f"{DOCKER} {MOUNTS} --env SEGBENCH_PERSISTENT=1 --interactive"),
        ("podman", "", False, f"{DOCKER} {MOUNTS}"),
        ("podman", "n.com/gpu=all", False, f"{DOCKER} --device n.com/gpu=all {MOUNTS}"),
        ("podman", "", True, f"{DOCKER} {MOUNTS} --env SEGBENCH_PERSISTENT=1 --interactive"),
        ("apptainer", "", False, f"{APPTAINER} {BINDS}"),
        ("apptainer", "all", False, f"{APPTAINER} --nv {BINDS}"),
        ("apptainer", "", True, f"{APPTAINER} {BINDS} --env SEGBENCH_PERSISTENT=1"),
    ],
)
def test_each_engine_has_its_own_command_line(engine, gpus, persistent, words, tmp_path):
    load_adapter(*resolve_model(command(tmp_path)))
    container_command = sys.modules["segbench_adapter_container.container"].container_command
    found = container_command(
        engine, "image", memory="8g", gpus=gpus, predict="sh p.sh", persistent=persistent
    )
    assert found == [engine, *words.split(), "image", "/bin/sh", "-c", "sh p.sh"]


def test_an_image_is_identified_by_its_id_and_must_exist(docker):
    file, implied = resolve_model("container:team/model:v1")
    assert load_adapter(file, implied | {"name": "ours"}).info.name == "ours"
    assert load_adapter(file, implied).info.version == "sha256:1234"
    with pytest.raises(AdapterError, match="an image that docker has, found no 'team/other'"):
        load_adapter(file, {"image": "team/other"})


def test_an_image_file_is_identified_by_its_content(tmp_path, environment):
    (tmp_path / "apptainer").write_text("#!/bin/sh\n")
    (tmp_path / "apptainer").chmod(0o755)
    environment(PATH=tmp_path)
    (tmp_path / "model.sif").write_bytes(b"abc")
    file, _ = resolve_model("container:x")
    found = load_adapter(file, {"image": str(tmp_path / "model.sif")}).info.version
    assert found.startswith("sha256:ba7816bf8f01cfea")
    with pytest.raises(AdapterError, match="expected an image file for apptainer"):
        load_adapter(file, {"image": "docker://team/model"})


def test_a_run_is_not_resumed_with_another_image(contiguous, docker, tmp_path):
    segbench.evaluate("container:team/model:v1", contiguous, out=tmp_path / "run")
    close_models()
    (docker / "id").write_text("sha256:5678")
    with pytest.raises(segbench.errors.RunError, match="sha256:5678"):
        segbench.evaluate("container:team/model:v1", contiguous, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seconds": "0"}, "seconds: expected a number above 0, found 0"),
        ({"seconds": "soon"}, "seconds: expected a number, found 'soon'"),
        ({"persistent": "maybe"}, "persistent: expected yes or no, found 'maybe'"),
        ({"command": "x '{inputs} {outputs}"}, "No closing quotation"),
    ],
)
def test_a_bad_option_is_explained(tmp_path, options, message):
    file, implied = resolve_model(command(tmp_path))
    with pytest.raises(AdapterError, match=message):
        load_adapter(file, implied | options)
