"""Other choices than those of a report, under which its methods could be ranked.

Each is made of the cases that the report compares: with other scores, or with some cases left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd

from segbench.report.case_scores import ranked_only
from segbench.report.comparison import case_scores_by_step, common_cases
from segbench.report.derived_values import (
    LABEL_STEP,
    methods_without,
    nsd_name,
    rescore_command,
    values_of,
)
from segbench.report.frames import MEASURES, Results
from segbench.results import Policy, area_under_clicks

TOLERANCES_MM = (1.0, 2.0, 3.0)
DEFAULT = "Default"
_CASE = ["method", "case"]


@dataclass(frozen=True)
class Choice:
    """A choice: the scores of its cases, or why they are not known."""

    name: str
    phrase: str
    """How a sentence on it starts."""
    cases: pd.DataFrame | None = None
    no_change: str = ""
    """Why nothing changes; empty if something may."""
    unknown: str = ""
    """Why there are no scores."""
    metric: str = ""
    """What `segbench rescore` has to compute first."""


def choices(results: Results) -> Iterator[Choice]:
    """Yield the choice of the report, then the others."""
    common = common_cases(results)
    yield Choice(DEFAULT, f"By default ({_default_text(results)})", common.cases)
    yield from _of_nsd(common)
    yield _without_failures(common)
    yield _time_limit(common)
    yield from _by_box(common.cases)
    yield from _without_datasets(common.cases)


def _default_text(results: Results) -> str:
    settings, policy = results.settings, results.policy
    failed = {"zero": "a failed step scores 0", "carry_forward": "a failed step keeps the score"}
    limit = policy.time_limit
    return (
        f"tolerance {settings.nsd_tolerance_mm:g} mm, gate {settings.nsd_gate:g}, "
        f"{failed[policy.failures]}, "
        + ("no time limit" if limit is None else f"time limit {limit:g} s per label")
    )


def _of_nsd(results: Results) -> Iterator[Choice]:
    own = results.settings.nsd_tolerance_mm
    for tolerance in TOLERANCES_MM:
        if tolerance != own:
            name = f"{tolerance:g} mm"
            phrase = f"With a tolerance of {name}"
            yield _with_nsd(results, f"Tolerance {name}", phrase, nsd_name(tolerance))
    ungated = nsd_name(own, kind="nsd-ungated")
    gate = f"the gate of {results.settings.nsd_gate:g}"
    yield _with_nsd(results, "No gate", f"Without {gate}", ungated)


def _with_nsd(results: Results, name: str, phrase: str, metric: str) -> Choice:
    lacking = methods_without(replace(results, cases=ranked_only(results.cases)), metric)
    if lacking:
        every = len(lacking) == results.cases.loc[results.cases["ranked"], "method"].nunique()
        who = "every method" if every else ", ".join(lacking)
        unknown = f"{metric} is missing for {who}; {rescore_command([metric])}"
        return Choice(name, phrase, unknown=f"{unknown} computes it", metric=metric)
    return Choice(name, phrase, cases_with_nsd(results, metric))


def cases_with_nsd(results: Results, metric: str) -> pd.DataFrame:
    """Return the frame ``cases`` with NSD replaced by another metric; NaN where it is not known."""
    values = values_of(results, metric)[[*LABEL_STEP, metric]]
    nsd = results.steps[LABEL_STEP].merge(values, how="left", on=LABEL_STEP)[metric]
    steps = case_scores_by_step(replace(results, steps=results.steps.assign(nsd=nsd.to_numpy())))
    curves = steps[steps["step"] > 0].pivot(index=_CASE, columns="step", values="nsd")
    new = {
        "nsd_auc": [area_under_clicks(curve) for curve in curves.to_numpy().tolist()],
        "nsd_final": curves[results.settings.n_clicks],
    }
    scores = pd.DataFrame(new, index=curves.index).reset_index()
    return results.cases.drop(columns=list(new)).merge(scores, how="left", on=_CASE)


def _without_failures(results: Results) -> Choice:
    cases = results.cases
    failed = set(cases.loc[(cases["status"] == "failed") & cases["ranked"], "case"])
    return Choice(
        "Failures left out",
        "Without the cases in which a step of any method failed",
        cases[~cases["case"].isin(failed)],
        no_change="" if failed else "No step has failed",
    )


def _time_limit(results: Results) -> Choice:
    if results.policy.time_limit is not None:
        return _no_time_limit(results)
    cases, limit = results.cases, f"{results.methods['seconds_per_label'].iloc[0]:g} s per label"
    limited = cases.assign(**{name: cases[name].mask(cases["over_time"], 0.0) for name in MEASURES})
    return Choice(
        "Time limit",
        f"With the time limit of {limit}",
        limited,
        no_change="" if cases["over_time"].any() else f"No case takes more than {limit}",
    )


def _no_time_limit(results: Results) -> Choice:
    choice = Choice("No time limit", "Without the time limit")
    if not results.runs:
        return replace(choice, unknown="the results have no run folders to read raw scores from")
    raw = common_cases(results.with_policy(Policy(results.policy.failures)))
    return replace(choice, cases=raw.cases)


def _by_box(cases: pd.DataFrame) -> Iterator[Choice]:
    has_boxes = cases["has_boxes"].astype(bool)
    given = Choice("Only with boxes", "On cases with boxes alone")
    withheld = Choice("Only without boxes", "On cases without boxes alone")
    if has_boxes.all():
        given = replace(given, no_change="Every case has boxes")
        withheld = replace(withheld, unknown="every case has boxes")
    elif not has_boxes.any():
        given = replace(given, unknown="no case has boxes")
        withheld = replace(withheld, no_change="No case has boxes")
    yield replace(given, cases=cases[has_boxes])
    yield replace(withheld, cases=cases[~has_boxes])


def _without_datasets(cases: pd.DataFrame) -> Iterator[Choice]:
    datasets = cases["dataset"].fillna("")
    names = sorted(set(datasets) - {""})
    if not names:
        yield Choice("Without a dataset", "Leaving out a dataset", unknown="no dataset is stated")
    for name in names:
        kept = cases[datasets != name]
        unknown = "" if len(kept) else "all cases are of this dataset"
        yield Choice(f"Without {name}", f"Without the dataset {name}", kept, unknown=unknown)
