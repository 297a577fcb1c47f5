"""`segbench compare`: how a run differs from a baseline."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from segbench.cli.option_types import RUN_FOLDER, WholeNumber
from segbench.cli.options import (
    parse_margins,
    parse_metric,
    parse_metric_margins,
    policy_options,
    resampling_options,
)
from segbench.cli.params import HOW, WHAT, argument, command, option
from segbench.results import FailurePolicy


@command(
    examples=[
        "segbench compare runs/old runs/new",
        "segbench compare runs/old runs/new --equivalence dsc_final=0.01",
        "segbench compare runs/old runs/new --fail-if-worse dsc_final=0.01",
    ]
)
@argument(
    "baseline",
    heading=WHAT,
    metavar="A",
    type=RUN_FOLDER,
    help="The run folder of the baseline.",
)
@argument(
    "run_folder",
    heading=WHAT,
    metavar="B",
    type=RUN_FOLDER,
    help="The run folder that is compared with A.",
)
@option(
    "--fail-if-worse",
    heading=HOW,
    multiple=True,
    metavar="METRIC=DELTA",
    callback=parse_metric_margins,
    help="End with exit status 1 if B is worse: if the mean of B - A over the common cases is "
    "below -DELTA. METRIC is dsc_auc, nsd_auc, dsc_final or nsd_final; repeatable.",
)
@option(
    "--tie-margin",
    heading=HOW,
    multiple=True,
    metavar="[METRIC=]MARGIN",
    callback=parse_margins,
    help="Count a case as a tie if A and B differ by no more than this, in one metric or in all; "
    "repeatable.",
    show_default="0",
)
@option(
    "--equivalence",
    heading=HOW,
    multiple=True,
    metavar="[METRIC=]MARGIN",
    callback=parse_margins,
    help="Test whether A and B are equal to within this margin, in one metric or in all; "
    "repeatable.",
)
@option(
    "--movers",
    heading=HOW,
    type=WholeNumber(0),
    default=5,
    help="How many of the cases and labels with the largest gains and losses are listed.",
)
@option(
    "--movers-by",
    heading=HOW,
    metavar="METRIC",
    default="dsc_final",
    callback=parse_metric,
    help="The metric by which these gains and losses are the largest.",
)
@policy_options
@resampling_options
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
    """Compare the run B with the baseline A, on their common cases.

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
