"""The grid of a source in a case's file: it comes back as it was, and damage is named."""

from dataclasses import replace

import numpy as np
import pytest

from segbench.core import Grid
from segbench.data.case_grid import KEYS, grid_arrays
from segbench.data.challenge_boxes import BOX_KEYS
from segbench.data.challenge_npz import ChallengeFile, write_arrays, write_case
from segbench.data.dataset import CaseFile, read_case
from segbench.errors import CaseError

AFFINE = (
    (-0.7, 0.0, 0.1, 12.5),
    (0.0, 0.7, 0.0, -3.25),
    (0.1, 0.0, 3.0, 1e3),
    (0.0, 0.0, 0.0, 1.0),
)
GRID = Grid(AFFINE, "LAS", (31, 20, 10), "ab" * 32, {"intensity": "window 400 40", "µ": [1, 2.5]})


def test_a_grid_comes_back_as_it_was(make_case, tmp_path):
    file = tmp_path / "CT_Toy_001.npz"
    write_case(file, replace(make_case("CT_Toy_001"), grid=GRID))
    assert read_case(CaseFile(file)).grid == GRID


def test_its_arrays_are_plain(make_case, tmp_path):
    """The official script reads the file with numpy; it must not need a pickle for the grid."""
    file = tmp_path / "CT_Toy_001.npz"
    write_case(file, replace(make_case("CT_Toy_001"), boxes=(), grid=GRID))
    with np.load(file, allow_pickle=False) as raw:
        arrays = dict(raw)
    assert set(KEYS) <= set(arrays)
    np.testing.assert_array_equal(arrays["grid_affine"], AFFINE)


def test_the_official_script_reads_what_it_reads_without_a_grid(make_case, tmp_path):
    """It loads files with pickles allowed, takes the keys that it knows, and writes its own."""
    case, read = make_case("CT_Toy_001"), {}
    assert case.boxes
    for name, grid in (("with", GRID), ("without", None)):
        write_case(tmp_path / f"{name}.npz", replace(case, grid=grid))
        with np.load(tmp_path / f"{name}.npz", allow_pickle=True) as stored:
            image, spacing, boxes = stored["imgs"], stored["spacing"], stored["boxes"]
            reference = stored["gts"]
            labels = np.unique(reference)[1:]
        arrays = {"imgs": image, "boxes": boxes, "spacing": spacing, "prev_pred": reference * 0}
        np.savez_compressed(tmp_path / f"{name}-input.npz", **arrays)
        assert [sorted(box) for box in boxes] == len(labels) * [sorted(BOX_KEYS)]
        read[name] = {key: array.tolist() for key, array in {**arrays, "gts": reference}.items()}
    assert read["with"] == read["without"]


def test_a_case_without_a_grid_has_none(make_case, tmp_path):
    file = tmp_path / "CT_Toy_001.npz"
    write_case(file, make_case("CT_Toy_001"))
    assert read_case(CaseFile(file)).grid is None
    with ChallengeFile(file) as stored:
        assert not set(KEYS) & set(stored.keys)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid_axes": None}, "expected all of .*, found no grid_axes"),
        (
            {"grid_affine": np.eye(3)},
            r"grid_affine: expected shape \(4, 4\), found float64 \(3, 3\)",
        ),
        ({"grid_affine": np.full((4, 4), np.nan)}, "expected finite numbers"),
        ({"grid_shape": np.array([0, 1, 1])}, "a shape of at least 1"),
        ({"grid_json": np.frombuffer(b"{", np.uint8)}, "grid_json: expected JSON"),
        (
            {"grid_json": np.frombuffer(b"[]", np.uint8)},
            "grid_json: expected an object, found list",
        ),
        ({"grid_json": np.frombuffer(b"[" * 100_000, np.uint8)}, "grid_json: expected JSON"),
    ],
)
def test_a_damaged_grid_is_refused_by_name(make_case, tmp_path, changes, message):
    file, case = tmp_path / "CT_Toy_001.npz", make_case("CT_Toy_001")
    arrays = {
        "imgs": case.image.voxels,
        "gts": case.reference,
        "spacing": np.array(case.image.spacing),
        **grid_arrays(GRID),
        **changes,
    }
    write_arrays(file, {key: array for key, array in arrays.items() if array is not None})
    with pytest.raises(CaseError, match=message):
        read_case(CaseFile(file))
