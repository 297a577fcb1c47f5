"""Whether the order of the methods holds under other choices than those of the report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from segbench.messages import counted
from segbench.report.choices import DEFAULT, Choice, choices
from segbench.report.frames import Results
from segbench.report.method_order import MethodOrder, kendall_tau, order_methods, same_order
from segbench.report.resampling import Resampling

COLUMNS = {
    "choice": "str",
    **dict.fromkeys(("n_cases", "n_patients"), "int64"),
    **dict.fromkeys(("leader", "order"), "str"),
    **dict.fromkeys(("tau", "difference", "low", "high"), "float64"),
    **{"told_apart": "boolean", "metric": "str", "sentence": "str"},
}


def sensitivity(results: Results, resampling: Resampling = Resampling()) -> pd.DataFrame:
    """Return the order of the ranked methods under each choice, compared with the report's.

    Methods are ordered by the challenge's rule (``rank_methods``), over the cases that the report
    compares, as far as a choice has them.

    Returns
    -------
    DataFrame, one row per choice and the report's own choices first, with the columns
        choice : such as Default, Tolerance 1 mm, or Without DATASET
        n_cases, n_patients
        leader : the method of the best mean rank; several, joined by "and", if they share it
        order : all methods, best first, such as ``a > b = c``
        tau : Kendall's tau-b to the first row, over the methods of both rows
        difference, low, high : mean rank of the second method less that of the first, and its
            bootstrap interval
        told_apart : whether that interval excludes 0; missing with too few patients to say
        metric : what `segbench rescore` has to compute before the row is known; else missing
        sentence : what the row says
        No rows without two ranked methods that have a case in common.
    """
    others = choices(results)
    default = next(others)
    standard = order_methods(_cases(default), resampling=resampling)
    if standard is None:
        return pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS)
    rows = [_row(default, standard, standard), *_rows(others, standard, resampling)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _rows(
    others: Iterator[Choice], standard: MethodOrder, resampling: Resampling
) -> Iterator[dict[str, Any]]:
    for choice in others:
        order = None
        if choice.no_change:
            order = standard
        elif not choice.unknown:
            order = order_methods(_cases(choice), resampling=resampling)
        yield _row(choice, order, standard)


def _cases(choice: Choice) -> pd.DataFrame:
    assert choice.cases is not None  # mypy: a choice that is known has cases
    return choice.cases


def _row(choice: Choice, order: MethodOrder | None, standard: MethodOrder) -> dict[str, Any]:
    row: dict[str, Any] = {"choice": choice.name, "metric": choice.metric or None}
    if order is None:
        unknown = choice.unknown or "fewer than two methods have such a case in common"
        return row | {"n_cases": 0, "n_patients": 0, "sentence": f"{choice.phrase}: {unknown}."}
    return row | {
        "n_cases": order.n_cases,
        "n_patients": order.n_patients,
        "leader": " and ".join(order.leaders),
        "order": order.text,
        "tau": kendall_tau(standard, order),
        "difference": order.difference,
        "low": order.low,
        "high": order.high,
        "told_apart": order.told_apart,
        "sentence": _sentence(choice, order, standard),
    }


def _sentence(choice: Choice, order: MethodOrder, standard: MethodOrder) -> str:
    if choice.no_change:
        return f"{choice.no_change}: nothing changes."
    absent = [name for name in standard.ranks if name not in order.ranks]
    lacking = f", which {' and '.join(absent)} {'lack' if len(absent) > 1 else 'lacks'}"
    over = _over(order, standard) + (lacking if absent else "")
    what = _finding(order, standard) if choice.name != DEFAULT else _leading(order)
    return f"{choice.phrase}{over}, {what}; {_certainty(order)}."


def _over(order: MethodOrder, standard: MethodOrder) -> str:
    same = order.n_cases == standard.n_cases
    return "" if same else f" ({order.n_cases} of {counted(standard.n_cases, 'case')})"


def _leading(order: MethodOrder) -> str:
    leaders = order.leaders
    return f"{' and '.join(leaders)} {'lead' if len(leaders) > 1 else 'leads'}"


def _finding(order: MethodOrder, standard: MethodOrder) -> str:
    if same_order(order, standard):
        others = " of the others" if len(order.ranks) < len(standard.ranks) else ""
        return f"the order{others} is the same"
    if order.leaders == standard.leaders:
        verb = "still lead" if len(order.leaders) > 1 else "still leads"
        return f"{' and '.join(order.leaders)} {verb}, and the order below changes"
    return f"{_leading(order)} instead of {' and '.join(standard.leaders)}"


def _certainty(order: MethodOrder) -> str:
    if order.told_apart is None:
        are = "is" if order.n_patients == 1 else "are"
        return f"{counted(order.n_patients, 'patient')} {are} too few to tell the first two apart"
    first, second = list(order.ranks)[:2]
    return f"{first} {'can' if order.told_apart else 'cannot'} be told from {second}"
