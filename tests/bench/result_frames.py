"""Results of many cases, made as frames: no run folder, no model."""

import numpy as np
import pandas as pd

from segbench.report.frames import CASES, PROMPTS, STEPS, Results
from segbench.report.method_facts import METHODS
from segbench.results import area_under_clicks

MODALITIES = ("CT", "MR", "Microscopy", "PET", "US")
N_DATASETS = 25


def made_results(n_methods, n_cases, *, without_box=0.2):
    """Return results: one to eight labels a case, two cases a patient, scores that rise."""
    methods = [f"m{number}" for number in range(n_methods)]
    made = [_case(*pair, without_box) for pair in np.ndindex(n_methods, n_cases)]
    facts = pd.DataFrame({name: [None] * n_methods for name in METHODS})
    counts = dict.fromkeys(("n_cases", "n_done", "n_ok", "n_scored"), n_cases)
    counts |= dict.fromkeys(("n_failed", "n_invalid", "n_over_time", "failed_steps"), 0)
    return Results(
        cases=_frame([row for row, _ in made], CASES),
        steps=_frame([row for _, rows in made for row in rows], STEPS),
        prompts=_frame([], PROMPTS),
        methods=facts.assign(method=methods, ranked=True, **counts),
    )


def _frame(rows, dtypes):
    return pd.DataFrame(rows, columns=list(dtypes)).astype(dtypes)


def _case(method, number, without_box):
    of_case, own = np.random.default_rng(number), np.random.default_rng([method, number])
    modality = MODALITIES[number % len(MODALITIES)]
    name, n_labels = f"{modality}_{number:04}", 1 + number % 8
    boxes = bool(of_case.random() >= without_box)
    easy = of_case.normal(0.6, 0.12) + 0.015 * method
    rising = easy + (0.03 + 0.01 * (method % 3)) * np.arange(6)[:, None]
    dsc = np.clip(rising + own.normal(0, 0.05, (6, n_labels)), 0, 1)
    nsd = np.clip(dsc + own.normal(0.02, 0.1, (6, n_labels)), 0, 1)
    seconds = float(10 ** (method / 2 - 2) * (1 + own.random()))
    first = (f"m{method}", name)
    means = [scores.mean(axis=1).tolist() for scores in (dsc, nsd)]
    row = (
        *(*first, modality, f"D{number % N_DATASETS}", f"p{number // 10}_{number % 5}"),
        *(boxes, n_labels, "ok", True),
        *(area_under_clicks(mean[1:]) for mean in means),
        *(mean[-1] for mean in means),
        *(6 * seconds, False, True, f"{number:064x}", None, None),
    )
    steps = [
        (
            *first,
            label + 1,
            step,
            dsc[step, label],
            nsd[step, label],
            seconds,
            None,
            modality,
            boxes,
        )
        for step in range(0 if boxes else 1, 6)
        for label in range(n_labels)
    ]
    return row, steps
