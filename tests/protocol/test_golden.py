"""Every number of the official script, replayed: tests/golden holds its results."""

import json
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from segbench.core import Settings, mean_scores
from segbench.protocol.mask_pairs import PreparedReference
from segbench.protocol.metrics import NsdSettings
from segbench.protocol.scoring import evaluated_labels, score_pairs
from segbench.protocol.simulator import next_clicks
from segbench.results import area_under_clicks

FOLDER = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())["cases"]
TOLERANCE = 1e-12
# 18 million voxels: the sum in the official order takes 15 s for this case alone
LARGE = "c30_large_even"
IN_ORDER = [name for name in EXPECTED if name != LARGE]


@dataclass
class Tally:
    """How many values were compared and how they differ; clicks include "no click"."""

    counts: dict[str, int] = field(default_factory=dict)
    unequal: list[str] = field(default_factory=list)
    largest_difference: float = 0.0  # of the values that need not be equal to the last bit

    def exact(self, kind, where, found, expected):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if found != expected and not (_is_nan(found) and expected is None):
            self.unequal.append(f"{kind} {where}: {found} instead of {expected}")

    def close(self, kind, where, found, expected):
        self.largest_difference = max(self.largest_difference, abs(found - expected))
        within = abs(found - expected) <= TOLERANCE
        self.exact(kind, where, expected if within else found, expected)


@cache
def compare_case(name, exact_sum):
    """Replay all models of one golden case with the library."""
    tally = Tally()
    nsd_compare = tally.exact if exact_sum else tally.close
    with np.load(FOLDER / f"{name}.npz") as case:
        reference, spacing = case["gts"], tuple(case["spacing"])
        labels = evaluated_labels(reference)
        tally.exact("labels", name, list(labels), EXPECTED[name]["labels"])
        nsd = NsdSettings.of(spacing, exact_sum=exact_sum)
        prepared = PreparedReference(reference, labels)
        for model, expected in EXPECTED[name]["models"].items():
            where, first = f"{name} {model}", 0 if EXPECTED[name]["has_boxes"] else 1
            curve = [(0.0, 0.0)] * first
            for step, segmentation, clicks in _replay(
                reference, case[expected["pred_key"]], expected
            ):
                if step > 0:
                    _compare_clicks(tally, f"{where} {step}", labels, clicks, expected, step)
                if step >= first:
                    scores = score_pairs(prepared.compare(segmentation), step, nsd)
                    curve.append(mean_scores(scores))
                    aux = (expected[f"aux_{kind}_per_class"][step] for kind in ("dsc", "nsd"))
                    _compare_labels(tally, nsd_compare, f"{where} {step}", scores, *aux)
            _compare_curve(tally, nsd_compare, where, curve, expected, first)
    return tally


def compare_all(names, exact_sum):
    """Replay golden cases and add up."""
    total = Tally()
    for name in names:
        part = compare_case(name, exact_sum)
        for kind, count in part.counts.items():
            total.counts[kind] = total.counts.get(kind, 0) + count
        total.unequal += part.unequal
        total.largest_difference = max(total.largest_difference, part.largest_difference)
    return total


def _replay(reference, predictions, expected):
    """Yield step, the label map after it, and the clicks before it."""
    labels, segmentation = evaluated_labels(reference), np.zeros_like(reference)
    for step, wrote in enumerate(expected["wrote"]):
        # the official script casts for the clicks, not for the scores
        previous = PreparedReference(reference, labels).compare(segmentation.astype(np.uint8))
        clicks = next_clicks(previous) if step > 0 else ()
        if wrote:
            segmentation = np.asarray(predictions[step], order=expected["pred_order"][step])
        yield step, segmentation, clicks


def _compare_clicks(tally, where, labels, clicks, expected, step):
    by_label = {click.label: click for click in clicks}
    tally.exact("clicks in order", where, list(by_label), sorted(by_label))
    for label, click in zip(labels, expected["clicks_new"][str(step)], strict=True):
        found = by_label.get(label)
        as_stored = found and ["fg" if found.positive else "bg", *found.voxel]
        tally.exact("clicks", f"{where} label {label}", as_stored, click)


def _compare_labels(tally, nsd_compare, where, scores, dsc, nsd):
    tally.exact("DSC per label", where, [score.dsc for score in scores], dsc)
    # these values are there below the gate too, where the script's own are 0; c30 has none
    if nsd is not None and mean_scores(scores)[0] > Settings().nsd_gate:
        for score, value in zip(scores, nsd, strict=True):
            nsd_compare("NSD per label", f"{where} label {score.label}", score.nsd, value)


def _compare_curve(tally, nsd_compare, where, curve, expected, first):
    dsc, nsd = zip(*curve, strict=True)
    for step in range(first, 6):
        tally.exact("DSC", f"{where} {step}", dsc[step], expected["DSC"][step])
        nsd_compare("NSD", f"{where} {step}", nsd[step], expected["NSD"][step])
    if expected["in_csv"]:
        tally.exact("DSC AUC", where, area_under_clicks(dsc[1:]), expected["DSC_AUC"])
        tally.exact("DSC final", where, dsc[-1], expected["DSC_Final"])
        nsd_compare("NSD AUC", where, area_under_clicks(nsd[1:]), expected["NSD_AUC"])
        nsd_compare("NSD final", where, nsd[-1], expected["NSD_Final"])


@pytest.mark.parametrize("name", EXPECTED)
def test_the_library_answers_as_the_official_script_did(name):
    assert compare_case(name, False).unequal == []


@pytest.mark.parametrize("name", [*IN_ORDER, pytest.param(LARGE, marks=pytest.mark.slow)])
def test_with_exact_sum_the_answers_are_equal_to_the_last_bit(name):
    tally = compare_case(name, True)
    assert tally.unequal == []
    assert tally.counts == compare_case(name, False).counts
    assert tally.largest_difference == 0


def test_every_golden_value_was_compared(record_property):
    default = compare_all(EXPECTED, exact_sum=False)
    record_property("compared", default.counts)
    record_property("largest NSD difference", default.largest_difference)
    # shown by: pytest tests/test_golden.py -k every -rP
    sys.stdout.write(f"compared: {default.counts}\n")
    sys.stdout.write(f"largest NSD difference: {default.largest_difference}\n")
    assert {kind: default.counts[kind] for kind in ("clicks", "DSC", "NSD")} == _stored_counts()
    assert default.largest_difference <= TOLERANCE
    exact = compare_all(IN_ORDER, exact_sum=True)
    assert exact.counts == compare_all(IN_ORDER, exact_sum=False).counts
    assert exact.largest_difference == 0


def test_a_wrong_value_does_not_go_unnoticed():
    tally = Tally()
    tally.exact("DSC", "here", 0.5, 0.5000000000000001)
    tally.close("NSD", "here", 0.5, 0.50000000001)
    tally.exact("DSC", "here", 0.5, None)
    assert len(tally.unequal) == 3


def _stored_counts():
    models = [model for case in EXPECTED.values() for model in case["models"].values()]
    steps = [step for model in models for step in model["clicks_new"].values()]
    scored = sum(wrote is not None for model in models for wrote in model["wrote"])
    return {"clicks": sum(len(clicks) for clicks in steps), "DSC": scored, "NSD": scored}


def _is_nan(value):
    return isinstance(value, float) and value != value
