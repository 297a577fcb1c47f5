"""Which method leads, and which cannot be told apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segbench.report.leaders import leaders, measure_groups, separate
from segbench.report.resampling import Resampling
from tests.report.score_frames import cases_frame, random_scores

FEW = Resampling(draws=1000)
NOTHING = (None, False, ())


def leader_of(frame, average="micro", **options):
    found = leaders(frame, measures=["dsc_auc"], resampling=FEW, **options)
    row = found.set_index("average").loc[average]
    return row["best"], row["leads"], row["tied"]


def known_order():
    """Return scores in which m2 and m3 are equal in truth, and both are better than the rest."""
    rng = np.random.default_rng(0)
    easy = rng.normal(0.6, 0.1, 40)
    truth = {"m0": 0, "m1": 0.1, "m2": 0.2, "m3": 0.2}
    return {name: (easy + rng.normal(x, 0.01, 40)).tolist() for name, x in truth.items()}


def test_the_best_leads_if_it_differs_from_every_other():
    scores = known_order()
    del scores["m3"]
    assert leader_of(cases_frame(scores)) == ("m2", True, ())


def test_nobody_leads_if_one_cannot_be_told_from_the_best():
    best, leads, tied = leader_of(cases_frame(known_order()))
    assert (best in tied, leads, tied) == (True, False, ("m2", "m3"))


def test_equal_methods_never_lead():
    scores = known_order()
    scores["m3"] = scores["m2"]
    assert leader_of(cases_frame(scores)) == ("m2", False, ("m2", "m3"))


def test_a_method_that_sees_the_reference_takes_nobodys_place():
    scores = known_order() | {"m3": [1.0] * 40}
    assert leader_of(cases_frame(scores, unranked=["m3"])) == ("m2", True, ())


@pytest.mark.parametrize(
    "scores",
    [
        {"a": [0.1] * 9},
        {"a": [0.1], "b": [0.9]},
        {"a": [0.1] * 9, "b": [0.9] * 8 + [None]},
        {"a": [0.1] * 9, "b": [0.9] * 9, "c": [None] * 8 + [0.1]},
    ],
)
def test_nothing_is_said_without_two_methods_on_the_same_cases(scores):
    assert leader_of(cases_frame(scores)) == NOTHING


@pytest.mark.parametrize("patients", ["vvvvvvvvvv", "vvvvvvwwww", "uvwxyyyyyy"])
def test_nothing_is_said_of_fewer_than_six_patients(patients):
    scores = {"a": [0.1] * 10, "b": [0.9] * 10}
    assert leader_of(cases_frame(scores, patients=patients)) == NOTHING
    assert leader_of(cases_frame(scores, patients="uvwxyzzzzz")) == ("b", True, ())


def test_nothing_is_said_of_macro_means_with_a_modality_of_one_patient():
    scores = {"a": [0.1, 0.2, 0.3] * 2, "b": [0.7, 0.9, 0.8] * 2}
    frame = cases_frame(scores, modality=["CT"] * 5 + ["MR"])
    assert leader_of(frame) == ("b", True, ())
    assert leader_of(frame, "macro") == NOTHING


def test_the_macro_mean_may_have_another_leader():
    modality = ["CT"] * 20 + ["MR"] * 5
    a, b = np.full(25, 0.5), np.array([0.6] * 20 + [0.1] * 5)
    noise = np.random.default_rng(1).normal(0, 0.01, 25)
    frame = cases_frame({"a": a.tolist(), "b": (b + noise).tolist()}, modality=modality)
    assert leader_of(frame, "macro") == ("a", True, ())
    ct_only = frame[frame["modality"] == "CT"]
    assert leader_of(ct_only) == ("b", True, ())


def test_groups_have_leaders_of_their_own():
    modality = ["CT", "MR"] * 10
    rng = np.random.default_rng(2)
    sign = np.array([1, -1] * 10)
    scores = {"a": rng.normal(0.5, 0.01, 20), "b": rng.normal(0.5, 0.01, 20) + 0.1 * sign}
    frame = cases_frame({name: x.tolist() for name, x in scores.items()}, modality=modality)
    found = leaders(frame, measures=["dsc_auc"], by=["modality"], resampling=FEW)
    micro = found[found["average"] == "micro"]
    assert micro[["modality", "best"]].values.tolist() == [["CT", "b"], ["MR", "a"]]


def test_a_group_that_one_method_lacks_says_nothing():
    scores = {"a": [0.1] * 16, "b": [0.5] * 16, "c": [0.7] * 8 + [None] * 8}
    frame = cases_frame(scores, modality=["CT"] * 8 + ["MR"] * 8)
    found = leaders(frame, measures=["dsc_auc"], by=["modality"], resampling=FEW)
    assert found["best"].tolist() == ["c", "c", None, None]


def test_groups_of_a_known_order():
    found = measure_groups(cases_frame(known_order()), measures=["dsc_auc"], resampling=FEW)
    groups = found.groupby("group")["method"].agg(frozenset).tolist()
    assert groups == [{"m2", "m3"}, {"m1"}, {"m0"}]
    assert found["mean"].is_monotonic_decreasing


def test_few_patients_cannot_tell_methods_apart():
    """The smallest p-value of five patients is 1/16, whatever the scores are."""
    scores = {name: x[:5] for name, x in known_order().items()}
    found = measure_groups(cases_frame(scores), measures=["dsc_auc"], resampling=FEW)
    assert (found["group"] == 1).all()


def test_groups_are_of_common_cases_and_of_ranked_methods():
    scores = known_order() | {"o": [1.0] * 40}
    scores["m0"][0] = None
    frame = cases_frame(scores, unranked=["o"])
    found = measure_groups(frame, measures=["dsc_auc"], resampling=FEW).set_index("method")
    assert "o" not in found.index
    assert found.loc["m1", "mean"] == pytest.approx(np.mean(scores["m1"][1:]))
    assert measure_groups(cases_frame({"a": [0.1]})).empty


def apart(*pairs):
    return frozenset(map(frozenset, pairs))


def test_a_group_is_what_cannot_be_told_from_its_first():
    assert separate("abc", apart()) == (("a", "b", "c"),)
    assert separate("abc", apart("ab", "ac", "bc")) == (("a",), ("b",), ("c",))
    assert separate("abc", apart("ac")) == (("a", "b"), ("c",))
    assert separate("abc", apart("ab")) == (("a", "c"), ("b",))
    assert separate("", apart()) == ()


@given(st.permutations("abcd"), st.sets(st.sampled_from(["ab", "ac", "ad", "bc", "bd", "cd"])))
def test_each_method_is_in_one_group(order, pairs):
    groups = separate(order, apart(*pairs))
    assert sorted(name for group in groups for name in group) == ["a", "b", "c", "d"]
    assert [group[0] for group in groups] == sorted((g[0] for g in groups), key=order.index)


def test_random_scores_have_the_order_that_the_tests_say():
    scores = random_scores(np.random.default_rng(0), n_cases=50, n_methods=2, step=0.5)
    assert np.mean(scores["m1"]) > np.mean(scores["m0"])
