"""Whole trainings of a tiny network: their files, and resuming after a kill."""

import csv
import importlib
import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from adapters.ours.network import CONFIGS, NetworkConfig
from adapters.ours.training.command import (
    DEFAULT_PHASES,
    parse_options,
    parse_phases,
    parser,
    schedule_of,
    setup_of,
)
from adapters.ours.training.reporter import Reporter
from adapters.ours.training.run import train
from adapters.ours.training.schedule import Phase, Schedule, fraction_done
from adapters.ours.training.setup import TrainingSetup
from adapters.ours.training.throughput import Throughput, expected_steps, fitted_schedule
from adapters.ours.weights import load_checkpoint, save_checkpoint
from segbench.cli import cli
from segbench.errors import AdapterError
from segbench.models.loading import import_adapter_file

TINY = Schedule(
    steps=12,
    config="tiny",
    phases=(Phase(0.6, 16, 2), Phase(1.0, 24, 1)),
    tune_every_minutes=4,
    save_every_minutes=100,
    tune_scenes=1,
    tune_clicks=2,
    log_every_steps=3,
)
MEASURED = {
    f"{name}{how}" for name in ("scans", "scans_without_box", "scenes") for how in ("", "_refined")
}


pytestmark = pytest.mark.usefixtures("single_thread")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(CONFIGS, "tiny", NetworkConfig((4, 6, 8), (1, 1, 1)))


@pytest.fixture
def data(scans):
    """Six scans of three patients, one ball each."""
    (scans / "US_DeepRegTRUS_001.npz").unlink()
    return scans


class Recorder:
    """Records the lines; may kill the process after a step."""

    def __init__(self, kill_after=None):
        self.lines, self.kill_after = [], kill_after
        self.reporter = Reporter(self.lines.append, self.show_step)

    def show_step(self, done, step, loss):
        if step == self.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)


def minutes_pass():
    """Return a clock by which every step takes one minute."""
    return map(float, itertools.count(0, 60)).__next__


def weights(path):
    return load_checkpoint(path)[0].state_dict()


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def killed_training(setup, schedule, after):
    """Train in a child process that is killed by SIGKILL after a step."""
    context = multiprocessing.get_context("fork")
    recorder = Recorder(kill_after=after)
    child = context.Process(target=train, args=(schedule, setup, recorder.reporter, minutes_pass()))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL


def test_a_short_run_writes_a_log_curves_and_a_checkpoint(data, tmp_path):
    out, recorder = tmp_path / "tiny.safetensors", Recorder()
    train(TINY, TrainingSetup(data, out, workers=0), recorder.reporter)
    network, recipe = load_checkpoint(out)
    assert recipe.patch == 24
    assert "12 steps" in recipe.training
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())
    log = rows(out.with_suffix(".log.csv"))
    assert [row["step"] for row in log] == ["3", "6", "9", "12"]
    assert np.isfinite([float(row["loss"]) for row in log]).all()
    sets = {row["set"] for row in rows(out.with_suffix(".tune.csv"))}
    assert sets == MEASURED
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert any("inscribed ellipsoid" in line for line in recorder.lines)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_and_resumed_training_gives_the_weights_of_an_uninterrupted_one(
    data, tmp_path, workers
):
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    train(TINY, TrainingSetup(data, whole, workers=workers), Recorder().reporter, minutes_pass())
    setup = TrainingSetup(data, broken, resume=True, workers=workers)
    killed_training(setup, TINY, after=7)
    before = weights(broken)
    recorder = Recorder()
    train(TINY, setup, recorder.reporter, minutes_pass())
    assert any("resumed after 4 steps" in line for line in recorder.lines)
    expected, found = weights(whole), weights(broken)
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert any(not torch.equal(before[key], found[key]) for key in expected)
    for suffix in (".log.csv", ".tune.csv"):
        without_time = [
            [{**row, "minutes": None} for row in rows(path.with_suffix(suffix))]
            for path in (whole, broken)
        ]
        assert without_time[0] == without_time[1]


def test_a_training_by_time_is_resumed_with_the_remaining_time(data, tmp_path):
    out = tmp_path / "timed.safetensors"
    schedule = replace(TINY, steps=None, minutes=10)
    setup = TrainingSetup(data, out, resume=True, workers=0)
    killed_training(setup, schedule, after=6)
    train(schedule, setup, Recorder().reporter, minutes_pass())
    _, recipe = load_checkpoint(out)
    assert "10 minutes, 10 steps" in recipe.training


