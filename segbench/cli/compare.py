"""`segbench compare`: how a run differs from a baseline."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from segbench.cli.options import (
    EXISTING_FOLDER,
    parse_margins,
    parse_metric,
    parse_metric_margins,
    policy_options,
    resampling_options,
)
from segbench.results import FailurePolicy


@click.command()
@click.argument("baseline", metavar="A", type=EXISTING_FOLDER)
@click.argument("run_folder", metavar="B", type=EXISTING_FOLDER)
@click.option(
    "--fail-if-worse",
    multiple=True,
    metavar="METRIC=DELTA",
    callback=parse_metric_margins,
    help="Exit status 1 if the mean of B - A over the common cases is below -DELTA; repeatable. "
    "METRIC is dsc_auc, nsd_auc, dsc_final or nsd_final.",
)
@click.option(
    "--tie-margin",
    multiple=True,
    metavar="[METRIC=]MARGIN",
    callback=parse_margins,
    help="A case whose difference is not larger is a tie; repeatable. [0]",
)
@click.option(
    "--equivalence",
    multiple=True,
    metavar="[METRIC=]MARGIN",
    callback=parse_margins,
    help="Test whether A and B are equal to within MARGIN; repeatable.",
)
@click.option(
    "--movers",
    type=click.IntRange(0),
    default=5,
    help="How many of the largest gains and losses to show.",
)
@click.option(
    "--movers-by",
    metavar="METRIC",
    default="dsc_final",
    callback=parse_metric,
    help="The measure of these gains and losses.",
)
@resampling_options
@policy_options
def compare(
    *,
    baseline: Path,
    run_folder: Path,
    fail_if_worse: dict[str, float],
    tie_margin: dict[str, float],
    equivalence: dict[str, float],
    movers: int,
    movers_by: str,
    patient_pattern: str | None,
    seed: int,
    draws: int,
    failures: FailurePolicy,
    time_limit: float | None,
) -> None:
    """Compare the run B with the baseline A, on the cases that both have.

    \b
    segbench compare runs/old runs/new
    segbench compare runs/old runs/new --equivalence dsc_final=0.01
    segbench compare runs/old runs/new --fail-if-worse dsc_final=0.01

    All differences are B - A: positive means that B is better.
    """
    from segbench.report import Resampling, check_losses, compare_runs, comparison_text, load

    comparison = compare_runs(
        load(baseline, run_folder, failures=failures, time_limit=time_limit),
        tie_margin=tie_margin,
        equivalence_margin=equivalence,
        label_measure=movers_by,
        resampling=Resampling(draws=draws, seed=seed, patient_pattern=patient_pattern),
    )
    checks = check_losses(comparison, fail_if_worse)
    click.echo(comparison_text(comparison, checks, n_movers=movers), nl=False)
    sys.exit(1 if any(check.failed for check in checks) else 0)
