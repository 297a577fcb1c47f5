"""Which cases and labels are shown: the best and the worst of each method and modality."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import pandas as pd

from segbench.report.comparison import common_cases
from segbench.report.frames import Results
from segbench.report.modalities import TABLE_3_STYLE

BEST, WORST, ONLY = "best", "worst", "best and worst"
CHOICE_COLUMNS = (
    *("method", "modality", "role", "case", "n_cases", "dsc_final", "nsd_final"),
    *("label", "n_labels", "label_dsc", "label_nsd"),
)


def best_and_worst(results: Results) -> pd.DataFrame:
    """Return the best and the worst case of each method and modality by final DSC.

    Returns
    -------
    DataFrame, over the common cases, with the columns
        method, modality
        role : best, worst, or "best and worst" if all cases have the same DSC
        case : of equal ones the first by name
        n_cases : from which it was chosen
        dsc_final, nsd_final : of the case
        label : that with the best DSC in the best case, with the worst in any other
        n_labels : of the case
        label_dsc, label_nsd : of the label after the last click
    """
    common = common_cases(results)
    steps = common.steps[common.steps["step"] == results.settings.n_clicks]
    rows_of = steps.groupby(["method", "case"]).indices
    rows = []
    for (method, code), cases in _in_order(common.cases, results):
        for role, case in _ends(cases.sort_values("case")):
            own = steps.iloc[rows_of[method, case["case"]]].sort_values("label")
            at = own["dsc"].idxmax() if role == BEST else own["dsc"].idxmin()
            chosen = own.loc[[at], ["label", "dsc", "nsd"]].itertuples(index=False, name=None)
            (label, dsc, nsd), scores = next(chosen), (case["dsc_final"], case["nsd_final"])
            whole = (method, code, role, case["case"], len(cases), *scores)
            rows.append((*whole, label, len(own), dsc, nsd))
    return pd.DataFrame(rows, columns=list(CHOICE_COLUMNS))


def _in_order(
    cases: pd.DataFrame, results: Results
) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    for method in results.methods["method"]:
        own = cases[cases["method"] == method]
        for code in TABLE_3_STYLE.sort(own["modality"]):
            yield (method, code), own[own["modality"] == code]


def _ends(cases: pd.DataFrame) -> Iterator[tuple[str, dict[Hashable, Any]]]:
    scores, facts = cases["dsc_final"].to_numpy(), cases.to_dict("records")
    if scores.min() == scores.max():
        yield ONLY, facts[0]
        return
    yield BEST, facts[scores.argmax()]
    yield WORST, facts[scores.argmin()]