def test_a_training_that_stops_by_itself_is_continued_by_the_same_command(data, tmp_path):
    out, recorder = tmp_path / "a.safetensors", Recorder()
    schedule = replace(TINY, steps=None, minutes=10)
    setup = TrainingSetup(data, out, resume=True, workers=0, stop_after=6)
    train(schedule, setup, recorder.reporter, minutes_pass())
    assert "of 10 minutes; the same command continues" in recorder.lines[-1]
    stopped = load_checkpoint(out)[1].training
    assert "10 minutes" not in stopped
    train(schedule, setup, recorder.reporter, minutes_pass())
    assert "10 minutes, 10 steps" in load_checkpoint(out)[1].training


def test_a_training_goes_on_from_the_weights_where_the_state_is_gone(data, tmp_path):
    out, recorder = tmp_path / "a.safetensors", Recorder()
    schedule = replace(TINY, steps=None, minutes=10)
    setup = TrainingSetup(data, out, resume=True, workers=0, stop_after=6)
    train(schedule, setup, recorder.reporter, minutes_pass())
    setup.state.unlink()
    with pytest.raises(AdapterError, match="trained with other options, scans or initial weights"):
        train(replace(schedule, learning_rate=1.0), setup, recorder.reporter, minutes_pass())
    train(schedule, setup, recorder.reporter, minutes_pass())
    assert any("from the averaged weights: the state is missing" in x for x in recorder.lines)
    assert "10 minutes, 10 steps" in load_checkpoint(out)[1].training
    assert [row["step"] for row in rows(out.with_suffix(".tune.csv"))][-1] == "10"


def test_the_state_is_stored_between_evaluations(data, tmp_path):
    out = tmp_path / "a.safetensors"
    schedule = replace(TINY, steps=9, tune_every_minutes=100, save_every_minutes=3)
    setup = TrainingSetup(data, out, resume=True, workers=0)
    killed_training(setup, schedule, after=8)
    recorder = Recorder()
    train(schedule, setup, recorder.reporter, minutes_pass())
    assert any("resumed after 6 steps" in line for line in recorder.lines)


def test_the_schedule_follows_the_measured_speed(data, tmp_path):
    """Two phases of five minutes: 600 samples in steps of 2, 300 in steps of 1."""
    schedule = Schedule(minutes=10, phases=(Phase(0.5, 16, 2), Phase(1.0, 24, 1)))
    throughput = Throughput(channels_last=False, samples_per_second=(2.0, 1.0))
    assert expected_steps(schedule, throughput) == 300 + 300
    fitted = fitted_schedule(schedule, throughput)
    assert fitted.warm_up_steps == 20
    assert fitted.ema_decay == pytest.approx(1 - 1 / 30)
    out, recorder = tmp_path / "a.safetensors", Recorder()
    setup = TrainingSetup(data, out, workers=0, measure_seconds=0.1)
    train(replace(TINY, steps=2), setup, recorder.reporter)
    assert any(line.startswith("samples ") and "/s at 24^3" in line for line in recorder.lines)


@pytest.mark.parametrize(
    "network",
    [
        NetworkConfig((4, 6, 8, 8, 8), (1, 1, 1, 1, 1)),
        pytest.param(CONFIGS["small"], marks=pytest.mark.slow),
    ],
    ids=["narrow", "real"],
)
def test_the_plan_for_a_gpu_can_be_tried_on_a_processor(data, tmp_path, monkeypatch, network):
    """The same code in ten steps, as `docs/training.md` says."""

    def with_network(file):  # the command has its own copy of the adapter's modules
        package = import_adapter_file(file)
        importlib.import_module(f"{package.__name__}.network").CONFIGS["small"] = network
        return package

    monkeypatch.setattr("segbench.models.training.import_adapter_file", with_network)
    arguments = ["train", "ours", "--plan", "gpu", "--check", "--workers", "1", "--data", str(data)]
    real, out = tmp_path / "a.safetensors", tmp_path / "a.check.safetensors"
    real.write_text("not touched")
    out.write_text("of an earlier check")
    shown = CliRunner().invoke(cli, [*arguments, "--out", str(real)])
    assert real.read_text() == "not touched"
    assert shown.exit_code == 0, shown.output
    assert "10 steps" in load_checkpoint(out)[1].training
    assert load_checkpoint(out)[1].config == network
    assert {row["set"] for row in rows(out.with_suffix(".tune.csv"))} == MEASURED


