"""Results of cases whose means can be computed by hand."""

from segbench.core import StepScore
from segbench.results import CaseResult, StepResult

FLAT = (0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
RISING = (0.2, 0.4, 0.5, 0.6, 0.7, 0.8)  # AUC over the clicks: 0.45 + 0.55 + 0.65 + 0.75 = 2.4


def case(name, dsc=FLAT, *, boxes=True, failed=(), seconds=1.0, nsd=None, **facts):
    """One label; a dsc per step; nsd is half of it unless given; ``failed`` steps have no score."""
    steps = []
    for step in range(0 if boxes else 1, 6):
        value = dsc[step] / 2 if nsd is None else nsd
        score = StepScore(step, 1, dsc[step], value)
        steps.append(
            StepResult(step, (), "it_crashed & burned")
            if step in failed
            else StepResult(step, (score,), prediction_sha256="ab" * 32)
        )
    return CaseResult(
        name,
        "failed" if failed else "ok",
        reason="it_crashed & burned" if failed else None,
        modality=name.split("_")[0],
        labels=(1,),
        has_boxes=boxes,
        steps=tuple(steps),
        seconds={step.step: seconds for step in steps},
        **facts,
    )
