"""The methods of a report: one run each, all with the same policy and protocol."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from segbench.errors import RunError
from segbench.report.modalities import modality_code
from segbench.results import CaseResult, CaseSummary, Policy
from segbench.runs.run_folder import Run, read_run

CaseKey = tuple[str, str, str | None]


@dataclass(frozen=True)
class ScoredCase:
    """A case that counts in the means, with its scores under the report's policy."""

    result: CaseResult
    summary: CaseSummary

    @property
    def key(self) -> CaseKey:
        """Its name and the content of its files; equal keys in two runs mean the same case."""
        return self.result.case, self.result.file_sha256, self.result.reference_sha256


@dataclass(frozen=True)
class Method:
    """One run under one policy; ``name`` is unique within a report."""

    name: str
    run: Run
    policy: Policy

    @property
    def display_name(self) -> str:
        """The name that the tables show."""
        return self.name if self.ranked else f"{self.name} (sees the reference)"

    @property
    def ranked(self) -> bool:
        """Whether it can be the best: not if its adapter sees the reference."""
        return not self.run.adapter.sees_reference

    @property
    def time_limit(self) -> float:
        """The limit in seconds per label: the policy's, or the protocol's if that has none."""
        limit = self.policy.time_limit
        return self.run.settings.seconds_per_label if limit is None else limit

    @property
    def case_results(self) -> tuple[CaseResult, ...]:
        """The results of all its finished cases, failed and invalid ones included."""
        return self.run.case_results

    @cached_property
    def scored_cases(self) -> tuple[ScoredCase, ...]:
        """The cases that count in the means; the policy decides which these are."""
        n_clicks = self.run.settings.n_clicks
        summaries = ((case, case.summary(self.policy, n_clicks)) for case in self.case_results)
        return tuple(ScoredCase(c, s) for c, s in summaries if s is not None)

    @cached_property
    def n_over_time(self) -> int:
        """The number of its cases above the limit, also if the policy does not apply it."""
        limited = self.with_policy(replace(self.policy, time_limit=self.time_limit))
        return sum(case.summary.over_time for case in limited.scored_cases)

    def count(self, status: str) -> int:
        """Count its finished cases with a status: ok, failed or invalid."""
        return sum(case.status == status for case in self.case_results)

    def with_policy(self, policy: Policy) -> Method:
        """Return the same run with another policy."""
        return Method(self.name, self.run, policy)


def read_methods(folders: Sequence[Path], policy: Policy = Policy()) -> tuple[Method, ...]:
    """Read run folders for one report, in the order given.

    Raises
    ------
    RunError
        If no folder is given, a folder is given twice or cannot be read, or the protocols differ.
    """
    if not folders:
        raise RunError("a report needs at least one run folder, none was given")
    for folder, times in Counter(folder.resolve() for folder in folders).items():
        if times > 1:
            raise RunError(f"{folder}: given {times} times, a report can have each run only once")
    runs = [read_run(folder) for folder in folders]
    for run in runs[1:]:
        _require_same_protocol(runs[0], run)
    return tuple(
        Method(name, run, policy) for name, run in zip(_unique_names(runs), runs, strict=True)
    )


def modalities_of(methods: Iterable[Method]) -> set[str]:
    """Return the codes of all modalities in the scored cases of any method."""
    return {
        modality_code(case.result.modality) for method in methods for case in method.scored_cases
    }


def cases_of_modality(method: Method, code: str) -> list[ScoredCase]:
    """Return a method's scored cases of one modality."""
    return [case for case in method.scored_cases if modality_code(case.result.modality) == code]


def _require_same_protocol(first: Run, other: Run) -> None:
    if first.manifest.protocol.hash == other.manifest.protocol.hash:
        return
    old, new = asdict(first.settings), asdict(other.settings)
    changes = [f"{key} {old[key]} and {new[key]}" for key in old if old[key] != new[key]]
    changes.append(f"hash {first.manifest.protocol.hash} and {other.manifest.protocol.hash}")
    raise RunError(
        f"{first.folder} and {other.folder}: a report needs runs with the same protocol, "
        f"these differ in {', '.join(changes)}"
    )


def _unique_names(runs: Sequence[Run]) -> list[str]:
    for longer_name in (_plain_name, _name_and_folder, _name_and_path):
        names = _rename_duplicates(runs, longer_name)
        if len(set(names)) == len(names):
            break
    return names


def _rename_duplicates(runs: Sequence[Run], longer_name: Callable[[Run], str]) -> list[str]:
    counts = Counter(run.method for run in runs)
    return [longer_name(run) if counts[run.method] > 1 else run.method for run in runs]


def _plain_name(run: Run) -> str:
    return run.method


def _name_and_folder(run: Run) -> str:
    return f"{run.method} ({run.folder.resolve().name})"


def _name_and_path(run: Run) -> str:
    return f"{run.method} ({run.folder})"
