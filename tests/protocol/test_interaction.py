"""One dialogue: what is asked, what counts as an answer, what stands after a failure."""

import numpy as np
import pytest

from segbench.core import Click, StepOutput
from segbench.protocol.interaction import checked, interact
from segbench.protocol.mask_pairs import PreparedReference
from segbench.protocol.simulator import next_clicks


class ModelHandle:
    """Answers by a list of functions of what is said, the last one again and again."""

    def __init__(self, *answers):
        self.answers, self.heard, self.started = list(answers), [], []

    def set_image(self, image, labels):
        self.started.append((image, labels))

    def predict(self, interactions):
        self.heard.append(interactions)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(interactions)


def zeros(interactions):
    return StepOutput(np.zeros(interactions.previous_segmentation.shape, np.uint8), 1.0)


def fails(interactions):
    return StepOutput(None, 1.0, "crashed")


def test_a_case_with_boxes_has_six_steps_and_one_without_five(make_case):
    steps = [p.step for p in interact(make_case("CT_a"), ModelHandle(zeros))]
    assert steps == [0, 1, 2, 3, 4, 5]
    steps = [p.step for p in interact(make_case("CT_a", with_boxes=False), ModelHandle(zeros))]
    assert steps == [1, 2, 3, 4, 5]


def test_the_model_sees_the_image_and_the_labels_once_and_nothing_else(make_case):
    case, seat = make_case("CT_a"), ModelHandle(zeros)
    list(interact(case, seat))
    assert seat.started == [(case.image, (1, 3))]


def test_everything_said_so_far_is_said_again(make_case):
    case, seat = make_case("CT_a"), ModelHandle(zeros)
    list(interact(case, seat))
    assert seat.heard[0].rounds == (case.boxes,)
    assert [len(interactions.rounds) for interactions in seat.heard] == [1, 2, 3, 4, 5, 6]
    assert all(isinstance(click, Click) for click in seat.heard[5].clicks)


def test_a_perfect_model_is_asked_in_every_step_without_clicks(make_case):
    case = make_case("CT_a")
    seat = ModelHandle(lambda interactions: StepOutput(case.reference, 1.0))
    predictions = list(interact(case, seat))
    assert len(seat.heard) == 6
    assert [p.prompts for p in predictions[1:]] == [()] * 5


def test_clicks_are_found_anew_only_where_an_answer_differs_from_the_last(make_case, monkeypatch):
    case, found = make_case("CT_a"), []

    def counted(comparison, **rules):
        found.append(comparison)
        return next_clicks(comparison, **rules)

    def answering(number):
        labels = case.reference * (np.arange(31) < 10 + number).astype(np.uint8)
        return lambda interactions: StepOutput(labels.copy(), 1.0)

    monkeypatch.setattr("segbench.protocol.interaction.next_clicks", counted)
    seat = ModelHandle(*map(answering, (0, 0, 5, 5, 0, 0)))
    predictions = list(interact(case, seat))
    assert len(found) == 3
    for before, after in zip(predictions, predictions[1:], strict=False):
        comparison = PreparedReference(case.reference, case.labels).compare(before.segmentation)
        assert after.prompts == next_clicks(comparison)


def test_after_a_failure_clicks_and_previous_come_from_the_last_answer(make_case):
    case = make_case("CT_a")
    good = np.where(case.reference == 1, 1, 0).astype(np.uint8)
    seat = ModelHandle(lambda interactions: StepOutput(good, 1.0), fails)
    predictions = list(interact(case, seat))
    assert [p.output.failure for p in predictions] == [None] + ["crashed"] * 5
    assert all(
        (interactions.previous_segmentation == good).all() for interactions in seat.heard[1:]
    )
    assert {click.label for click in seat.heard[-1].clicks} == {3}  # label 1 is perfect


def test_failing_from_the_start_leaves_zeros(make_case):
    case = make_case("CT_a", with_boxes=False)
    predictions = list(interact(case, ModelHandle(fails)))
    assert not any(p.segmentation.any() for p in predictions)
    assert predictions[0].prompts == predictions[4].prompts  # the same clicks again


def test_zeros_before_the_first_answer_have_the_memory_order_of_the_reference(make_case):
    case = make_case("CT_a", with_boxes=False)
    object.__setattr__(case, "reference", np.asfortranarray(case.reference))
    seat = ModelHandle(zeros)
    list(interact(case, seat))
    assert seat.heard[0].previous_segmentation.flags.f_contiguous


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (np.zeros((2, 3), np.uint8), r"answered shape \(2, 3\), expected \(2, 3, 4\)"),
        (np.zeros((2, 3, 4), np.float32), "answered float32, expected integer"),
        (np.zeros((2, 3, 4), bool), "answered bool, expected integer"),
        (np.full((2, 3, 4), -1), "answered labels -1 to -1"),
        (np.full((2, 3, 4), 65536), "answered labels 65536 to 65536, expected 0 to 65535"),
    ],
)
def test_what_is_no_label_map_is_a_failure_with_its_reason(labels, reason):
    answer = checked(StepOutput(labels, 1.5), (2, 3, 4))
    assert answer.segmentation is None
    assert pytest.approx(1.5) == answer.seconds
    import re

    assert re.search(reason, answer.failure)


@pytest.mark.parametrize(("dtype", "kept"), [(np.int64, np.uint8), (np.uint16, np.uint8)])
def test_any_integer_is_taken(dtype, kept):
    answer = checked(StepOutput(np.full((2, 3, 4), 200, dtype), 0.0), (2, 3, 4))
    assert answer.segmentation.dtype == kept


def test_large_labels_are_kept_without_wrapping():
    answer = checked(StepOutput(np.full((2, 3, 4), 65535, np.int32), 0.0), (2, 3, 4))
    assert answer.segmentation.dtype == np.uint16
    assert answer.segmentation.max() == 65535
