"""Run folders as the tables see them: one method each, under one policy and one protocol."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from segbench.core import CaseResult, CaseSummary, Policy
from segbench.errors import RunError
from segbench.report.modalities import code_of
from segbench.runs.run_folder import Run, read_run

CaseKey = tuple[str, str, str | None]


@dataclass(frozen=True)
class Scored:
    """A case that counts, and its numbers under the policy of the report."""

    case: CaseResult
    summary: CaseSummary

    @property
    def key(self) -> CaseKey:
        """What makes it the same case in two runs: its name and the content of its files."""
        return self.case.case, self.case.file_sha256, self.case.reference_sha256


@dataclass(frozen=True)
class Method:
    """One run under one policy; ``name`` is unique within a report."""

    name: str
    run: Run
    policy: Policy
    scored: tuple[Scored, ...]

    @property
    def label(self) -> str:
        """The name as tables print it."""
        return self.name if self.ranked else f"{self.name} (sees the reference)"

    @property
    def ranked(self) -> bool:
        """Whether it may be called the best: not if its adapter sees the reference."""
        return not self.run.adapter.sees_reference

    @property
    def planned(self) -> int | None:
        """How many cases its data had, None where the manifest does not say."""
        cases = self.data.get("cases")
        return cases if isinstance(cases, int) or cases is None else len(cases)

    @property
    def data(self) -> Mapping[str, Any]:
        """What the manifest says of the data, nothing where it does not."""
        data = self.run.manifest.get("data")
        return data if isinstance(data, Mapping) else {}

    @property
    def limit(self) -> float:
        """Seconds per label that cases are held against: the policy's, or the protocol's."""
        limit = self.policy.time_limit
        return self.run.settings.seconds_per_label if limit is None else limit

    @cached_property
    def over_time(self) -> int:
        """How many of its cases are above the limit, whether or not the policy applies it."""
        limited = self.under(replace(self.policy, time_limit=self.limit))
        return sum(one.summary.over_time for one in limited.scored)

    def count(self, status: str) -> int:
        """Count its finished cases of a status: ok, failed or invalid."""
        return sum(case.status == status for case in self.run.case_results)

    def under(self, policy: Policy) -> Method:
        """Return the same run under another policy."""
        return _method(self.name, self.run, policy)


def read_methods(folders: Sequence[Path], policy: Policy = Policy()) -> tuple[Method, ...]:
    """Read run folders that may stand in one table, in the order given.

    Raises
    ------
    RunError
        If there is none, one is given twice or lacks a field, or their protocols differ.
    """
    if not folders:
        raise RunError("a report needs at least one run folder, none was given")
    for folder, times in Counter(folder.resolve() for folder in folders).items():
        if times > 1:
            raise RunError(f"{folder}: given {times} times, a report takes each run once")
    runs = [read_run(folder) for folder in folders]
    for run in runs:
        _require_manifest(run)
    for run in runs[1:]:
        _require_same_protocol(runs[0], run)
    return tuple(_method(name, run, policy) for name, run in zip(_names(runs), runs, strict=True))


def modalities_of(methods: Iterable[Method]) -> set[str]:
    """Return the codes of all modalities that any method was scored on."""
    return {code_of(one.case.modality) for method in methods for one in method.scored}


def within(method: Method, code: str) -> list[Scored]:
    """Return a method's scored cases of one modality."""
    return [one for one in method.scored if code_of(one.case.modality) == code]


def protocol_of(run: Run) -> dict[str, Any]:
    """Return name, version and hash of the protocol a run was made under."""
    return {key: run.manifest["protocol"][key] for key in ("name", "version", "hash")}


def _method(name: str, run: Run, policy: Policy) -> Method:
    summaries = ((case, case.summary(policy, run.settings.n_clicks)) for case in run.case_results)
    return Method(name, run, policy, tuple(Scored(c, s) for c, s in summaries if s is not None))


def _require_manifest(run: Run) -> None:
    try:
        _ = run.method, run.adapter, run.settings, protocol_of(run)
    except (KeyError, TypeError) as error:
        raise RunError(f"{run.folder}/run.json: not a manifest that can be read: {error}") from None


def _require_same_protocol(one: Run, other: Run) -> None:
    if protocol_of(one)["hash"] == protocol_of(other)["hash"]:
        return
    ours, theirs = asdict(one.settings), asdict(other.settings)
    found = [f"{key} {ours[key]} and {theirs[key]}" for key in ours if ours[key] != theirs[key]]
    found.append(f"hash {protocol_of(one)['hash']} and {protocol_of(other)['hash']}")
    raise RunError(
        f"{one.folder} and {other.folder}: one table needs one protocol, "
        f"these differ in {', '.join(found)}"
    )


def _names(runs: Sequence[Run]) -> list[str]:
    for spelling in (_plain_name, _name_and_folder, _name_and_path):
        names = _respelled([_plain_name(run) for run in runs], runs, spelling)
        if len(set(names)) == len(names):
            break
    return names


def _respelled(names: list[str], runs: Sequence[Run], spelling: Callable[[Run], str]) -> list[str]:
    times = Counter(names)
    return [
        spelling(run) if times[name] > 1 else name for name, run in zip(names, runs, strict=True)
    ]


def _plain_name(run: Run) -> str:
    return run.method


def _name_and_folder(run: Run) -> str:
    return f"{run.method} ({run.folder.resolve().name})"


def _name_and_path(run: Run) -> str:
    return f"{run.method} ({run.folder})"
