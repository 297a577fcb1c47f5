"""`segbench rank`: which run is better, by the challenge's rule and by others."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from segbench.cli.options import (
    EXISTING_FOLDER,
    policy_options,
    resampling_options,
)
from segbench.results import FailurePolicy


@click.command()
@click.argument("runs", nargs=-1, required=True, type=EXISTING_FOLDER)
@click.option(
    "--ties",
    type=click.Choice(["min", "average"]),
    default="min",
    help="Equal scores have the best of their ranks, or the mean of them.",
)
@click.option(
    "--missing",
    type=click.Choice(["common", "last"]),
    default="common",
    help="Rank the cases that all runs have scored, or all cases: then a run that lacks a case is "
    "last there.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the ranks to this CSV file.",
)
@resampling_options
@policy_options
def rank(
    *,
    runs: tuple[Path, ...],
    ties: Literal["min", "average"],
    missing: Literal["common", "last"],
    out: Path | None,
    patient_pattern: str | None,
    seed: int,
    draws: int,
    failures: FailurePolicy,
    time_limit: float | None,
) -> None:
    """Rank two or more RUNS by the challenge's rule, next to two other rules.

    \b
    segbench rank runs/*
    segbench rank runs/* --missing last --out ranking.csv

    Ranks have intervals, and methods that cannot be told apart are in one group. A run whose
    adapter sees the reference is not ranked.
    """
    from segbench.files import write_text
    from segbench.report import Resampling, load, rank_runs, ranking_text, ranks_with_groups

    results = load(*runs, failures=failures, time_limit=time_limit)
    resampling = Resampling(draws=draws, seed=seed, patient_pattern=patient_pattern)
    ranking = rank_runs(results, ties=ties, missing=missing, resampling=resampling)
    click.echo(ranking_text(results, ranking, ties=ties, resampling=resampling), nl=False)
    if out is not None:
        write_text(out, ranks_with_groups(ranking).to_csv(index=False, lineterminator="\n"))
        click.echo(f"ranks: {out}", err=True)
