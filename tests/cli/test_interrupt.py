"""SIGINT, SIGTERM and SIGKILL while `convert` and `check` run: one line, no process, no loss."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from segbench.cli import cli
from segbench.processes import is_running
from tests.data.convert.sources import scan, write_pair
from tests.processes import hear_interrupts

ROOT = Path(__file__).parents[2]
SECONDS = 10
PATHS = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])


@pytest.fixture
def scans(tmp_path):
    """Return a list of four scans; the image of the second is a pipe that nobody writes to."""
    rows = ["image,labels,name"]
    for name in "abcd":
        image, labels = write_pair(tmp_path / "in", name)
        rows.append(f"{image},{labels},CT_{name}")
    (tmp_path / "in" / "b_img.nii.gz").unlink()
    os.mkfifo(tmp_path / "in" / "b_img.nii.gz")
    (tmp_path / "scans.csv").write_text("\n".join(rows))
    return tmp_path / "scans.csv"


def start(*words):
    words = [sys.executable, "-m", "segbench", *map(str, words)]
    return subprocess.Popen(
        words, env={**os.environ, "PYTHONPATH": PATHS}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=hear_interrupts,
    )  # fmt: skip


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def descendants(pid):
    """Return the processes of a session."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "-s", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in found.stdout.split()]


def send(process, number):
    """Send a signal as Ctrl-C does, to all, or as kill does, to one."""
    others = descendants(process.pid)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    texts = process.communicate(timeout=SECONDS)
    wait_for(lambda: not any(map(is_running, others)), SECONDS)
    return texts


def described(out):
    """Return the names of cases whose decisions the report has."""
    cases = json.loads((out / "conversion.json").read_text())["cases"]
    return [case["name"] for case in cases if case["decided"]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_conversion_says_how_to_go_on(scans, tmp_path, jobs, number):
    out = tmp_path / "val"
    process = start("convert", scans, "--modality", "CT", "--out", out, "--jobs", jobs)
    n_done = 1 if jobs == 1 else 3
    wait_for(lambda: len(list(out.glob("*.npz"))) == n_done)
    time.sleep(0.5 if jobs == 1 else 0)
    stdout, stderr = send(process, number)
    assert process.returncode == 130
    assert stdout == ""
    lines = [line for line in stderr.splitlines() if not line.startswith("convert ")]
    assert lines == [
        f"convert: interrupted, {out} has {n_done} of 4 cases; the same command converts the rest"
    ]
    there = sorted(file.stem for file in out.glob("*.npz"))
    assert described(out) == there
    assert [line.split(",")[0] for line in (out / "index.csv").read_text().splitlines()[1:]] == (
        there
    )
    names = {file.name for file in out.iterdir() if file.suffix != ".npz"}
    assert names == {"index.csv", "conversion.json", "conversion.txt"}


def test_what_a_killed_conversion_has_done_is_described_by_the_next(scans, tmp_path):
    out = tmp_path / "val"
    words = ["convert", str(scans), "--modality", "CT", "--out", str(out)]
    process = start(*words, "--jobs", 2)
    wait_for(lambda: len(list(out.glob("*.npz"))) == 3)
    send(process, signal.SIGKILL)
    image, _ = write_pair(tmp_path / "other", "b", image=scan(7)[0])
    image.replace(tmp_path / "in" / "b_img.nii.gz")
    assert CliRunner().invoke(cli, words, catch_exceptions=False).exit_code == 0
    assert described(out) == ["CT_a", "CT_b", "CT_c", "CT_d"]


def test_an_interrupted_check_is_one_line(tmp_path):
    folder = tmp_path / "val"
    folder.mkdir()
    os.mkfifo(folder / "CT_a.npz")
    process = start("check", folder)
    time.sleep(3)
    stdout, stderr = send(process, signal.SIGTERM)
    assert (process.returncode, stdout) == (130, "")
    assert stderr.startswith("check: interrupted")
    assert len(stderr.splitlines()) == 1
