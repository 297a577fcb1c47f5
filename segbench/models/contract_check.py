"""Try an adapter on two small cases and say in words where it breaks the contract.

Each rule that can be seen by running the adapter has a name; a `Finding` is one line about it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from segbench.activity import Activity, silent
from segbench.core import AdapterInfo, Case, LabelMap, StepOutput
from segbench.errors import AdapterError
from segbench.models.check_findings import Finding, foreign_labels, label_map_of, labels_in, listed
from segbench.models.check_order import check_repeated, check_without_boxes
from segbench.models.check_questions import CheckedModel, Questions
from segbench.protocol.interaction import validated_output


def check_contract(
    open_model: Callable[[], CheckedModel], cases: tuple[Case, Case], activity: Activity = silent
) -> Iterator[Finding]:
    """Yield what is found about an adapter, rule by rule; stop where the rest has no meaning.

    Parameters
    ----------
    open_model : callable
        Loads the adapter; an AdapterError is a finding.
    cases : two of Case
        As those of `segbench.models.check_cases`.
    activity : Activity
        Says what the adapter is asked.
    """
    start = time.monotonic()
    try:
        with activity("loading the adapter"):
            model = open_model()
    except AdapterError as error:
        yield Finding("failed", "loads", str(error))
        return
    try:
        yield Finding("ok", "loads", f"in {time.monotonic() - start:.1f} s")
        yield from check_info(model.info)
        yield from _check_answers(Questions(model, *cases), activity)
    finally:
        model.close()


def check_info(info: AdapterInfo) -> Iterator[Finding]:
    """Yield what is missing in an adapter's description."""
    unknown = sorted(set(info.prompts) - {"box", "click"})
    if unknown or not info.name:
        found = f"prompts {', '.join(unknown)}" if unknown else "no name"
        expected = "expected a name, and prompts of the kinds box and click"
        yield Finding("failed", "info", f"{expected}, found {found}")
    else:
        text = f"{info.name}, version {info.version}, prompts: {', '.join(info.prompts) or 'none'}"
        yield Finding("ok", "info", text)
    if info.licence == AdapterInfo("x").licence:
        advice = "state it with AdapterInfo(licence=...): reports and exports show it"
        yield Finding("warning", "licence", f"expected one, found none; {advice}")


def _check_answers(questions: Questions, activity: Activity) -> Iterator[Finding]:
    case, shape = questions.first, questions.first.image.voxels.shape
    with activity("asking four steps in order"):
        asked, outputs = zip(*questions.in_order(), strict=True)
    answers = [validated_output(output, shape) for output in outputs]
    if answers[-1].failure is not None:
        text = f"step {len(outputs) - 1}: {answers[-1].failure}"
        yield Finding("failed", _broken_rule(outputs[-1], shape), text)
        return
    maps = [label_map_of(answer) for answer in answers]
    yield Finding("ok", "steps", f"{len(maps)} label maps of integers, shape {shape}")
    has_clicks = bool(asked[-1].clicks)
    yield from _check_labels(maps, case, questions.model.info, has_clicks=has_clicks)
    repeated = list(check_repeated(questions, asked, answers, activity))
    yield from repeated
    yield from check_without_boxes(questions, {each.rule for each in repeated if each.is_failure})
    yield _cost(answers)


def _check_labels(
    maps: Sequence[LabelMap], case: Case, info: AdapterInfo, *, has_clicks: bool
) -> Iterator[Finding]:
    """Yield what is wrong with the labels of the steps of a case."""
    labels = labels_in(maps)
    foreign = foreign_labels(maps, case)
    if foreign:
        yield Finding("failed", "labels", foreign)
    else:
        text = f"found {listed(labels)}; the case has {listed(case.labels)}"
        yield Finding("ok", "labels", text)
    if not any(labels):
        text = f"only background in {len(maps)} steps with boxes and clicks on two objects"
        yield Finding("warning", "background", text)
    elif (
        has_clicks
        and "click" in info.prompts
        and all(np.array_equal(maps[0], each) for each in maps)
    ):
        advice = 'if it uses none, say so with AdapterInfo(prompts=("box",))'
        text = f"no click on an error changed the label map; {advice}"
        yield Finding("warning", "clicks", text)


def _cost(answers: Sequence[StepOutput]) -> Finding:
    first, *others = (answer.seconds for answer in answers)
    peaks = [answer.peak_mb for answer in answers if answer.peak_mb is not None]
    memory = f"; peak memory {max(peaks):.0f} MB" if peaks else ""
    text = f"first step with set_image {first:.2f} s, later steps up to {max(others):.2f} s{memory}"
    return Finding("ok", "cost", text)


def _broken_rule(output: StepOutput, shape: tuple[int, ...]) -> str:
    """Return the name of the rule that an output breaks."""
    if output.segmentation is None:
        return "set_image" if str(output.failure).startswith("setting the image") else "predict"
    if output.segmentation.shape != shape:
        return "shape"
    return "dtype" if output.segmentation.dtype.kind not in "ui" else "range"
