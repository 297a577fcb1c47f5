"""The notes below a table of scores: number of cases, missing cases, and the failure policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from segbench.report.methods import CaseKey, Method
from segbench.results import Policy

MAX_CASE_NAMES = 10  # names in a note before "+k more"


def common_notes(methods: Sequence[Method]) -> tuple[str, ...]:
    """Return the notes of every table of scores."""
    return (
        *coverage_notes(methods),
        policy_note(methods[0].policy),
        *_over_time_notes(methods),
        *case_difference_notes(methods),
        *(
            f"{method.name} sees the reference: shown as an upper bound, never ranked."
            for method in methods
            if not method.ranked
        ),
    )


def coverage_notes(methods: Sequence[Method]) -> list[str]:
    """Return how many cases each method has done; one note if it is the same for all."""
    coverage = {method.name: _coverage(method) for method in methods}
    if len(methods) > 1 and len(set(coverage.values())) == 1:
        return [f"Every method: {coverage[methods[0].name]}."]
    return [f"{name}: {counts}." for name, counts in coverage.items()]


def _coverage(method: Method) -> str:
    n_done, n_scored = len(method.case_results), len(method.scored_cases)
    n_failed, n_invalid = method.count("failed"), method.count("invalid")
    n_cases = method.run.manifest.data.cases
    n_left_out = n_done - n_scored - n_invalid
    return (
        f"{n_done} of {n_cases} cases done{' (unfinished)' if n_done < n_cases else ''}, "
        f"{n_scored} scored, {n_failed} failed, {n_invalid} invalid"
        + (f", {n_left_out} left out because no step has a prediction" if n_left_out else "")
    )


def policy_name(policy: Policy) -> str:
    """Return the failure policy as the command line spells it."""
    return policy.failures.replace("_", "-")


def policy_note(policy: Policy) -> str:
    """Return how failed steps, invalid cases and slow cases are scored."""
    failed = {
        "zero": "a failed step scores 0",
        "carry_forward": "a failed step has the score of the last prediction",
    }[policy.failures]
    limit = policy.time_limit
    slow = (
        "no time limit is applied"
        if limit is None
        else f"a case above {limit:g} s per label in total scores 0 at every step"
    )
    return (
        f"Policy {policy_name(policy)}: {failed}; {slow}. A failed case has a failed step. An "
        "invalid case was refused before the model ran and is left out."
    )


def _over_time_notes(methods: Sequence[Method]) -> list[str]:
    counts = [f"{method.name} {method.n_over_time}" for method in methods if method.n_over_time]
    if not counts:
        return []
    return [
        f"Cases above {methods[0].time_limit:g} s per label: {', '.join(counts)}; the table "
        "time-limit has the scores without and with the limit."
    ]


def case_difference_notes(methods: Sequence[Method]) -> list[str]:
    """Name the cases that are scored for one method and missing or different for another."""
    keys = {method.name: {case.key for case in method.scored_cases} for method in methods}
    all_keys = set().union(*keys.values())
    all_names = {name for name, *_ in all_keys}
    notes = [
        f"Not the same cases: {method} lacks {format_case_names(missing)}, scored for another "
        "method."
        for method, own_keys in keys.items()
        if (missing := all_names - {name for name, *_ in own_keys})
    ]
    changed = _changed_cases(all_keys)
    if changed:
        notes.append(f"Not the same files: {format_case_names(changed)} changed between runs.")
    return notes


def _changed_cases(keys: Iterable[CaseKey]) -> set[str]:
    names = [name for name, *_ in keys]
    return {name for name in names if names.count(name) > 1}


def format_case_names(names: Iterable[str]) -> str:
    """Return the number of cases and the first of their names."""
    ordered = sorted(names)
    n_more = len(ordered) - MAX_CASE_NAMES
    more = f", +{n_more} more" if n_more > 0 else ""
    noun = "case" if len(ordered) == 1 else "cases"
    return f"{len(ordered)} {noun} ({', '.join(ordered[:MAX_CASE_NAMES])}{more})"
