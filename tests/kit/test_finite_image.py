"""Voxels that no model can use: how they are replaced, and the effect on predictions."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import segbench
from segbench.core import Image, mean_scores
from segbench.data.challenge_npz import write_case
from segbench.data.dataset import CaseFile, read_case
from segbench.models.in_process import InProcessModel
from segbench.models.registry import find_adapter
from segbench.phantoms import phantom
from segbench.protocol.interaction import interact
from segbench.runs.run_case import non_finite_voxels
from segbench_adapters.kit.finite_image import MAX_MAGNITUDE, finite_image


def ramp(dtype="float32"):
    return np.linspace(0, 100, 6 * 7 * 8).reshape(6, 7, 8).astype(dtype)


def with_voxel(value, dtype="float64"):
    image = ramp(dtype)
    image[3, 4, 5] = value
    return image


@pytest.mark.parametrize(
    ("value", "becomes"), [(np.nan, 0.0), (-np.inf, 0.0), (np.inf, 100.0)], ids=str
)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_non_finite_voxels_become_the_smallest_or_largest_value(value, becomes, dtype):
    image = with_voxel(value, dtype)
    result = finite_image(image)
    assert result.dtype == image.dtype
    assert result[3, 4, 5] == becomes
    assert np.array_equal(np.delete(result.ravel(), 3 * 56 + 37), np.delete(image.ravel(), 205))
    assert not np.isfinite(image[3, 4, 5])


def test_extremes_are_clipped_to_ten_times_the_range_of_the_percentiles():
    low, high = np.percentile(ramp(), [0.5, 99.5])
    for value, limit in [(1e300, high + 10 * (high - low)), (-1e300, low - 10 * (high - low))]:
        assert finite_image(with_voxel(value))[3, 4, 5] == pytest.approx(limit, rel=0.1)


@pytest.mark.parametrize(
    "image",
    [
        ramp("uint8"),
        ramp("int16"),
        with_voxel(255, "uint8"),
        ramp("int32"),
        ramp("float32"),
        with_voxel(900.0),
        np.zeros((2, 3, 4)),
        np.full((2, 3, 4), 7.5),
    ],
    ids=lambda image: f"{image.dtype} {image.max():g}",
)
def test_an_ordinary_image_is_returned_itself(image):
    assert finite_image(image) is image


def test_an_object_of_few_voxels_on_an_empty_background_is_not_clipped():
    image = np.zeros((20, 30, 40), np.float32)
    image[3, 4, 5:8] = 1000.0
    assert finite_image(image) is image


def test_a_wide_integer_is_clipped_too():
    image = ramp("int64")
    image[0, 0, 0] = 2**60
    assert finite_image(image).max() < 1300
    assert finite_image(image).dtype == np.int64


def test_an_image_without_a_finite_voxel_is_zero():
    assert not finite_image(np.full((2, 3, 4), np.nan)).any()


@pytest.mark.parametrize("scale", [1e30, 1e300])
def test_no_returned_value_overflows_when_squared(scale):
    result = finite_image(ramp("float64") * scale).astype(np.float32)
    assert np.isfinite(result**2).all()
    assert result.max() == np.float32(MAX_MAGNITUDE)


def test_non_finite_voxels_are_counted():
    image = ramp()
    image[0, 0, :3] = np.nan, np.inf, -np.inf
    assert non_finite_voxels(image) == 3
    assert non_finite_voxels(ramp("uint8")) == non_finite_voxels(ramp()) == 0


@pytest.fixture(scope="module", params=["random_walker", "ours"])
def first_dsc(request):
    """Return a function: the DSC of one object after its box, with a value in its middle."""
    case = phantom("CT", np.random.default_rng(3), name="CT_a")
    (box, *_) = case.boxes
    reference = np.where(case.reference == box.label, box.label, 0).astype(np.uint8)
    case = replace(case, reference=reference, boxes=(box,), labels=(box.label,))
    handle = InProcessModel.load(find_adapter(request.param), {})

    @cache
    def first_dsc(value=None):
        voxels = case.image.voxels.astype(np.float64)
        if value is not None:
            middle = ((low + high) // 2 for low, high in zip(box.low, box.high, strict=True))
            voxels[tuple(middle)] = value
        changed = replace(case, image=Image(voxels, case.image.spacing))
        return mean_scores(next(interact(changed, handle)).scores)[0]

    yield first_dsc
    handle.close()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300], ids=str)
def test_one_bad_voxel_hardly_changes_a_prediction(first_dsc, value):
    assert first_dsc() > 0.3
    assert first_dsc(value) == pytest.approx(first_dsc(), abs=0.03)


def test_a_run_records_such_voxels_and_passes_the_image_unchanged(tmp_path):
    case = phantom("PET", np.random.default_rng(1), name="PET_a")
    voxels = case.image.voxels.astype(np.float32)
    voxels[0, 0, :2] = np.nan, np.inf
    write_case(tmp_path / "PET_a.npz", replace(case, image=Image(voxels, case.image.spacing)))
    outcome = segbench.evaluate("boxfill", tmp_path, out=tmp_path / "run", in_process=True)
    (result,) = outcome.case_results
    assert (result.status, result.non_finite_voxels) == ("ok", 2)
    read = read_case(CaseFile(tmp_path / "PET_a.npz"))
    np.testing.assert_array_equal(read.image.voxels, voxels)
