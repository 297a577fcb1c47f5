"""The rules of intensities."""

import numpy as np
import pytest

from segbench.data.convert.intensity import WINDOWS, IntensityRule, map_intensities
from segbench.data.convert.percentiles import percentiles
from segbench.data.convert.slabs import VOXELS
from segbench.errors import CaseError

SHAPE = (5, 6, 7)
RNG = np.random.default_rng(0)
HU = RNG.integers(-1000, 1500, SHAPE).astype(np.int16)


def mapped(voxels, modality="CT", **rule):
    return map_intensities(voxels, modality=modality, rule=IntensityRule(**rule), name="scan.nii")


def clipped(voxels, low, high):
    return np.rint((np.clip(np.float64(voxels), low, high) - low) * (255 / (high - low)))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("soft-tissue", -160, 240), ("lung", -910, 590), ("brain", 0, 80), ("bone", -500, 1300)],
)
def test_ct_has_the_windows_of_the_paper(name, low, high):
    found = mapped(HU, window=WINDOWS[name])
    assert np.array_equal(found.voxels, clipped(HU, low, high))
    assert found.voxels.dtype == np.uint8
    assert (found.facts["rule"], found.facts["low"], found.facts["high"]) == ("window", low, high)


def test_soft_tissue_is_the_window_of_ct_unless_another_is_named():
    assert np.array_equal(mapped(HU).voxels, clipped(HU, -160, 240))
    assert mapped(HU).guessed == ()


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.float64])
def test_others_are_clipped_to_their_percentiles(dtype):
    voxels = np.abs(HU).astype(dtype)
    found = mapped(voxels, "MR")
    low, high = np.percentile(voxels.astype(float), (0.5, 99.5))
    assert np.array_equal(found.voxels, clipped(voxels, low, high))
    assert found.facts["rule"] == "percentile"


@pytest.mark.parametrize(
    ("voxels", "rule"),
    [
        (RNG.integers(0, 256, SHAPE).astype(np.int16), "kept"),
        (RNG.integers(0, 256, SHAPE).astype(np.float32), "kept"),
        (np.full(SHAPE, 100, np.uint8) - (HU > 0), "percentile"),  # the largest is 100
        (np.full(SHAPE, 101, np.uint8) - (HU > 0), "kept"),
        (RNG.random(SHAPE).astype(np.float32), "percentile"),  # MR scaled to 0..1
        (RNG.random(SHAPE).astype(np.float32) * 200, "percentile"),  # PET in SUV
        (RNG.integers(0, 257, SHAPE) + 0, "percentile"),
    ],
)
def test_only_whole_numbers_within_0_to_255_with_a_maximum_above_100_are_kept(voxels, rule):
    voxels = voxels.copy()
    if rule == "percentile" and voxels.dtype.kind == "i":
        voxels[0, 0, 0] = 256
    found = mapped(voxels, "PET")
    assert found.facts["rule"] == rule
    assert found.voxels.dtype == np.uint8
    if rule == "kept":
        assert np.array_equal(found.voxels, voxels)
        assert "were taken as mapped" in found.guessed[0]


def test_what_is_asked_for_decides():
    small = RNG.integers(0, 60, SHAPE).astype(np.uint8)
    assert np.array_equal(mapped(small, "MR", policy="keep").voxels, small)
    grey = RNG.integers(0, 200, SHAPE).astype(np.uint8)
    assert mapped(grey, "MR", policy="scale").facts["rule"] == "percentile"
    assert mapped(grey, "CT", policy="scale").facts["rule"] == "window"
    with pytest.raises(CaseError, match=r"scan\.nii: expected values within 0\.\.255 to keep"):
        mapped(HU, policy="keep")


def test_a_window_that_is_asked_for_counts_more_than_a_guess():
    grey = RNG.integers(0, 200, SHAPE).astype(np.uint8)
    assert mapped(grey).facts["rule"] == "kept"
    found = mapped(grey, window=WINDOWS["soft-tissue"])
    assert np.array_equal(found.voxels, clipped(grey, -160, 240))
    assert found.guessed == ()
    assert mapped(grey, "MR", window=WINDOWS["lung"]).facts["rule"] == "kept"  # of CT only


def test_raw_keeps_type_and_values():
    found = mapped(HU.astype(np.float32) * 1.5, policy="raw")
    assert found.voxels.dtype == np.float32
    assert np.array_equal(found.voxels, HU * np.float32(1.5))


def test_ct_that_cannot_be_hounsfield_units_is_a_guess():
    found = mapped(RNG.random(SHAPE))
    assert found.facts["rule"] == "percentile"
    assert "too few for Hounsfield units" in found.guessed[0]
    assert "are these Hounsfield units?" in mapped(HU + 1024).warnings[0]


def test_voxels_that_are_not_finite_are_counted_and_become_ends():
    voxels = HU.astype(np.float32)
    voxels[0, 0, :3] = np.nan, np.inf, -np.inf
    found = mapped(voxels)
    assert found.voxels[0, 0, :3].tolist() == [0, 255, 0]
    assert found.warnings == ("3 voxels are NaN or infinite",)
    with pytest.raises(CaseError, match="found no finite one"):
        mapped(np.full(SHAPE, np.nan))


def test_equal_percentiles_and_constant_images_are_named():
    spot = np.zeros(SHAPE, np.float32)
    spot[1, 1, 1] = 50
    found = mapped(spot, "MR")
    assert found.facts["rule"] == "range"
    assert found.voxels[1, 1, 1] == 255
    assert mapped(np.full(SHAPE, 7, np.int16), "MR").warnings == ("the image is constant: 7",)


@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
)
def test_percentiles_are_those_of_numpy(dtype):
    values = RNG.normal(60, 25, (11, 12, 13)).clip(0 if dtype[0] == "u" else None, 120)
    voxels = values.astype(dtype)
    wanted = (0, 0.5, 37.3, 99.5, 100)
    expected = np.percentile(voxels.astype(float), wanted)
    assert np.allclose(percentiles(voxels, wanted), expected, rtol=1e-14)


def test_percentiles_of_several_slabs():
    voxels = RNG.normal(0, 1, (1 << 11, 1 << 10, 3)).astype(np.float32)
    assert voxels.size > VOXELS
    voxels[0, 0] = np.nan, np.inf, -np.inf
    finite = voxels[np.isfinite(voxels)].astype(float)
    assert np.allclose(percentiles(voxels, (0.5, 99.5)), np.percentile(finite, (0.5, 99.5)))


@pytest.mark.parametrize(
    ("last", "found"), [(255.001, "0 to 255.001;"), (np.nan, "0 to 90 and 1 NaN or infinite;")]
)
def test_values_that_cannot_be_kept_are_named_with_all_their_digits(last, found):
    voxels = np.array([[[0, 90, last]]])
    rule = IntensityRule("keep")
    with pytest.raises(CaseError, match=f"to keep, found {found}"):
        map_intensities(voxels, modality="MR", rule=rule, name="i.nii")
