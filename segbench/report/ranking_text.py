"""A ranking as text for a terminal."""

from __future__ import annotations

from dataclasses import replace

from segbench.errors import RunError
from segbench.messages import counted
from segbench.report.frames import Results
from segbench.report.ranking import Ranking
from segbench.report.ranks import Ties
from segbench.report.resampling import Resampling
from segbench.report.tables.ranking import ranking_table
from segbench.report.tables.render import to_text
from segbench.report.tables.table import Cell, Table
from segbench.text_table import WIDTH, shortened, wrapped

MIN_NAME = 12


def ranking_text(
    results: Results,
    ranking: Ranking,
    *,
    ties: Ties = "min",
    resampling: Resampling = Resampling(),
) -> str:
    """Return the table of a ranking, at most 100 columns wide, and its notes.

    Raises
    ------
    RunError
        If there is no ranking, with the reason.
    """
    table = ranking_table(results, ranking, ties=ties, resampling=resampling)
    if table is None:
        raise RunError(f"ranking: {_why_not(results)}")
    cases, patients = counted(ranking.n_cases, "case"), counted(ranking.n_patients, "patient")
    title = f"Ranking of {counted(len(table.rows), 'method')} over {cases} of {patients}"
    notes = wrapped(table.notes, bullet="- ")
    return f"{wrapped([title])}\n\n{_narrow_text(table)}\nNotes\n\n{notes}\n"


def _why_not(results: Results) -> str:
    methods = results.methods
    if len(methods) == 1:
        return "expected at least two runs, found 1"
    ranked = methods.loc[methods["ranked"], "method"]
    if len(ranked) < 2:
        seeing = ", ".join(methods.loc[~methods["ranked"], "method"])
        return (
            f"expected at least two runs that do not see the reference, found {len(ranked)}; "
            f"{seeing} sees it"
        )
    scored = results.cases.loc[results.cases["scored"], "method"]
    without = [name for name in ranked if name not in set(scored)]
    if len(ranked) - len(without) < 2:
        return f"expected two runs with a scored case, found none in {', '.join(without)}"
    return (
        "expected a case that all methods have scored, found none (a case is the same if its name "
        "and its files are); missing=last ranks all cases"
    )


def _narrow_text(table: Table) -> str:
    """Return the table without its notes, with long names shortened if it is too wide."""
    bare = replace(table, notes=())
    text = to_text(bare)
    excess = max(map(len, text.splitlines())) - WIDTH
    if excess <= 0:
        return text
    width = max(len(row[0].text) for row in table.rows) - excess
    groups = tuple(
        tuple((Cell(shortened(row[0].text, max(width, MIN_NAME))), *row[1:]) for row in group)
        for group in table.groups
    )
    return to_text(replace(bare, groups=groups))
