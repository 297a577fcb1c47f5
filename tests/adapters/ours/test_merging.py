"""From the logits of every label to one label map."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from adapters.ours.crop import Window
from adapters.ours.merging import LabelLogits, merge
from adapters.ours.resampling import SLAB_SLICES, PatchOnVolume
from adapters.ours.submission_predictor import raw_logits

CPU = torch.device("cpu")
SHAPE = (SLAB_SLICES + 5, 6, 7)
WHOLE = tuple(slice(0, n) for n in SHAPE)
EDGE = SLAB_SLICES + 8


def label_logits(label, logits, low=(0, 0, 0), region=WHOLE):
    """Logits on a patch at zoom 1 whose corner is at ``low``."""
    values = torch.full((EDGE,) * 3, float(logits)) if np.isscalar(logits) else logits
    return LabelLogits(label, PatchOnVolume(values, Window(low, (EDGE,) * 3), region))


def label_at(*logits, mixed=False):
    """Return the merged label if labels 1, 2, ... have these logits."""
    all_logits = [label_logits(label, logit) for label, logit in enumerate(logits, start=1)]
    segmentation = merge(all_logits, SHAPE, CPU, raw_logits if mixed else None)
    assert len(np.unique(segmentation)) == 1
    return int(segmentation[0, 0, 0])


def logit(p):
    return float(np.log(p / (1 - p)))


def test_without_labels_all_is_background():
    assert not merge([], SHAPE, CPU).any()


def test_one_label_is_foreground_above_one_half():
    assert label_at(logit(0.51)) == 1
    assert label_at(logit(0.49)) == 0
    assert label_at(0.0) == 0


def test_two_labels_of_two_fifths_beat_a_background_of_nine_twentyfifths():
    assert label_at(logit(0.4), logit(0.4)) == 1
    assert label_at(logit(0.38), logit(0.4)) == 2
    assert label_at(logit(0.3), logit(0.4)) == 0


def test_with_the_submissions_merge_one_label_wins_from_p_0382_on():
    assert label_at(logit(0.383), mixed=True) == 1
    assert label_at(logit(0.381), mixed=True) == 0
    assert label_at(logit(0.319), logit(0.319), mixed=True) == 1
    assert label_at(logit(0.317), logit(0.317), mixed=True) == 0


def test_a_label_counts_in_its_window_only():
    segmentation = merge(
        [label_logits(3, 5.0, low=(SLAB_SLICES + 2, 2, 3)), label_logits(7, 4.0, low=(-3, 4, 0))],
        SHAPE,
        CPU,
    )
    expected = np.zeros(SHAPE, np.uint8)
    expected[:, 4:, :] = 7  # reaches the last slice
    expected[SLAB_SLICES + 2 :, 2:, 3:] = 3
    np.testing.assert_array_equal(segmentation, expected)


def test_labels_far_apart_do_not_erase_each_other():
    shape = (6 * SLAB_SLICES, *SHAPE[1:])
    whole = tuple(slice(0, n) for n in shape)
    all_logits = [
        label_logits(label, 5.0, (low, 0, 0), whole)
        for label, low in ((1, 0), (2, 5 * SLAB_SLICES))
    ]
    segmentation = merge(all_logits, shape, CPU)
    assert (segmentation[:EDGE] == 1).all()
    assert (segmentation[EDGE : 5 * SLAB_SLICES] == 0).all()
    assert (segmentation[5 * SLAB_SLICES :] == 2).all()


def test_the_order_of_labels_does_not_matter_and_labels_may_exceed_255():
    all_logits = [label_logits(300, 1.0), label_logits(2, 1.0, low=(4, 0, 0))]
    segmentation = merge(all_logits, SHAPE, CPU)
    assert segmentation.dtype == np.uint16
    np.testing.assert_array_equal(segmentation, merge(all_logits[::-1], SHAPE, CPU))
    assert (segmentation[4:] == 2).all()  # equal logits: the smaller label
    assert (segmentation[:4] == 300).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.booleans())
def test_merging_by_slabs_equals_the_equation_on_the_whole_volume(seed, count, mixed):
    rng = np.random.default_rng(seed)
    lows = rng.integers(-6, 6, (count, 3))
    patches = [torch.from_numpy(rng.normal(0, 2, (EDGE,) * 3)).float() for _ in range(count)]
    all_logits = [
        label_logits(label, values, tuple(map(int, low)))
        for label, (values, low) in enumerate(zip(patches, lows, strict=True), start=1)
    ]
    logits = np.full((count, *SHAPE), -np.inf)
    for row, one in zip(logits, all_logits, strict=True):
        row[one.region] = one.logits.slices(one.region[0]).numpy()
    p = expit(logits)
    background = np.prod(1 - p, axis=0)[None]
    expected = np.concatenate([np.log(background), logits] if mixed else [background, p]).argmax(0)
    np.testing.assert_array_equal(
        merge(all_logits, SHAPE, CPU, raw_logits if mixed else None), expected
    )
