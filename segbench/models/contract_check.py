"""Try an adapter on two small cases and say in words where it breaks the contract.

Each rule that can be seen by running the adapter has a name; a `Finding` is one line about it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segbench.activity import Activity, silent
from segbench.core import AdapterInfo, Case, Interactions, LabelMap, StepOutput
from segbench.errors import AdapterError
from segbench.models.check_cases import check_interactions
from segbench.models.check_questions import CheckedModel, Questions
from segbench.protocol.interaction import validated_output

KEEP_NOTHING = "keep nothing between calls of predict: docs/adapters.md"
ADVICE = {
    "asked twice": KEEP_NOTHING,
    "out of order": KEEP_NOTHING,
    "forgets the last image": "drop all of the last image in set_image: docs/adapters.md",
}
SEEDS = "fix the seeds, or say so with AdapterInfo(deterministic=False)"
Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """What was found about one rule, in one line."""

    status: Status
    rule: str
    text: str  # of a step that raised an exception with its traceback in further lines

    @property
    def line(self) -> str:
        """The finding as a terminal shows it."""
        return f"{self.status:8} {self.rule:23} " + self.text.replace("\n", "\n    ")


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
        outputs = list(questions.in_order())
    answers = [validated_output(output, shape) for output in outputs]
    if answers[-1].failure is not None:
        text = f"step {len(outputs) - 1}: {answers[-1].failure}"
        yield Finding("failed", _broken_rule(outputs[-1], shape), text)
        return
    maps = [_label_map(answer) for answer in answers]
    yield Finding("ok", "steps", f"{len(maps)} label maps of integers, shape {shape}")
    yield from _check_labels(maps, case, questions.model.info)
    # with the same earlier answers each question is the same wherever it is asked
    asked = [
        check_interactions(case, step, before) for step, before in enumerate([None, *maps[:-1]])
    ]
    yield from _check_repeated(questions, asked, answers, activity)
    yield _check_without_boxes(questions)
    yield _cost(answers)


def _check_labels(maps: Sequence[LabelMap], case: Case, info: AdapterInfo) -> Iterator[Finding]:
    """Yield what is wrong with the labels of the steps of a case."""
    labels = _labels(maps)
    foreign = _foreign_labels(maps, case)
    if foreign:
        yield Finding("failed", "labels", foreign)
    else:
        text = f"found {_listed(labels)}; the case has {_listed(case.labels)}"
        yield Finding("ok", "labels", text)
    if not any(labels):
        text = f"only background in {len(maps)} steps with boxes and clicks on two objects"
        yield Finding("warning", "background", text)
    elif "click" in info.prompts and all(np.array_equal(maps[0], each) for each in maps):
        advice = 'if it uses none, say so with AdapterInfo(prompts=("box",))'
        yield Finding("warning", "clicks", f"no click changed the label map; {advice}")


def _check_repeated(
    questions: Questions,
    asked: Sequence[Interactions],
    answers: Sequence[StepOutput],
    activity: Activity,
) -> Iterator[Finding]:
    """Ask again what was asked before: at once, out of order, and around another image."""
    with activity("asking again, out of order and after another image"):
        again = questions.repeated(asked)
    if again.second_alone.failure is not None:
        text = f"{_described(questions.second)}: {_first_line(again.second_alone.failure)}"
        yield Finding("failed", "second image", text)
        return
    foreign = _foreign_labels([_label_map(again.second_alone)], questions.second)
    if foreign:
        yield Finding("warning", "label numbers", foreign)
    last = len(answers) - 1
    rules = [
        ("asked twice", f"step {last}, asked again", again.twice, answers[-1]),
        ("out of order", f"step {last - 1} on a fresh image", again.out_of_order, answers[-2]),
        ("forgets the last image", "B after A, and alone", again.second_image, again.second_alone),
        ("forgets the last image", "A after B, and before", again.first_again, answers[1]),
    ]
    exact = questions.model.info.deterministic
    differences = {
        rule: f"{what}: {difference}; {ADVICE[rule]}"
        for rule, what, one, other in reversed(rules)
        if (difference := _difference(one, other, exact=exact))
    }
    if differences and exact:
        with activity("asking two fresh processes"):
            pair = [questions.fresh_process(asked[-2]) for _ in range(2)]
        if difference := _difference(*pair, exact=True):  # chance, and not a kept state
            yield Finding("failed", "deterministic", f"two fresh processes: {difference}; {SEEDS}")
            return
    equal = "the same answer" if exact else "valid; not compared: info says not deterministic"
    for rule in dict.fromkeys(rule for rule, *_ in rules):
        if rule in differences:
            yield Finding("failed", rule, differences[rule])
        else:
            yield Finding("ok", rule, equal)


def _check_without_boxes(questions: Questions) -> Finding:
    clicks_only = check_interactions(questions.first, 1, None, boxes=False)
    output = questions.first_image(clicks_only)
    if output.failure is None:
        return Finding("ok", "without boxes", "a case without boxes begins with clicks")
    advice = "interactions.boxes is empty in a case without boxes"
    text = f"step 1: {_first_line(output.failure)}; {advice}"
    return Finding("failed", "without boxes", text)


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


def _difference(one: StepOutput, other: StepOutput, *, exact: bool) -> str | None:
    """Return how two answers to one question differ; without ``exact`` both must only be valid."""
    for answer in (one, other):
        if answer.failure is not None:
            return _first_line(answer.failure)
    voxels = int((_label_map(one) != _label_map(other)).sum())
    return f"{voxels} of {_label_map(one).size} voxels differ" if exact and voxels else None


def _foreign_labels(maps: Sequence[LabelMap], case: Case) -> str | None:
    """Return in words which labels there are that a case does not have."""
    foreign = [label for label in _labels(maps) if label not in (0, *case.labels)]
    if not foreign:
        return None
    advice = "use the labels of boxes and clicks: other voxels count as wrong"
    return f"expected 0, {_listed(case.labels)}, found {_listed(foreign)}; {advice}"


def _labels(maps: Sequence[LabelMap]) -> list[int]:
    return sorted({int(label) for label_map in maps for label in np.unique(label_map)})


def _listed(labels: Sequence[int]) -> str:
    shown = ", ".join(map(str, labels[:10]))
    return shown if len(labels) <= 10 else f"{shown} and {len(labels) - 10} more"


def _label_map(answer: StepOutput) -> LabelMap:
    assert answer.segmentation is not None
    return answer.segmentation


def _described(case: Case) -> str:
    return f"an image of {case.image.voxels.dtype}, shape {case.image.voxels.shape}"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