def test_a_plan_sets_defaults_that_options_change():
    options = ["--data", "d", "--out", "o.safetensors", "--plan", "gpu", "--device", "cpu"]
    planned = schedule_of(parse_options(options, "train"))
    assert planned.phases == (Phase(0.4, 64, 32), Phase(1.0, 96, 16))
    assert (planned.minutes, planned.learning_rate) == (20, 1.5e-3)
    assert setup_of(parse_options(options, "train")).resume
    changed = schedule_of(parse_options([*options, "--minutes", "7", "--rate", "1e-4"], "train"))
    assert (changed.minutes, changed.learning_rate) == (7, 1e-4)
    if not torch.cuda.is_available():
        with pytest.raises(AdapterError, match="torch sees no CUDA device"):
            parse_options(options[:-2], "train")
    stopped = parse_options(["--data", "d", "--out", "o.safetensors", "--stop-after", "5"], "train")
    assert stopped.resume


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(data, tmp_path):
    outs = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for out, seed in zip(outs, (1, 1, 2), strict=True):
        train(
            replace(TINY, steps=3, seed=seed),
            TrainingSetup(data, out, workers=0),
            Recorder().reporter,
        )
    first, again, other = map(weights, outs)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_resuming_with_another_schedule_is_refused(data, tmp_path):
    setup = TrainingSetup(data, tmp_path / "a.safetensors", resume=True, workers=0)
    train(replace(TINY, steps=1), setup, Recorder().reporter)
    with pytest.raises(AdapterError, match="trained with steps 1, now 2"):
        train(replace(TINY, steps=2), setup, Recorder().reporter)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"licence": "MIT"}, "trained with licence None, now MIT"),
        ({"init": Path("w.safetensors")}, "trained with init None, now w.safetensors"),
    ],
)
def test_resuming_with_other_scans_weights_or_licence_is_refused(data, tmp_path, change, reason):
    setup = TrainingSetup(data, tmp_path / "a.safetensors", resume=True, workers=0)
    train(replace(TINY, steps=1), setup, Recorder().reporter)
    with pytest.raises(AdapterError, match=reason):
        train(replace(TINY, steps=1), replace(setup, **change), Recorder().reporter)
    (data / "CT_STS_001.npz").unlink()
    with pytest.raises(AdapterError, match="trained with scans"):
        train(replace(TINY, steps=1), setup, Recorder().reporter)


def test_a_training_is_not_overwritten(data, tmp_path):
    setup = TrainingSetup(data, tmp_path / "a.safetensors", workers=0)
    train(replace(TINY, steps=3), setup, Recorder().reporter)
    with pytest.raises(AdapterError, match="a training exists; continue it with --resume"):
        train(replace(TINY, steps=3), setup, Recorder().reporter)
    recorder, before = Recorder(), rows(setup.out.with_suffix(".tune.csv"))
    train(replace(TINY, steps=3), replace(setup, resume=True), recorder.reporter)
    assert recorder.lines[-1] == "the budget is already used: nothing to do"
    assert rows(setup.out.with_suffix(".tune.csv")) == before


def test_logs_of_a_training_without_a_state_are_removed(data, tmp_path):
    out, recorder = tmp_path / "a.safetensors", Recorder()
    out.with_suffix(".log.csv").write_text("step\n99\n")
    train(
        replace(TINY, steps=3), TrainingSetup(data, out, resume=True, workers=0), recorder.reporter
    )
    assert any("no state to resume, starting a new training" in line for line in recorder.lines)
    assert [row["step"] for row in rows(out.with_suffix(".log.csv"))] == ["3"]


def test_a_loss_that_is_not_finite_ends_the_training_and_keeps_its_files(data, tmp_path):
    """A rate that makes the weights infinite, from good weights, which are saved first."""
    good, spoilt = tmp_path / "good.safetensors", tmp_path / "spoilt.safetensors"
    train(replace(TINY, steps=2), TrainingSetup(data, good, workers=0), Recorder().reporter)
    wild = replace(TINY, learning_rate=1e30, warm_up_steps=1)
    setup = TrainingSetup(data, spoilt, init=good, workers=0)
    with pytest.raises(AdapterError, match=r"the loss is \S+ and the gradient \S+ after \d steps"):
        train(wild, setup, Recorder().reporter, minutes_pass())
    before, after = weights(good), weights(spoilt)
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert len(rows(spoilt.with_suffix(".tune.csv"))) == 6


