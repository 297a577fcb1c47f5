"""One interaction: what the model gets, what counts as a label map, what follows a failure."""

import re
from dataclasses import replace

import numpy as np
import pytest

from segbench.core import Click, Image, StepOutput
from segbench.protocol.interaction import interact, validated_output
from segbench.protocol.metrics import surface_areas
from segbench.protocol.scoring import score
from segbench.protocol.simulator import next_clicks


class ListedModel:
    """Predicts by a list of functions of the interactions; the last one is used repeatedly."""

    def __init__(self, *functions):
        self.functions, self.received, self.images = list(functions), [], []

    def set_image(self, image, labels):
        self.images.append((image, labels))

    def predict(self, interactions):
        self.received.append(interactions)
        function = self.functions.pop(0) if len(self.functions) > 1 else self.functions[0]
        return function(interactions)


def zeros(interactions):
    return StepOutput(np.zeros(interactions.previous_segmentation.shape, np.uint8), 1.0)


def fails(interactions):
    return StepOutput(None, 1.0, "crashed")


def test_a_case_with_boxes_has_six_steps_and_one_without_five(make_case):
    steps = [p.step for p in interact(make_case("CT_a"), ListedModel(zeros))]
    assert steps == [0, 1, 2, 3, 4, 5]
    steps = [p.step for p in interact(make_case("CT_a", with_boxes=False), ListedModel(zeros))]
    assert steps == [1, 2, 3, 4, 5]


def test_the_model_gets_the_image_and_the_labels_once_and_nothing_else(make_case):
    case, model = make_case("CT_a"), ListedModel(zeros)
    list(interact(case, model))
    assert model.images == [(case.image, (1, 3))]


def test_the_model_gets_all_prompts_so_far_in_every_step(make_case):
    case, model = make_case("CT_a"), ListedModel(zeros)
    list(interact(case, model))
    assert model.received[0].rounds == (case.boxes,)
    assert [len(interactions.rounds) for interactions in model.received] == [1, 2, 3, 4, 5, 6]
    assert model.received[3].new == model.received[5].rounds[3]
    assert all(isinstance(click, Click) for click in model.received[5].clicks)


def test_clicks_and_scores_of_a_step_come_from_the_same_mask_pairs(make_case):
    case = make_case("CT_a")
    predictions = [np.roll(case.reference, shift, axis=2) for shift in (3, 2, 2, 1, 0, 0)]
    functions = [lambda _, labels=labels: StepOutput(labels, 1.0) for labels in predictions]
    found = list(interact(case, ListedModel(*functions)))
    for before, after in zip(found, found[1:], strict=False):
        assert after.prompts == next_clicks(before.pairs)
    for step, segmentation in zip(found, predictions, strict=True):
        scores = score(segmentation, case.reference, case.image.spacing)
        assert step.scores == tuple(replace(each, step=step.step) for each in scores)


def test_a_spacing_of_float32_scores_as_in_float64(make_case):
    case = make_case("CT_a")
    noise = np.random.default_rng(0).random(case.reference.shape) < 0.8
    model = ListedModel(lambda _: StepOutput(case.reference * noise, 1.0))
    spacing = np.array([2.7, 0.8, 0.9], np.float32)
    scores = []
    for spacing_mm in (tuple(spacing), tuple(map(float, spacing))):
        surface_areas.cache_clear()  # the two are equal keys
        image = Image(case.image.voxels, spacing_mm)
        scores.append(next(interact(replace(case, image=image), model)).scores)
    assert scores[0] == scores[1]
    assert 0 < scores[0][0].nsd < 1


def test_a_failed_step_has_no_scores_and_keeps_the_last_segmentation(make_case):
    case = make_case("CT_a")
    good = lambda _: StepOutput(case.reference, 1.0)  # noqa: E731
    found = list(interact(case, ListedModel(good, fails, good)))
    assert [bool(step.scores) for step in found] == [True, False, True, True, True, True]
    assert found[1].segmentation is found[0].segmentation
    assert found[1].pairs is found[0].pairs


def test_a_perfect_model_is_prompted_in_every_step_without_clicks(make_case):
    case = make_case("CT_a")
    model = ListedModel(lambda interactions: StepOutput(case.reference, 1.0))
    steps = list(interact(case, model))
    assert len(model.received) == 6
    assert [p.prompts for p in steps[1:]] == [()] * 5


def test_after_a_failure_clicks_and_previous_segmentation_come_from_the_last_prediction(make_case):
    case = make_case("CT_a")
    good = np.where(case.reference == 1, 1, 0).astype(np.uint8)
    model = ListedModel(lambda interactions: StepOutput(good, 1.0), fails)
    steps = list(interact(case, model))
    assert [p.output.failure for p in steps] == [None] + ["crashed"] * 5
    assert all(
        (interactions.previous_segmentation == good).all() for interactions in model.received[1:]
    )
    assert {click.label for click in model.received[-1].clicks} == {3}  # label 1 is perfect


def test_failing_from_the_start_leaves_zeros(make_case):
    case = make_case("CT_a", with_boxes=False)
    steps = list(interact(case, ListedModel(fails)))
    assert not any(p.segmentation.any() for p in steps)
    assert steps[0].prompts == steps[4].prompts  # the same clicks again


def test_zeros_before_the_first_prediction_have_the_memory_order_of_the_reference(make_case):
    case = make_case("CT_a", with_boxes=False)
    model = ListedModel(zeros)
    list(interact(replace(case, reference=np.asfortranarray(case.reference)), model))
    assert model.received[0].previous_segmentation.flags.f_contiguous


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (np.zeros((2, 3), np.uint8), r"returned shape \(2, 3\), expected \(2, 3, 4\)"),
        (np.zeros((2, 3, 4), np.float32), "returned float32, expected a label map: integers"),
        (np.zeros((2, 3, 4), bool), "returned bool, expected a label map: integers"),
        (np.full((2, 3, 4), -1), "returned labels -1 to -1"),
        (np.full((2, 3, 4), 65536), "returned labels 65536 to 65536, expected 0 to 65535"),
    ],
)
def test_what_is_no_label_map_is_a_failure_with_its_reason(labels, reason):
    output = validated_output(StepOutput(labels, 1.5), (2, 3, 4))
    assert output.segmentation is None
    assert pytest.approx(1.5) == output.seconds
    assert re.search(reason, output.failure)


@pytest.mark.parametrize(("dtype", "kept"), [(np.int64, np.uint8), (np.uint16, np.uint8)])
def test_any_integer_dtype_is_accepted(dtype, kept):
    output = validated_output(StepOutput(np.full((2, 3, 4), 200, dtype), 0.0), (2, 3, 4))
    assert output.segmentation.dtype == kept


def test_large_labels_are_kept_without_wrapping():
    output = validated_output(StepOutput(np.full((2, 3, 4), 65535, np.int32), 0.0), (2, 3, 4))
    assert output.segmentation.dtype == np.uint16
    assert output.segmentation.max() == 65535
