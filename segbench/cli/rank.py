"""`segbench rank`: which run is better, by the challenge's rule and by others."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from segbench.cli.option_types import NEW_FILE, OneOf
from segbench.cli.options import policy_options, resampling_options, runs_argument
from segbench.cli.params import HOW, WHERE, command, option
from segbench.results import FailurePolicy


@command(examples=["segbench rank runs", "segbench rank runs/* --missing last --out ranking.csv"])
@runs_argument
@option(
    "--out",
    heading=WHERE,
    type=NEW_FILE,
    help="Also write the ranks to this CSV file. An earlier ranking is replaced; no other file is.",
)
@option(
    "--ties",
    heading=HOW,
    type=OneOf(["min", "average"]),
    default="min",
    help="The rank of equal scores: the best of their ranks (min), or the mean of them (average).",
)
@option(
    "--missing",
    heading=HOW,
    type=OneOf(["common", "last"]),
    default="common",
    help="Which cases count: those that all runs have scored (common), or all cases, and a run "
    "that lacks a case is last there (last).",
)
@policy_options
@resampling_options
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
    """Rank two or more runs by the challenge's rule and two others.

    Ranks have intervals, and methods that cannot be told apart are in one group. A run whose
    adapter sees the reference is not ranked.
    """
    from segbench.files import write_text
    from segbench.report import Resampling, load, rank_runs, ranking_text, ranks_with_groups
    from segbench.report.written_files import refuse_other_table

    results = load(*runs, failures=failures, time_limit=time_limit)
    resampling = Resampling(draws=draws, seed=seed, patient_pattern=patient_pattern)
    ranking = rank_runs(results, ties=ties, missing=missing, resampling=resampling)
    table = ranks_with_groups(ranking).to_csv(index=False, lineterminator="\n")
    if out is not None:
        refuse_other_table(out, table)
    click.echo(ranking_text(results, ranking, ties=ties, resampling=resampling), nl=False)
    if out is not None:
        write_text(out, table)
        click.echo(f"ranks: {out}", err=True)