def test_a_damaged_state_is_named_and_does_not_hide_the_weights(data, tmp_path):
    out, recorder = tmp_path / "a.safetensors", Recorder()
    setup = TrainingSetup(data, out, resume=True, workers=0)
    train(replace(TINY, steps=3), setup, recorder.reporter)
    for damaged in (b"", setup.state.read_bytes()[:1000]):
        setup.state.write_bytes(damaged)
        with pytest.raises(AdapterError, match="expected a checkpoint .*; remove it to"):
            train(replace(TINY, steps=3), setup, recorder.reporter)


@pytest.mark.parametrize("resume", [True, False])
def test_a_checkpoint_that_is_no_training_is_never_overwritten(data, tmp_path, resume):
    out = tmp_path / "a.safetensors"
    setup = TrainingSetup(data, out, workers=0)
    train(replace(TINY, steps=1), setup, Recorder().reporter)
    network, recipe = load_checkpoint(out)
    setup.state.unlink()
    save_checkpoint(out, network.state_dict(), recipe)  # without the progress of a training
    before = out.read_bytes()
    with pytest.raises(AdapterError, match="is not a training that can be continued"):
        train(TINY, replace(setup, resume=resume), Recorder().reporter)
    assert out.read_bytes() == before


def test_a_smaller_batch_of_the_same_patch_drops_samples(data, tmp_path):
    schedule = replace(TINY, steps=4, phases=(Phase(0.5, 16, 3), Phase(1.0, 16, 1)))
    recorder = Recorder()
    train(schedule, TrainingSetup(data, tmp_path / "a.safetensors", workers=0), recorder.reporter)
    assert "4 steps, 8 samples" in load_checkpoint(tmp_path / "a.safetensors")[1].training


def test_the_training_needs_few_packages():
    """The tests of `docs/training.md`: no click or depth library, no plots, no tables."""
    blocked = ["cc3d", "edt", "scipy", "pandas", "matplotlib", "rich", "pydantic", "joblib"]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked}))\n"
        "import adapters.ours.training.command\n"
        "from segbench.cli import cli; cli(['train', 'ours', '--help'])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "--plan" in shown.stdout


def test_the_training_from_a_checkout_needs_no_click():
    blocked = ["click", "cc3d", "edt", "scipy", "pandas", "matplotlib", "rich", "pydantic"]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked}))\n"
        "import runpy; sys.argv = ['', '--data', 'none/', '--out', 'some.safetensors']\n"
        "runpy.run_module('adapters.ours.training', run_name='__main__')"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert shown.returncode == 1
    assert shown.stderr.startswith("Error: none: "), shown.stderr


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"steps": 0}, "a budget of 0: expected minutes or steps above 0"),
        ({"phases": (Phase(1.0, 18, 2),)}, "a patch of 18: expected a multiple of 4 from 12 on"),
        ({"phases": (Phase(1.0, 8, 2),)}, "a patch of 8: expected a multiple of 4 from 12 on"),
        ({"share_nested": 0.7, "share_tiny": 0.4}, "expected a sum of at most 1"),
        ({"share_generated": 1.7}, "a share of 1.7: expected a number from 0 to 1"),
        ({"phases": (Phase(1.0, 256, 1),)}, "a patch of 256: expected at most 255"),
        ({"phases": (Phase(0.5, 16, 1), Phase(0.4, 24, 1))}, "expected rising shares, the last 1"),
        ({"save_every_minutes": 0}, "expected minutes above 0"),
        ({"phases": (Phase(1.0, 16, 0),)}, "a batch of 0: expected 1 or more"),
        ({"left_out": ("CT_ST", "PET_ST")}, "no scan is left to train on"),
        ({"left_out": ("CT-ST",)}, "no file begins with CT-ST: cannot be left out"),
    ],
)
def test_an_impossible_schedule_is_refused(data, tmp_path, change, reason):
    setup = TrainingSetup(data, tmp_path / "a.safetensors", workers=0)
    with pytest.raises(AdapterError, match=reason):
        train(replace(TINY, **change), setup, Recorder().reporter)


def test_impossible_files_are_refused(data, tmp_path):
    with pytest.raises(AdapterError, match="expected a folder with .npz cases, found none"):
        train(
            TINY, TrainingSetup(tmp_path / "typo", tmp_path / "a.safetensors"), Recorder().reporter
        )
    with pytest.raises(AdapterError, match="expected the name of a file ending in .safetensors"):
        train(TINY, TrainingSetup(data, tmp_path / "mine.v1"), Recorder().reporter)


