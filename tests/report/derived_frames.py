"""Frames like ``Results.derived``, from few numbers."""

from dataclasses import replace

import pandas as pd

from segbench.report.derived_rows import DERIVED


def with_derived(results, values):
    """Return results with a frame ``derived``.

    ``values`` is a dict of (method, case, label, step, metric) to a number.
    """
    cases = results.cases.set_index(["method", "case"])
    rows = [
        (*key, value, cases["modality"][key[:2]], cases["has_boxes"][key[:2]])
        for key, value in values.items()
    ]
    return replace(results, derived=pd.DataFrame(rows, columns=list(DERIVED)).astype(DERIVED))
