"""What must be said below the numbers: how many cases, which are missing, what a failure costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from segbench.core import Policy
from segbench.report.methods import CaseKey, Method

LISTED = 10  # names in a note before "+k more"


def standing_notes(methods: Sequence[Method]) -> tuple[str, ...]:
    """Return the notes every table of scores carries."""
    return (
        *coverage(methods),
        policy_note(methods[0].policy),
        *_over_time(methods),
        *differences(methods),
        *(
            f"{method.name} sees the reference: shown as a ceiling, never ranked."
            for method in methods
            if not method.ranked
        ),
    )


def coverage(methods: Sequence[Method]) -> list[str]:
    """Say how many cases each method did; one sentence where all did the same."""
    said = {method.name: _coverage_of(method) for method in methods}
    if len(methods) > 1 and len(set(said.values())) == 1:
        return [f"Every method: {said[methods[0].name]}."]
    return [f"{name}: {sentence}." for name, sentence in said.items()]


def _coverage_of(method: Method) -> str:
    done = len(method.run.case_results)
    of = "" if method.planned is None else f" of {method.planned}"
    unfinished = method.planned is not None and done < method.planned
    silent = done - len(method.scored) - method.count("invalid")
    return (
        f"{done}{of} cases done{' (unfinished)' if unfinished else ''}, "
        f"{len(method.scored)} scored, {method.count('failed')} failed, "
        f"{method.count('invalid')} invalid"
        + (f", {silent} left out because no step was answered" if silent else "")
    )


def policy_note(policy: Policy) -> str:
    """Say what becomes of failed steps, invalid cases and slow cases."""
    failed = {
        "zero": "a failed step scores 0",
        "carry_forward": "a failed step has the score of the last prediction",
    }[policy.failures]
    limit = policy.time_limit
    slow = (
        "no time limit is applied"
        if limit is None
        else f"a case above {limit:g} s per label in total scores 0 throughout"
    )
    return (
        f"Policy {policy.failures}: {failed}; {slow}. Failed cases have a failed step; invalid "
        "ones were refused before any model ran and are left out."
    )


def _over_time(methods: Sequence[Method]) -> list[str]:
    counts = [f"{method.name} {method.over_time}" for method in methods if method.over_time]
    return (
        [
            f"Cases above {methods[0].limit:g} s per label: {', '.join(counts)}; the table "
            "time-limit has the scores without and with the limit."
        ]
        if counts
        else []
    )


def differences(methods: Sequence[Method]) -> list[str]:
    """Name the cases that some method was scored on and another was not."""
    keys = {method.name: {scored.key for scored in method.scored} for method in methods}
    everything = set().union(*keys.values())
    names = {name: {key[0] for key in found} for name, found in keys.items()}
    said = [
        f"Not the same cases: {name} lacks {listed(missing)}, scored for another method."
        for name, found in names.items()
        if (missing := {key[0] for key in everything} - found)
    ]
    changed = _changed(everything)
    if changed:
        said.append(f"Not the same files: {listed(changed)} changed between runs.")
    return said


def _changed(keys: Iterable[CaseKey]) -> set[str]:
    names = [key[0] for key in keys]
    return {name for name in names if names.count(name) > 1}


def listed(names: Iterable[str]) -> str:
    """Count names and list the first of them."""
    ordered = sorted(names)
    more = f", +{len(ordered) - LISTED} more" if len(ordered) > LISTED else ""
    noun = "case" if len(ordered) == 1 else "cases"
    return f"{len(ordered)} {noun} ({', '.join(ordered[:LISTED])}{more})"
