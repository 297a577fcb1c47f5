"""How models use clicks: clicks to reach a score, gains, harm, obedience, time, and blind NSD.

Every function takes results and returns a frame over the common cases, in the groups of
``case_groups``. A case counts once: its number is the mean over its labels or clicks, and a row is
the mean over cases, with the bootstrap interval over patients. Scores are those of the policy:
with the policy zero a failed step scores 0, and its clicks count as clicks that made a label worse.

References
----------
Sofiiuk et al., "Reviving iterative training with mask guidance for interactive segmentation",
arXiv 2102.06583 (RITM): NoC, the number of clicks; an object that never reaches the score counts
with the largest number of clicks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from segbench.report.case_groups import CASE, ENDS, GROUPS, group_means, in_order, splits
from segbench.report.comparison import case_scores_by_step, common_cases
from segbench.report.derived_values import LABEL_STEP, OBEYED, nsd_name, values_of
from segbench.report.frames import Results
from segbench.report.modalities import TABLE_3_STYLE
from segbench.report.published import OVERALL
from segbench.report.resampling import Resampling

REACHED_DSC = (0.8, 0.85, 0.9)
MUCH_WORSE = 0.01  # in DSC
PERCENTILES = {"p50": 0.5, "p95": 0.95}
WRONG_MASKS = {"eroded": "nsd-eroded", "box": "nsd-box"}
NEAR_1 = 0.95  # an NSD from which on a wrong mask counts as right
_EQUAL = 1e-12  # differences of scores up to this are rounding, as in a ranking


def clicks_to_reach(
    results: Results,
    resampling: Resampling = Resampling(),
    *,
    thresholds: Sequence[float] = REACHED_DSC,
) -> pd.DataFrame:
    """Return NoC and the share of labels that reach a DSC, by threshold.

    The NoC of a label is the number of clicks after which its DSC is the threshold or more for the
    first time: 0 at the box, and the protocol's number of clicks (5) if it never is. A label that
    falls below the threshold again has reached it.

    Returns
    -------
    DataFrame with the columns modality, has_boxes, method, threshold, n, and with their intervals
        noc : mean number of clicks
        reached : share of the labels of a case that reach the threshold
    """
    common, n_clicks = common_cases(results), results.settings.n_clicks
    curves = common.steps.pivot(index=[*CASE, "label"], columns="step", values="dsc")
    clicks = curves.columns.to_numpy(dtype=np.float64)
    labels = pd.DataFrame(index=curves.index)
    for threshold in thresholds:
        there = curves.to_numpy() >= threshold  # NaN, no box, is not
        first = np.where(there, clicks, np.inf).min(axis=1, initial=np.inf)
        labels[f"noc_{threshold}"] = np.where(np.isinf(first), n_clicks, first).astype(np.float64)
        labels[f"reached_{threshold}"] = np.isfinite(first).astype(np.float64)
    cases = labels.groupby(CASE).mean().reset_index()
    means = group_means(common, cases, labels.columns.tolist(), resampling=resampling)
    return in_order(
        common, _long(means, ("noc", "reached"), "threshold", thresholds), ["threshold"]
    )


def gain_per_click(results: Results, resampling: Resampling = Resampling()) -> pd.DataFrame:
    """Return the mean change of DSC and NSD from the step before a click to the step after it.

    The first click has a step before it only in cases with boxes. A case counts in every step, also
    if none of its labels needed a click any more.

    Returns
    -------
    DataFrame with the columns modality, has_boxes, method, step, n, and with their intervals
        dsc, nsd : change of the mean over labels
    """
    common, names = common_cases(results), ("dsc", "nsd")
    clicks = range(1, results.settings.n_clicks + 1)
    scores = case_scores_by_step(common).pivot(index=CASE, columns="step", values=list(names))
    scores = scores.reindex(columns=pd.MultiIndex.from_product([names, (0, *clicks)]))
    gains = pd.DataFrame(
        {
            f"{name}_{click}": scores[name, click] - scores[name, click - 1]
            for name in names
            for click in clicks
        }
    )
    parts = []
    for some in (clicks[:1], clicks[1:]):  # not all cases have the first
        measures = [f"{name}_{step}" for name in names for step in some]
        cases = gains[measures].dropna().reset_index()
        means = group_means(common, cases, measures, resampling=resampling)
        parts.append(_long(means, names, "step", some))
    return in_order(common, pd.concat(parts, ignore_index=True), ["step"])


def click_effects(results: Results, resampling: Resampling = Resampling()) -> pd.DataFrame:
    """Return how often a click made its label worse, and how often it was obeyed.

    Only clicks with a DSC of their label before them can have made it worse: not the first ones
    of a case without boxes.

    Returns
    -------
    DataFrame with the columns modality, has_boxes, method, and with intervals of the shares
        n, n_clicks : cases, and their clicks with a DSC before them
        worse, much_worse : share of these clicks of a case after which the DSC of the label was
            lower, and lower by more than 0.01
        n_known, n_clicks_known : cases, and their clicks of which is known whether they were obeyed
        obeyed : share of these clicks of a case after which the clicked voxel was right; NaN where
            `segbench rescore` has not computed it
    """
    common, keys = common_cases(results), [*GROUPS, "method"]
    clicks, harm = _clicks(common), ["worse", "much_worse"]
    changed, known = (
        _by_case(clicks, harm, "n_clicks"),
        _by_case(clicks, [OBEYED], "n_clicks_known"),
    )
    worse = group_means(common, changed, harm, counts=["n_clicks"], resampling=resampling)
    obeyed = group_means(common, known, [OBEYED], counts=["n_clicks_known"], resampling=resampling)
    frame = worse.merge(obeyed.rename(columns={"n": "n_known"}), how="outer", on=keys)
    counts = ["n", "n_clicks", "n_known", "n_clicks_known"]
    return in_order(common, frame.assign(**frame[counts].fillna(0).astype("int64")))


def step_seconds(results: Results) -> pd.DataFrame:
    """Return percentiles over cases of the seconds of the model in each step.

    Failed steps count with the time that they took.

    Returns
    -------
    DataFrame with the columns modality, has_boxes, method, step, n
        p50, p95 : seconds, linearly interpolated between two cases
    """
    common = common_cases(results)
    steps = case_scores_by_step(common)
    parts = [_percentiles(steps, [*split, "method", "step"]) for split in splits(steps)]
    return in_order(common, pd.concat(parts, ignore_index=True), ["step"])


def tolerance_saturation(results: Results, *, threshold: float = NEAR_1) -> pd.DataFrame:
    """Return the NSD of two masks that are wrong: the eroded reference, and its filled box.

    Both depend on the reference alone, so there is no method. Where they are near 1, NSD says
    nothing: errors of one voxel, or of the whole shape, are within the tolerance.

    Returns
    -------
    DataFrame, one row per modality and one of all cases ("Overall"), with the columns
        modality, n
        eroded, box : mean NSD of the reference eroded by one voxel, and of its filled box
        eroded_near_1, box_near_1 : share of the labels of a case for which it is at least the
            threshold
        eroded_saturated, box_saturated : whether the mean is at least the threshold
        No rows where `segbench rescore` has not computed both.
    """
    cases = _wrong_masks(common_cases(results), threshold)
    codes = TABLE_3_STYLE.sort(cases["modality"])
    groups = {code: cases[cases["modality"] == code] for code in codes} | {OVERALL: cases}
    numbers = [f"{mask}{end}" for mask in WRONG_MASKS for end in ("", "_near_1")]
    rows = [(name, len(own), *own[numbers].mean()) for name, own in groups.items() if len(own)]
    frame = pd.DataFrame(rows, columns=["modality", "n", *numbers]).astype(
        {"modality": "str", "n": "int64", **dict.fromkeys(numbers, "float64")}
    )
    return frame.assign(**{f"{mask}_saturated": frame[mask] >= threshold for mask in WRONG_MASKS})


def saturation_metrics(results: Results) -> dict[str, str]:
    """Return the names of the metrics that `tolerance_saturation` needs, by mask."""
    tolerance = results.settings.nsd_tolerance_mm
    return {mask: nsd_name(tolerance, kind=kind) for mask, kind in WRONG_MASKS.items()}


def _long(
    means: pd.DataFrame, measures: Sequence[str], key: str, values: Sequence[float]
) -> pd.DataFrame:
    """Return one row for each value of a key that is in the names of columns, such as noc_0.8."""
    parts = []
    for value in values:
        titles = {f"{name}_{value}{end}": f"{name}{end}" for name in measures for end in ENDS}
        part = means[[*GROUPS, "method", "n", *titles]].rename(columns=titles)
        parts.append(part.assign(**{key: value}))
    return pd.concat(parts, ignore_index=True)


def _clicks(results: Results) -> pd.DataFrame:
    """Return every click: whether it made its label worse, and whether it was obeyed, if known."""
    clicks = results.prompts.loc[results.prompts["kind"] == "click", LABEL_STEP]
    scores = results.steps[[*LABEL_STEP, "dsc"]]
    before = scores.assign(step=scores["step"] + 1).rename(columns={"dsc": "before"})
    obeyed = values_of(results, OBEYED)[[*LABEL_STEP, OBEYED]]
    for frame in (scores, before, obeyed):
        clicks = clicks.merge(frame, how="left", on=LABEL_STEP)
    change = clicks["dsc"] - clicks["before"]
    harm = {"worse": change < -_EQUAL, "much_worse": change < -MUCH_WORSE - _EQUAL}
    known = change.notna()
    return clicks.assign(
        **{name: found.astype("float64").where(known) for name, found in harm.items()}
    )


def _by_case(clicks: pd.DataFrame, measures: list[str], count: str) -> pd.DataFrame:
    """Return the means over the clicks of a case of which the measures are known, and how many."""
    groups = clicks.dropna(subset=measures).groupby(CASE)
    return groups[measures].mean().assign(**{count: groups.size()}).reset_index()


def _percentiles(steps: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    groups = steps.groupby(by)["seconds"]
    columns = {name: groups.quantile(share) for name, share in PERCENTILES.items()}
    return pd.DataFrame({"n": groups.size(), **columns}).reset_index()


def _wrong_masks(results: Results, threshold: float) -> pd.DataFrame:
    """Return the NSD of the wrong masks by case: means over its labels, and shares near 1."""
    names = saturation_metrics(results)
    eroded, box = (values_of(results, name) for name in names.values())
    labels = eroded.merge(box[[*LABEL_STEP, names["box"]]], on=LABEL_STEP)
    for mask, name in names.items():
        labels[mask], labels[f"{mask}_near_1"] = labels[name], labels[name] >= threshold
    numbers = [f"{mask}{end}" for mask in WRONG_MASKS for end in ("", "_near_1")]
    cases = labels.groupby([*CASE, "modality"], sort=False)[numbers].mean().reset_index()
    return cases.drop_duplicates("case")  # the methods have the same references
