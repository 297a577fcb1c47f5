"""Frames like ``Results.cases``, from few numbers."""

import numpy as np
import pandas as pd

from segbench.report.frames import CASES, MEASURES


def cases_frame(scores, *, modality="CT", patients=None, unranked=(), dataset=""):
    """Return a frame ``cases``.

    ``scores`` is a dict of methods, each a list over cases of one number (for all measures), four
    numbers, or None for a case that the method does not have. ``modality`` and ``patients`` may be
    lists over cases.
    """
    rows = [
        _row(method, number, score, modality, patients, dataset)
        | {"ranked": method not in unranked}
        for method, per_case in scores.items()
        for number, score in enumerate(per_case)
        if score is not None
    ]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(CASES)).astype(CASES)


def _row(method, number, score, modality, patients, dataset):
    code = modality if isinstance(modality, str) else modality[number]
    scored = not np.isnan(score).any()
    return {
        "method": method,
        "case": f"{code}_{number:03}",
        "modality": code,
        "dataset": dataset,
        "patient": patients[number] if patients is not None else "",
        "has_boxes": number % 2 == 0,
        "scored": scored,
        "file_sha256": f"{number:x}",
        "reference_sha256": None,
        **dict(zip(MEASURES, np.broadcast_to(score, 4).tolist(), strict=True)),
    }


def random_scores(rng, *, n_cases, n_methods, step=0.0):
    """Return scores in 0 to 1; method m2 is better than m1 by ``step``, and so on."""
    easy = rng.normal(0.6, 0.1, (n_cases, 1))
    return {
        f"m{i}": (easy + rng.normal(i * step, 0.05, (n_cases, 4))).tolist()
        for i in range(n_methods)
    }
