"""Whether an answer depends on what a model was asked before it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from segbench.activity import Activity
from segbench.core import Interactions, StepOutput
from segbench.models.check_findings import (
    Finding,
    described,
    difference_of,
    first_line,
    foreign_labels,
    label_map_of,
)
from segbench.models.check_questions import Questions, RepeatedAnswers

KEEP_NOTHING = "keep nothing between calls of predict: docs/adapters.md"
LAST_IMAGE = "forgets the last image"  # its questions are out of order, too
ADVICE = {  # in the order in which rules are named
    "out of order": KEEP_NOTHING,
    "asked twice": KEEP_NOTHING,
    LAST_IMAGE: "drop all of the last image in set_image: docs/adapters.md",
}
SEEDS = "fix the seeds, or say so with AdapterInfo(deterministic=False)"


def check_repeated(
    questions: Questions,
    asked: Sequence[Interactions],
    answers: Sequence[StepOutput],
    activity: Activity,
) -> Iterator[Finding]:
    """Ask again what was asked before: at once, out of order, and around another image."""
    with activity("asking again, out of order and after another image"):
        again = questions.repeated(asked)
    if again.second_in_order.failure is not None:
        text = f"{described(questions.second)}: {first_line(again.second_in_order.failure)}"
        yield Finding("failed", "second image", text)
        return
    foreign = foreign_labels([label_map_of(again.second_in_order)], questions.second)
    if foreign:
        yield Finding("warning", "label numbers", foreign)
    differences = _differences(again, answers, exact=questions.model.info.deterministic)
    chance = _chance(questions, asked[-2], activity) if differences else None
    if chance is not None:
        yield chance
    else:
        yield from _findings(differences, exact=questions.model.info.deterministic)


def _differences(
    again: RepeatedAnswers, answers: Sequence[StepOutput], *, exact: bool
) -> dict[str, str]:
    """Return for each broken rule how the first two answers differ that it makes equal."""
    last, alone = len(answers) - 1, again.second_alone
    pairs = [
        ("out of order", f"step {last - 1} on a fresh image", again.out_of_order, answers[-2]),
        ("out of order", "step 1 without step 0 before it", alone, again.second_in_order),
        ("asked twice", f"step {last}, asked again", again.twice, answers[-1]),
        (LAST_IMAGE, "B after A, and alone", again.second_image, alone),
        (LAST_IMAGE, "A after B, and before", again.first_again, answers[1]),
    ]
    return {
        rule: f"{what}: {difference}; {ADVICE[rule]}"
        for rule, what, one, other in reversed(pairs)
        if (difference := difference_of(one, other, exact=exact))
    }


def _chance(questions: Questions, asked: Interactions, activity: Activity) -> Finding | None:
    """Return that answers differ by chance, if they do, and not because something was kept."""
    if not questions.model.info.deterministic:
        return None
    with activity("asking two fresh processes"):
        one, other = (questions.fresh_process(asked) for _ in range(2))
    difference = difference_of(one, other, exact=True)
    if difference is None or (one.failure and other.failure):
        return None
    return Finding("failed", "deterministic", f"two fresh processes: {difference}; {SEEDS}")


def _findings(differences: Mapping[str, str], *, exact: bool) -> Iterator[Finding]:
    equal = "the same answer" if exact else "valid; not compared: info says not deterministic"
    for rule in ADVICE:
        if rule in differences and not (rule == LAST_IMAGE and "out of order" in differences):
            yield Finding("failed", rule, differences[rule])
        elif rule not in differences:
            yield Finding("ok", rule, equal)


def check_without_boxes(questions: Questions, broken: Collection[str]) -> Iterator[Finding]:
    """Yield whether a case can begin with clicks; ``broken`` are the rules that were named."""
    output = questions.without_boxes()
    if output.failure is None:
        yield Finding("ok", "without boxes", "a case without boxes begins with clicks")
        return
    text = f"step 1: {first_line(output.failure)}"
    if questions.without_boxes(in_order=True).failure is not None:
        advice = "interactions.boxes is empty in a case without boxes"
        yield Finding("failed", "without boxes", f"{text}; {advice}")
    elif "out of order" not in broken:
        text = f"without step 0 before it, as in a case without boxes, {text}"
        yield Finding("failed", "out of order", f"{text}; {KEEP_NOTHING}")
