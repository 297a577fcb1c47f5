"""The tables of a report, in parts and in the order in which a reader wants them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from segbench.report.frames import Results
from segbench.report.modalities import TABLE_5_STYLE
from segbench.report.published import PublishedTable, read_published
from segbench.report.tables.by_box import table_by_box
from segbench.report.tables.by_dataset import table_by_dataset
from segbench.report.tables.by_label import table_by_label
from segbench.report.tables.by_modality import table_by_modality
from segbench.report.tables.by_step import table_by_step
from segbench.report.tables.facts import facts_table
from segbench.report.tables.failures import failures_table
from segbench.report.tables.insight import clicks_table, gain_table, noc_table, seconds_table
from segbench.report.tables.options import TableOptions
from segbench.report.tables.own_cases import own_cases_table
from segbench.report.tables.pairs import pairs_table
from segbench.report.tables.ranking import rank_runs, ranking_table
from segbench.report.tables.saturation import saturation_table
from segbench.report.tables.sensitivity import sensitivity_table
from segbench.report.tables.table import Table
from segbench.report.tables.time_limit import time_limit_table

LEADERS = "Who leads, and how sure that is"
# which of them a report has depends on its runs
OPTIONAL_TABLES = (
    *("ranking", "pairs", "table5", "datasets", "own-cases", "time-limit"),
    *("noc", "gain", "clicks", "seconds", "saturation", "sensitivity", "failures"),
)


@dataclass(frozen=True)
class Part:
    """Tables below one heading."""

    title: str
    tables: tuple[Table, ...]


def report_parts(
    results: Results, published: Sequence[str] = (), options: TableOptions = TableOptions()
) -> list[Part]:
    """Return the parts of a report that have tables, in the order of its page."""
    rows = {name: read_published(name) for name in published}
    parts = {
        LEADERS: _ranking(results, options),
        "Scores": _scores(results, rows, options),
        "How models use clicks": _insight(results, options),
        "Other choices": [sensitivity_table(results, resampling=options.resampling)],
        "How each run was made": [facts_table(results), failures_table(results)],
    }
    found = [Part(title, _present(tables)) for title, tables in parts.items()]
    return [part for part in found if part.tables]


def report_tables(
    results: Results, published: Sequence[str] = (), options: TableOptions = TableOptions()
) -> list[Table]:
    """Return the tables of a report in the order of its page."""
    return [table for part in report_parts(results, published, options) for table in part.tables]


def _present(tables: Iterable[Table | None]) -> tuple[Table, ...]:
    return tuple(table for table in tables if table is not None)


def _ranking(results: Results, options: TableOptions) -> Iterator[Table | None]:
    resampling = options.resampling
    yield ranking_table(results, rank_runs(results, resampling=resampling), resampling=resampling)
    yield pairs_table(results, resampling=resampling)


def _scores(
    results: Results, published: Mapping[str, PublishedTable], options: TableOptions
) -> Iterator[Table | None]:
    yield table_by_modality(results, published=published.get("table3"), options=options)
    yield table_by_box(results, published=published.get("table4"), options=options)
    if "table5" in published:
        yield table_by_modality(
            results,
            published=published["table5"],
            name="table5",
            style=TABLE_5_STYLE,
            options=options,
        )
    yield table_by_step(results, options=options)
    yield table_by_dataset(results, options=options)
    yield table_by_label(results, options=options)
    yield own_cases_table(results, options=options)
    yield time_limit_table(results, options=options)


def _insight(results: Results, options: TableOptions) -> Iterator[Table | None]:
    yield noc_table(results, options=options)
    yield gain_table(results, options=options)
    yield clicks_table(results, options=options)
    yield seconds_table(results)
    yield saturation_table(results)
