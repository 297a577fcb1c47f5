"""Recorded facts, and the numbers that policies make of them."""

import math

import pytest

from segbench.core import Settings, StepScore, mean_scores, sum_in_order
from segbench.results import CaseResult, Policy, StepResult, area_under_clicks
from segbench.runs import metrics_csv


def step(number, dsc, nsd=0.5):
    return StepResult(number, (StepScore(number, 1, dsc, nsd),))


def failed(number):
    return StepResult(number, (), "crashed")


def result(*steps, **fields):
    seconds = {each.step: 10.0 for each in steps}
    facts = {"labels": (1,), "has_boxes": True, "seconds": seconds} | fields
    return CaseResult("CT_a", "ok", steps=steps, **facts)


def test_five_perfect_clicks_have_an_area_of_four():
    assert area_under_clicks([1.0] * 5) == 4


def test_the_area_is_added_from_left_to_right():
    a, b, c, d, e = 0.1, 0.2, 0.7, 0.3, 0.9
    assert area_under_clicks([a, b, c, d, e]) == (
        (((a + b) / 2 + (b + c) / 2) + (c + d) / 2) + (d + e) / 2
    )


def test_no_labels_give_nan_and_zero_as_in_the_official_table():
    dsc, nsd = mean_scores(())
    assert math.isnan(dsc)
    assert nsd == 0.0


def test_a_box_step_never_enters_the_area():
    summary = result(step(0, 1.0), *(step(s, 0.5) for s in range(1, 6))).summary()
    assert summary.dsc_auc == 2.0
    assert summary.dsc[0] == 1.0


def test_a_case_without_boxes_has_zero_at_step_0():
    summary = result(*(step(s, 0.5) for s in range(1, 6)), has_boxes=False).summary()
    assert summary.dsc == (0.0, 0.5, 0.5, 0.5, 0.5, 0.5)
    assert summary.seconds[0] == 0.0


def test_a_failed_step_scores_zero_or_the_score_before():
    case = result(step(0, 0.6), step(1, 0.7), failed(2), step(3, 0.8), failed(4), failed(5))
    assert case.summary(Policy("zero")).dsc == (0.6, 0.7, 0.0, 0.8, 0.0, 0.0)
    assert case.summary(Policy("carry_forward")).dsc == (0.6, 0.7, 0.7, 0.8, 0.8, 0.8)


def test_a_case_without_predictions_is_zero_or_left_out():
    case = result(*(failed(s) for s in range(6)))
    assert case.summary(Policy("zero")).dsc_auc == 0.0
    assert case.summary(Policy("carry_forward")) is None


def test_failing_before_the_first_prediction_is_zero_under_both_policies():
    case = result(failed(0), failed(1), *(step(s, 0.5) for s in range(2, 6)))
    assert case.summary(Policy("carry_forward")).dsc[:3] == (0.0, 0.0, 0.5)


@pytest.mark.parametrize(("limit", "over"), [(60.0, False), (59.0, True), (None, False)])
def test_the_time_limit_is_per_label_and_over_all_steps(limit, over):
    case = result(*(step(s, 0.5) for s in range(6)))  # 60 s in all
    summary = case.summary(Policy(time_limit=limit))
    assert summary.over_time == over
    assert summary.dsc_final == (0.0 if over else 0.5)


def test_an_invalid_case_has_no_numbers():
    assert CaseResult("CT_a", "invalid", "no spacing").summary() is None


@pytest.fixture
def compensated_sum(monkeypatch):
    """Let the built-in sum compensate rounding, as it does from Python 3.12 on."""
    plain = sum

    def compensated(values, start=0):
        values = list(values)
        floats = values and all(isinstance(value, float) for value in values)
        return math.fsum(values) + start if floats else plain(values, start)

    monkeypatch.setattr("builtins.sum", compensated)


def test_floats_are_added_from_left_to_right_on_every_python(compensated_sum):
    assert sum([0.1] * 10) == 1.0
    assert sum_in_order([0.1] * 10) == 0.9999999999999999


def test_the_time_limit_compares_a_sum_from_left_to_right(compensated_sum):
    # six times 0.1 s are 0.6 s from left to right, and 0.6000000000000001 s compensated
    case = result(*(step(s, 0.5) for s in range(6)), seconds=dict.fromkeys(range(6), 0.1))
    assert not case.summary(Policy(time_limit=0.6)).over_time


def test_metrics_csv_adds_running_times_from_left_to_right(compensated_sum):
    case = result(*(step(s, 0.5) for s in range(6)), seconds=dict.fromkeys(range(6), 0.1))
    _, row = metrics_csv.table([case], Policy(), Settings()).splitlines()
    assert row.split(",")[1] == "0.6" != "0.6000000000000001"
