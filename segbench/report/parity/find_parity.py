"""`segbench.parity`: an official CSV compared with its stored predictions, scored again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.data.pool import each
from segbench.keywords import suggest_keywords
from segbench.report.parity.causes import CAUSES, UNEXPLAINED, Difference
from segbench.report.parity.compare_case import (
    ComparedRow,
    candidates_of_rows,
    candidates_of_variants,
    compare_row,
    problem_row,
    row_facts,
)
from segbench.report.parity.folder_tests import folder_differences, repeated_maps
from segbench.report.parity.metrics_table import N_CLICKS, OfficialRow, printable
from segbench.report.parity.official_folder import (
    OfficialFolder,
    Places,
    cases_by_name,
    existing_folder,
    paths_of,
    read_earlier,
    read_folder,
)
from segbench.report.parity.rescored import (
    Rescored,
    StoredCase,
    Variant,
    VariantJob,
    rescore,
    score_variants,
)
from segbench.runs.metrics_csv import columns

OnCase = Callable[[str, int, int], None]  # a case that is done, how many are, of how many
ORDER = {name: place for place, name in enumerate(columns(N_CLICKS))}
DIED = "expected an answer of the process that scores it, found that it was ended"


@dataclass(frozen=True)
class Parity:
    """What a comparison has found."""

    folder: str  # the name of the official folder
    n_rows: int
    n_compared: int  # rows with a stored prediction that could be scored
    n_equal: int  # numbers
    n_unchecked: int  # scores of steps whose label maps are not stored
    differences: tuple[Difference, ...]  # by case and column
    repeated: tuple[str, ...]  # steps with the label map of the step before: no differences

    @property
    def counts(self) -> dict[str, int]:
        """How many differences each cause has, in the order of `CAUSES`; 0 is left out."""
        found = Counter(each.cause for each in self.differences)
        return {cause: found[cause] for cause in CAUSES if found[cause]}

    @property
    def unexplained(self) -> tuple[Difference, ...]:
        """The differences without an established cause."""
        return tuple(each for each in self.differences if each.cause == UNEXPLAINED)

    def other_than(self, allowed: Sequence[str]) -> tuple[Difference, ...]:
        """Return the differences of other causes than those that are allowed."""
        return tuple(each for each in self.differences if each.cause not in allowed)


@suggest_keywords
def parity(  # noqa: PLR0913
    official: str | Path,
    data: str | Path,
    *,
    references: str | Path | None = None,
    metrics: str | Path | None = None,
    earlier: Places = (),
    other_references: Places = (),
    jobs: int = 1,
    on_case: OnCase | None = None,
) -> Parity:
    """Score every stored prediction of the official script again, and explain what differs.

    Parameters
    ----------
    official : path
        The folder that the script wrote: ``CASE.npz`` with ``segs`` and ``all_segs``, and
        ``TEAM_metrics.csv``. Nothing in it is trusted: no pickle is executed.
    data : path
        The folder with the cases.
    references : path, optional
        A folder of ``.npz`` files of the same names with ``gts``, if the cases have none.
    metrics : path, optional
        The CSV, if it is elsewhere or there are several.
    earlier : path or sequence of path
        Official folders, or CSV files, of earlier runs, of which files may be left.
    other_references : path or sequence of path
        Folders of other references that the script may have been given.
    jobs : int
        Cases at a time, each in a process of its own.
    on_case : function, optional
        Called with the name of each case that is scored, how many are, and of how many.

    Returns
    -------
    Parity
        NSD is computed in the script's order, to its last bit.

    Raises
    ------
    RunError
        If there is no such CSV, or it is none of the script.
    CaseError
        If there are no cases.
    """
    folder, sources = read_folder(Path(official), metrics), cases_by_name(Path(data), references)
    runs = [read_earlier(Path(place)) for place in paths_of(earlier)]
    others = tuple(existing_folder(Path(place)) for place in paths_of(other_references))
    stored = [
        StoredCase(sources[name], folder.files[name])
        for name in folder.rows
        if name in sources and name in folder.files
    ]
    rescored = _rescore_all(stored, jobs, on_case or _nothing)
    compared = _compare_all(folder, rescored, runs)
    compared, problems = _examine(folder, stored, rescored, compared, others, jobs)
    differences = [
        *folder_differences(folder, list(sources)),
        *problems,
        *(found for row in compared.values() for found in row.differences),
    ]
    return Parity(
        printable(Path(official).resolve().name),
        len(folder.rows),
        len(compared),
        sum(row.n_equal for row in compared.values()),
        sum(row.n_unchecked for row in compared.values()),
        tuple(sorted(differences, key=lambda found: (found.case, ORDER.get(found.column, -1)))),
        tuple(note for row in compared.values() for note in repeated_maps(row.facts)),
    )


def _nothing(*_: object) -> None:
    """Show nothing."""


def _rescore_all(stored: Sequence[StoredCase], jobs: int, on_case: OnCase) -> dict[str, Rescored]:
    found = {}
    for done, (case, rescored) in enumerate(each(rescore, stored, jobs), start=1):
        found[printable(case.file.stem)] = rescored or Rescored(problem=DIED)
        on_case(case.file.stem, done, len(stored))
    return found


def _compare_all(
    folder: OfficialFolder,
    rescored: Mapping[str, Rescored],
    runs: Sequence[tuple[str, Mapping[str, OfficialRow]]],
) -> dict[str, ComparedRow]:
    """Compare every row that could be scored, first without, then with the rows of others."""
    compared = {}
    for name, found in sorted(rescored.items()):
        if found.scores is not None:
            earlier = [(run, rows[name]) for run, rows in runs if name in rows]
            compared[name] = compare_row(row_facts(folder.rows[name], found, earlier))
    all_facts = [row.facts for row in compared.values()]
    for name, row in compared.items():
        if row.unexplained_scores:
            others = [facts for facts in all_facts if facts is not row.facts]
            compared[name] = compare_row(row.facts, candidates_of_rows(row.facts, others))
    return compared


def _examine(
    folder: OfficialFolder,
    stored: Sequence[StoredCase],
    rescored: Mapping[str, Rescored],
    compared: Mapping[str, ComparedRow],
    references: tuple[Path, ...],
    jobs: int,
) -> tuple[dict[str, ComparedRow], list[Difference]]:
    """Try other ways of scoring where scores are not explained, or a file could not be scored."""
    doubtful = [case for case in stored if _is_doubtful(printable(case.file.stem), compared)]
    work = [
        VariantJob(
            case,
            folder.rows[name := printable(case.file.stem)],
            tuple(other for other in doubtful if other is not case),
            references,
            scores.raw_values if (scores := rescored[name].scores) else (),
            name in compared and compared[name].nsd_alone,
        )
        for case in doubtful
    ]
    variants = {
        printable(job.stored.file.stem): found or []
        for job, found in each(score_variants, work, jobs)
    }
    final = dict(compared)
    problems = []
    for name, found in variants.items():
        if name in compared:
            final[name] = _with_variants(compared[name], found)
        else:
            problems.append(problem_row(folder.rows[name], rescored[name], found))
    return final, problems


def _is_doubtful(name: str, compared: Mapping[str, ComparedRow]) -> bool:
    return name not in compared or bool(compared[name].unexplained_scores)


def _with_variants(row: ComparedRow, variants: Sequence[Variant]) -> ComparedRow:
    known = list(row.facts.candidates)
    return compare_row(row.facts, [*known, *candidates_of_variants(row.facts, variants)])
