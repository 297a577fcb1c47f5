"""Sentences that the captions of several figures share."""

from __future__ import annotations

from segbench.report.comparison import common_cases
from segbench.report.frames import Results
from segbench.report.resampling import Resampling
from segbench.report.statistics import short_sample_note
from segbench.report.tables.notes import missing_case_notes, policy_note


def interval_note(resampling: Resampling, what: str) -> str:
    """Return what bands or bars are."""
    return (
        f"{what}: {percent(resampling)} interval of the mean, by bootstrap over patients. "
        "Intervals of two means do not say whether the means differ."
    )


def percent(resampling: Resampling) -> str:
    """Return the confidence as a percentage."""
    return f"{100 * resampling.confidence:g} %"


def sample_notes_of(results: Results, resampling: Resampling) -> tuple[str, ...]:
    """Return who the patients are, how failures count, and which cases a method lacks."""
    return (
        short_sample_note(common_cases(results).cases, resampling),
        policy_note(results.policy),
        *missing_case_notes(results),
    )
