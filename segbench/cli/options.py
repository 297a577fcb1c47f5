"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import math
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from segbench.cli.completion import complete_adapter
from segbench.cli.misuse import Misuse
from segbench.cli.option_types import EXISTING_FOLDER, FILE, SECONDS, OneOf, WholeNumber
from segbench.cli.params import ADVANCED, HOW, WHAT, argument, option
from segbench.messages import did_you_mean


def policy_options(command: Any) -> Any:
    """Add the options that turn raw facts into scores."""
    failures = option(
        "--failures",
        heading=HOW,
        type=OneOf(["zero", "carry-forward"]),
        default="zero",
        callback=lambda _, __, given: given.replace("-", "_"),
        help="What a step counts in which the model failed: zero (a score of 0), or carry-forward "
        "(the score of the model's last valid prediction, as in the official numbers).",
    )
    limit = option(
        "--time-limit",
        heading=HOW,
        type=SECONDS,
        metavar="SECONDS",
        help="Score a case 0 if the model took more than this many seconds per label in all steps "
        "together (the paper: 90).",
        show_default="no limit",
    )
    return failures(limit(command))


patient_pattern_option = option(
    "--patient-pattern",
    heading=ADVANCED,
    metavar="REGEX",
    help="Regular expression that finds the patient in the name of a case: its first group, or "
    "all that matches. Intervals and tests count the scans of one patient as one draw.",
    show_default="the column patient of index.csv",
)


def resampling_options(command: Any) -> Any:
    """Add the options of intervals and tests."""
    draws = option(
        "--draws",
        heading=ADVANCED,
        type=WholeNumber(1000, 1_000_000),
        default=10_000,
        help="How many bootstrap resamples make an interval, and how many permutations a test.",
    )
    seed = option(
        "--seed",
        heading=ADVANCED,
        type=WholeNumber(0),
        default=0,
        help="Seed of the random draws of intervals and tests; the same seed gives the same "
        "numbers.",
    )
    return patient_pattern_option(draws(seed(command)))


def parse_options(
    _: click.Context, param: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    """Turn KEY=VALUE pairs into a dictionary; a key is given once."""
    values: dict[str, str] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise Misuse(param.metavar or "KEY=VALUE", repr(pair))
        if key in values:
            found = f"it 2 times: {values[key]!r}, {value!r}"
            raise Misuse(f"{key!r} once", found, "keep one of them")
        values[key] = value
    return values


def command_line() -> str:
    """Return the command as it was typed, to be noted in what it writes."""
    return shlex.join(["segbench", *sys.argv[1:]])


model_option = option(
    "--model",
    heading=WHAT,
    required=True,
    metavar="NAME|PATH",
    shell_complete=complete_adapter,
    help="The model: the name of an adapter (segbench models lists them), the path of an adapter's "
    "file or folder, container:IMAGE, or command:'PROGRAM {inputs} {outputs}'.",
)
adapter_option = option(
    "--option",
    heading=WHAT,
    multiple=True,
    metavar="KEY=VALUE",
    callback=parse_options,
    help="An option of the adapter, such as device=cuda:0 (segbench models show NAME lists them); "
    "repeatable, each key once.",
)
python_option = option(
    "--python",
    heading=ADVANCED,
    type=FILE,
    help="The Python program that runs the adapter, for example env/bin/python; it needs numpy.",
    show_default="the environment that the adapter declares, else the Python of segbench",
)
step_timeout_option = option(
    "--step-timeout",
    heading=HOW,
    type=SECONDS,
    metavar="SECONDS",
    default=900,
    help="How long the model may take to load, to receive an image, and for each step; then it is "
    "stopped and the step has failed.",
)


def without_replaced_runs(
    ctx: click.Context, _: click.Parameter, given: tuple[Path, ...]
) -> tuple[Path, ...]:
    """Leave out the runs that `--fresh` moved away and that another one given has replaced."""
    from segbench.report.run_folders import left_out_text, without_replaced

    kept, replaced = without_replaced(given)
    if replaced and not ctx.resilient_parsing:
        click.echo(left_out_text(replaced), err=True)
    return tuple(kept)


runs_argument = argument(
    "runs",
    heading=WHAT,
    metavar="RUNS...",
    nargs=-1,
    required=True,
    type=EXISTING_FOLDER,
    callback=without_replaced_runs,
    help="Run folders, as segbench run writes them. A folder that contains run folders stands for "
    "all of them, in name order. NAME.old-1 is left out if NAME is given, too.",
)


def parse_metric(_: click.Context, __: click.Parameter, given: str) -> str:
    """Return the name of a measure, whatever its case; hyphens count as underscores."""
    from segbench.report.frames import MEASURES

    name = given.strip().lower().replace("-", "_").replace(" ", "_")
    if name not in MEASURES:
        expected = f"a metric, one of {', '.join(MEASURES)}"
        raise Misuse(expected, repr(given), did_you_mean(name, MEASURES))
    return name


def parse_margins(
    ctx: click.Context, param: click.Parameter, given: tuple[str, ...]
) -> dict[str, float]:
    """Turn METRIC=NUMBER, or NUMBER for all metrics, into a number of 0 or more by metric."""
    from segbench.report.frames import MEASURES

    margins: dict[str, float] = {}
    for text in given:
        metric, equals, number = text.rpartition("=")
        names = [parse_metric(ctx, param, metric)] if equals else list(MEASURES)
        for name in names:
            if name in margins:
                raise Misuse(f"a number for {name} once", "it 2 times", "keep one of them")
            margins[name] = _margin(text, number)
    return margins


def parse_metric_margins(
    ctx: click.Context, param: click.Parameter, given: tuple[str, ...]
) -> dict[str, float]:
    """Turn METRIC=NUMBER into a number of 0 or more by metric."""
    for text in given:
        if "=" not in text:
            raise Misuse("METRIC=DELTA", repr(text))
    return parse_margins(ctx, param, given)


def _margin(text: str, number: str) -> float:
    try:
        margin = float(number)
    except ValueError:
        margin = math.nan
    if not 0 <= margin < math.inf:
        raise Misuse("a number of 0 or more", repr(text))
    return margin
