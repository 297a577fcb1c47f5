"""One set of options: the same for the command line and Python, refused by name."""

import inspect
import math
from pathlib import Path

import pytest

import segbench
from segbench.cli import cli
from segbench.errors import RunError
from segbench.results import Policy
from segbench.runs.config import RunConfig, default_out

NOWHERE = {"model": "boxfill", "data": (Path("val"),), "out": Path("runs/nowhere")}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"failures": "stale"}, "failures: expected one of zero, carry_forward, found 'stale'"),
        ({"boxes": "some"}, "boxes: expected one of given, none, found 'some'"),
        ({"predictions": "last"}, "predictions: expected one of all, final, none, found 'last'"),
        ({"jobs": 0}, "jobs: expected a whole number from 1 on, found 0"),
        ({"jobs": 1.5}, r"jobs: expected a whole number from 1 on, found 1\.5"),
        ({"limit": -1}, "limit: expected a whole number from 1 on, found -1"),
        ({"threads": "2"}, "threads: expected a whole number from 1 on, found '2'"),
        ({"time_limit": -1}, "time_limit: expected seconds above 0, found -1"),
        ({"time_limit": math.nan}, "time_limit: expected seconds above 0, found nan"),
        ({"step_timeout": 0}, "step_timeout: expected seconds above 0, found 0"),
        ({"step_timeout": math.inf}, "step_timeout: expected seconds above 0, found inf"),
        ({"jobs": 2, "in_process": True}, "jobs: expected 1 for a model in this process"),
        ({"python": Path("p"), "in_process": True}, "python: expected none with in_process"),
        ({"fresh": True, "retry_failed": True}, "fresh: expected alone, .* found retry_failed"),
        ({"out": Path(__file__)}, r"test_config\.py: expected a run folder, found a file"),
    ],
    ids=str,
)
def test_unknown_values_and_contradictions_are_refused_by_name(fields, message):
    with pytest.raises(RunError, match=message):
        RunConfig(**(NOWHERE | fields))


def test_a_policy_of_an_unknown_name_is_refused():
    with pytest.raises(
        RunError, match="expected one of zero, carry_forward, found 'carry-forward'"
    ):
        Policy("carry-forward")


def test_python_and_the_command_line_have_the_same_options():
    keywords = set(inspect.signature(segbench.evaluate).parameters)
    options = {param.name for param in cli.commands["run"].params}
    assert options - keywords == {"dry_run"}
    # another protocol than the challenge's; a model that is an object; how a program is shown
    assert keywords - options == {"settings", "version", "progress"}


def test_defaults_of_python_and_the_command_line_are_equal():
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(segbench.evaluate).parameters.items()
    }
    for param in cli.commands["run"].params:
        if isinstance(param.default, int | float | str):
            assert defaults[param.name] == param.default, param.name


@pytest.mark.parametrize(
    ("model", "folder"),
    [("boxfill", "boxfill"), ("container:team/net:v1", "team-net-v1")],
)
def test_a_run_folder_is_named_after_its_model(model, folder):
    assert default_out(model) == Path("runs") / folder
