"""The notes below a table of scores: number of cases, missing cases, and the failure policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from segbench.messages import counted
from segbench.overview import is_gated, scale_text
from segbench.report.comparison import case_keys, common_cases
from segbench.report.frames import Results
from segbench.results import Policy

MAX_CASE_NAMES = 10  # names in a note before "+k more"


def common_notes(results: Results) -> tuple[str, ...]:
    """Return the notes of every table of scores."""
    return (
        *coverage_notes(results),
        policy_note(results.policy),
        *_over_time_notes(results),
        *case_difference_notes(results),
        *(
            f"{name} sees the reference: shown as an upper bound, never ranked."
            for name in results.methods.loc[~results.methods["ranked"], "method"]
        ),
    )


def score_note(results: Results) -> str:
    """Return the maximum of AUC and, if it has set an NSD to 0, the gate."""
    settings = results.settings
    steps = results.steps[results.steps["dsc"].notna()]
    means = steps.groupby(["method", "case", "step"])[["dsc", "nsd"]].mean()
    gated = any(is_gated(dsc, nsd, settings) for dsc, nsd in means.to_numpy())
    return f"{scale_text(settings, gated=gated)}."


def coverage_notes(results: Results) -> list[str]:
    """Return how many cases each method has done; one note if it is the same for all."""
    coverage = {row["method"]: _coverage(row) for row in results.methods.to_dict("records")}
    texts = list(coverage.values())
    if len(texts) > 1 and len(set(texts)) == 1:
        return [f"Every method: {texts[0]}."]
    return [f"{name}: {text}." for name, text in coverage.items()]


def _coverage(method: Mapping[Any, Any]) -> str:
    n_done, n_cases = method["n_done"], method["n_cases"]
    n_left_out = n_done - method["n_scored"] - method["n_invalid"]
    unfinished = " (unfinished)" if n_done < n_cases else ""
    return (
        f"{n_done} of {counted(n_cases, 'case')} done{unfinished}, "
        f"{method['n_scored']} scored, {method['n_failed']} failed, {method['n_invalid']} invalid"
        + (f", {n_left_out} left out because no step has a prediction" if n_left_out else "")
    )


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
    name = policy.failures.replace("_", "-")
    return (
        f"Policy {name}: {failed}; {slow}. A failed case has a failed step. An invalid case was "
        "refused before the model ran and is left out."
    )


def _over_time_notes(results: Results) -> list[str]:
    slow = results.methods[results.methods["n_over_time"] > 0]
    if slow.empty:
        return []
    counts = ", ".join(slow["method"] + " " + slow["n_over_time"].astype("str"))
    return [
        f"Cases above {slow['seconds_per_label'].iloc[0]:g} s per label: {counts}; the table "
        "time-limit has the scores without and with the limit."
    ]


def case_difference_notes(results: Results) -> list[str]:
    """Say which cases differ, and which of them are compared in the tables of a report."""
    scored = results.cases[results.cases["scored"]]
    return [*missing_case_notes(results), *_compared_notes(results, scored)]


def missing_case_notes(results: Results) -> list[str]:
    """Name the cases that are scored for one method and missing or different for another."""
    scored = results.cases[results.cases["scored"]]
    all_names = set(scored["case"])
    missing = {
        method: all_names - set(scored.loc[scored["method"] == method, "case"])
        for method in results.methods["method"]
    }
    notes = [
        f"Not the same cases: {method} lacks {format_case_names(names)}, scored for another method."
        for method, names in missing.items()
        if names
    ]
    changed = _changed_cases(scored)
    if changed:
        notes.append(f"Not the same files: {format_case_names(changed)} changed between runs.")
    return notes


def _changed_cases(scored: pd.DataFrame) -> set[str]:
    counts = Counter(name for name, *_ in set(case_keys(scored)))
    return {name for name, n_versions in counts.items() if n_versions > 1}


def _compared_notes(results: Results, scored: pd.DataFrame) -> list[str]:
    common = common_cases(results).cases
    beyond = Counter(scored["method"]) - Counter(common["method"])
    if not beyond:
        return []
    counts = ", ".join(f"{method} {n}" for method, n in beyond.items())
    n_common = common["case"].nunique()
    compared = f"the {counted(n_common, 'common case')} only"
    compared = compared if n_common else "no case: none is common"
    return [
        f"Compared over {compared}. Scored cases beyond: {counts}; the table own-cases has the "
        "means over all cases of each method."
    ]


def format_case_names(names: Iterable[str]) -> str:
    """Return the number of cases and the first of their names."""
    ordered = sorted(names)
    n_more = len(ordered) - MAX_CASE_NAMES
    more = f", +{n_more} more" if n_more > 0 else ""
    return f"{counted(len(ordered), 'case')} ({', '.join(ordered[:MAX_CASE_NAMES])}{more})"
