"""Options that several commands share, and the types of options."""

from __future__ import annotations

import difflib
import math
import shlex
import sys
from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


class Seconds(click.FloatRange):
    """A positive number of seconds; "nan" is none."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the number."""
        seconds = super().convert(value, param, ctx)
        return self.fail(f"{value!r} is not a number") if math.isnan(seconds) else seconds


SECONDS = Seconds(0, 1e6, min_open=True)


def policy_options(command: Any) -> Any:
    """Add the options that turn raw facts into scores."""
    failures = click.option(
        "--failures",
        type=click.Choice(["zero", "carry-forward"]),
        default="zero",
        callback=lambda _, __, given: given.replace("-", "_"),
        help="A failed step scores 0, or the score of the last prediction (the official number).",
    )
    limit = click.option(
        "--time-limit",
        type=SECONDS,
        metavar="SECONDS",
        help="Score a case 0 if it took more than SECONDS per label (the paper: 90).",
    )
    return failures(limit(command))


patient_pattern_option = click.option(
    "--patient-pattern",
    metavar="REGEX",
    help="Finds the patient in a case's name: its first group, or the match. Scans of one patient "
    "are resampled together. [the column patient of index.csv]",
)


def resampling_options(command: Any) -> Any:
    """Add the options of intervals and tests."""
    draws = click.option(
        "--draws",
        type=click.IntRange(1000, 1_000_000),
        default=10_000,
        help="Bootstrap resamples, and permutations of a test.",
    )
    seed = click.option(
        "--seed", type=click.IntRange(0), default=0, help="The same seed gives the same numbers."
    )
    return patient_pattern_option(draws(seed(command)))


def parse_options(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Turn key=value pairs into a dictionary."""
    wrong = [pair for pair in given if "=" not in pair]
    if wrong:
        raise click.BadParameter(f"expected key=value, found {wrong[0]!r}")
    return dict(pair.split("=", 1) for pair in given)


def command_line() -> str:
    """Return the command as it was typed, to be noted in what it writes."""
    return shlex.join(["segbench", *sys.argv[1:]])


model_option = click.option(
    "--model", required=True, help="An adapter's name, or a path to its file or folder."
)
adapter_option = click.option(
    "--option",
    multiple=True,
    metavar="KEY=VALUE",
    callback=parse_options,
    help="An option of the adapter (segbench models show NAME lists them); repeatable.",
)


def parse_metric(_: click.Context, __: click.Parameter, given: str) -> str:
    """Return the name of a measure, whatever its case; hyphens count as underscores."""
    from segbench.report.frames import MEASURES

    name = given.strip().lower().replace("-", "_").replace(" ", "_")
    if name not in MEASURES:
        nearest = difflib.get_close_matches(name, MEASURES, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
        raise click.BadParameter(f"no metric {given!r}{hint} Known: {', '.join(MEASURES)}")
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
                raise click.BadParameter(f"{name}: given twice")
            margins[name] = _margin(text, number)
    return margins


def parse_metric_margins(
    ctx: click.Context, param: click.Parameter, given: tuple[str, ...]
) -> dict[str, float]:
    """Turn METRIC=NUMBER into a number of 0 or more by metric."""
    for text in given:
        if "=" not in text:
            raise click.BadParameter(f"expected METRIC=DELTA, found {text!r}")
    return parse_margins(ctx, param, given)


def _margin(text: str, number: str) -> float:
    try:
        margin = float(number)
    except ValueError:
        margin = math.nan
    if not 0 <= margin < math.inf:
        raise click.BadParameter(f"expected a number of 0 or more, found {text!r}")
    return margin