@pytest.mark.parametrize("device", ["tpu", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_before_scans_are_read(tmp_path, device):
    setup = TrainingSetup(tmp_path / "no scans", tmp_path / "a.safetensors", device=device)
    with pytest.raises(AdapterError, match=f"device.* '{device}'"):
        train(TINY, setup, Recorder().reporter)


def test_initial_weights_pass_on_their_licence_and_history(data, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    setup = TrainingSetup(data, first, workers=0, licence="CC-BY-SA-4.0")
    train(replace(TINY, steps=2), setup, Recorder().reporter)
    warm = TrainingSetup(data, second, init=first, workers=0)
    train(replace(TINY, steps=1, learning_rate=0.0, weight_decay=0.0), warm, Recorder().reporter)
    before, after = weights(first), weights(second)
    assert all(torch.allclose(before[key], after[key], atol=1e-3) for key in before)
    _, recipe = load_checkpoint(second)
    assert "1 steps" in recipe.training
    assert "after" in recipe.training
    assert "2 steps" in recipe.training
    assert recipe.licence == "CC-BY-SA-4.0"
    relicensed = replace(warm, out=tmp_path / "third.safetensors", licence="MIT")
    with pytest.raises(AdapterError, match="licence CC-BY-SA-4.0 passes to what is trained"):
        train(TINY, relicensed, Recorder().reporter)


def test_the_budget_is_steps_if_given_else_minutes():
    assert fraction_done(Schedule(minutes=10), 700, 5.0) == 0.5
    assert fraction_done(Schedule(minutes=10, steps=1000), 700, 5.0) == 0.7


def test_options_become_a_schedule_and_a_setup(tmp_path):
    options = ["--data", str(tmp_path), "--out", "o.safetensors", "--device", "cpu"]
    arguments = parser("train").parse_args(
        [*options, "--phases", "0.36:64:32,1:96:16", "--share-generated", "0.5", "--steps", "9"]
    )
    schedule = schedule_of(arguments)
    assert schedule.phases == (Phase(0.36, 64, 32), Phase(1.0, 96, 16))
    assert (schedule.share_generated, schedule.steps) == (0.5, 9)
    assert setup_of(arguments).device == "cpu"
    assert schedule.left_out == Schedule().left_out
    more = parser("train").parse_args([*options, "--leave-out", "CT_X,US_DeepRegTRUS"])
    assert schedule_of(more).left_out == ("US_DeepRegTRUS", "MR_OpenMS", "CT_X")
    named = [*options, "--leave-out", "", "--tune-patients", "STS_001,STS_002", "--licence", "MIT"]
    arguments = parser("train").parse_args([*named, "--tune-every", "5"])
    assert (schedule_of(arguments).left_out, schedule_of(arguments).tune_every_minutes) == ((), 5)
    assert schedule_of(arguments).tune_patients == ("STS_001", "STS_002")
    assert setup_of(arguments).licence == "MIT"
    paper = schedule_of(parser("train").parse_args([*options, "--config", "paper"]))
    assert paper.phases == parse_phases(DEFAULT_PHASES["paper"]) == (Phase(1.0, 192, 2),)


def test_segbench_train_passes_its_options_to_the_adapter():
    shown = CliRunner().invoke(cli, ["train", "ours", "--help"])
    assert shown.exit_code == 0
    assert "usage: segbench train ours" in shown.output
    assert "--minutes" in shown.output


@pytest.mark.parametrize(
    ("name", "reason"),
    [("empty", "empty: expected a training program in"), ("oures", "did you mean 'ours'")],
)
def test_an_adapter_without_training_is_refused_with_a_reason(name, reason):
    shown = CliRunner().invoke(cli, ["train", name])
    assert shown.exit_code == 2
    assert reason in shown.stderr


def test_a_state_loads_without_executing_code(data, tmp_path):
    setup = TrainingSetup(data, tmp_path / "a.safetensors", workers=0)
    train(replace(TINY, steps=2), setup, Recorder().reporter)
    state = torch.load(setup.state, weights_only=True)
    assert json.loads(state["conditions"])["steps"] == 2
    assert state["steps"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--minuts", "3"], "unrecognized arguments: --minuts 3"),
        (["--minutes", "many"], "argument --minutes: invalid float value: 'many'"),
        (["--minutes", "1", "--minutes=2"], "--minutes: expected once, found 2 times"),
        (["--min", "1"], "unrecognized arguments: --min 1"),
    ],
)
def test_a_wrong_option_is_one_line(capsys, words, message):
    with pytest.raises(SystemExit) as end:
        parse_options(["--data", "x", "--out", "y", *words], "segbench train ours")
    assert end.value.code == 2
    line = capsys.readouterr().err
    assert line == f"segbench: train ours: {message}; segbench train ours --help helps\n"
