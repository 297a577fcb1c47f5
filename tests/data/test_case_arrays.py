"""Cases made of arrays: valid or refused, and known by what moves a number in them."""

from dataclasses import replace

import numpy as np
import pytest

from segbench.core import Box, Image
from segbench.data.case_arrays import CaseArrays, arrays_sha256, case_from_arrays
from segbench.data.challenge_npz import write_case
from segbench.data.dataset import CaseFile, read_case
from segbench.errors import CaseError


@pytest.fixture
def case(make_case):
    return make_case("CT_Toy_001")


def test_a_case_of_arrays_is_the_case_that_its_file_gives(case, tmp_path):
    made = case_from_arrays(
        "CT_Toy_001", case.image.voxels, case.reference, (3, 1, 1), boxes=case.boxes
    )
    write_case(tmp_path / "CT_Toy_001.npz", made)
    read = read_case(CaseFile(tmp_path / "CT_Toy_001.npz"))
    assert made.labels == read.labels == (1, 3)
    assert made.image.spacing == read.image.spacing == (3.0, 1.0, 1.0)
    assert made.boxes == read.boxes
    assert arrays_sha256(made) == arrays_sha256(read)


def test_modality_and_dataset_come_from_the_name_unless_given(case):
    arrays = case.image.voxels, case.reference, (3, 1, 1)
    by_name = case_from_arrays("MR_AMOS_7", *arrays)
    given = case_from_arrays("MR_AMOS_7", *arrays, modality="CT", dataset="own", patient="p")
    assert (by_name.modality, by_name.dataset) == ("MR", "AMOS")
    assert (given.modality, given.dataset, given.patient) == ("CT", "own", "p")


@pytest.mark.parametrize(
    "change",
    [
        lambda case: replace(case, image=Image(case.image.voxels + 1, case.image.spacing)),
        lambda case: replace(
            case, image=Image(case.image.voxels.astype(np.int16), case.image.spacing)
        ),
        lambda case: replace(case, image=Image(case.image.voxels, (3.0, 1.0, 1.5))),
        lambda case: replace(case, reference=np.roll(case.reference, 1, 0)),
        lambda case: replace(case, reference=np.asfortranarray(case.reference)),
        lambda case: replace(case, boxes=()),
    ],
    ids=["voxels", "dtype", "spacing", "reference", "memory order", "boxes"],
)
def test_what_moves_a_number_changes_the_hash(case, change):
    assert arrays_sha256(change(case)) != arrays_sha256(case)


@pytest.mark.parametrize("dtype", [np.uint16, np.int64, ">u2", "bool_in_one_label"])
def test_the_dtype_of_a_label_map_does_not_change_the_hash(case, dtype):
    if dtype == "bool_in_one_label":
        one = replace(case, reference=(case.reference > 0), labels=(1,), boxes=())
        other = replace(one, reference=one.reference.astype(np.uint8))
        assert arrays_sha256(one) == arrays_sha256(other)
        return
    wide = replace(case, reference=case.reference.astype(dtype))
    assert arrays_sha256(wide) == arrays_sha256(case)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "a/b"}, "expected text that can be the name of a file"),
        ({"name": ""}, "expected text that can be the name of a file"),
        ({"name": ".hidden"}, "expected text that can be the name of a file"),
        ({"labels": (1, 2)}, r"labels: expected \(1, 3\), found \(1, 2\)"),
        ({"boxes": (Box(1, (0, 0, 0), (2, 2, 2), 1),)}, r"boxes: expected one per label"),
        (
            {"boxes": ((1, (0, 0, 0), (2, 2, 2), 1),)},
            r"boxes: expected Box objects, found \(1, .*\); make each with segbench\.Box\(label",
        ),
        (
            {"boxes": (Box(1, (0, 0), (2, 2), 1),)},
            r"boxes: expected low and high of three numbers \(z, y, x\), found \(0, 0\)",
        ),
        ({"image": np.zeros((2, 2, 2))}, "image: expected an Image of a numpy array and a spacing"),
        ({"image": Image([[[0]]], (1.0, 1.0, 1.0))}, "and a spacing, found list; segbench.case_fr"),
        ({"reference": [[[0, 1]]]}, "reference: expected a numpy array, found list"),
        (
            {"image": Image(np.zeros((10, 20, 31, 2)), (1.0, 1.0, 1.0))},
            r"voxels: expected three axes \(z, y, x\) and one channel, found 4 axes, shape",
        ),
        (
            {"image": Image(np.zeros((10, 20, 30)), (1.0, 1.0, 1.0))},
            r"CT_Toy_001: voxels and reference: expected one shape \(z, y, x\)",
        ),
        (
            {"reference": np.zeros((1, 10, 20, 31), np.uint8)},
            r"reference: expected shape \(z, y, x",
        ),
        (
            {"boxes": (Box(1, (0, 0, 0), (2, 0, 2), 1), Box(3, (0, 0, 0), (2, 2, 2), 1))},
            r"each low below its high, found low \(0, 0, 0\) and high \(2, 0, 2\)",
        ),
        ({"reference": np.zeros((10, 20, 31), np.uint8)}, "at least one foreground label"),
        ({"reference": np.zeros((10, 20, 31))}, "expected integer labels, found float64"),
    ],
)
def test_a_case_that_is_not_valid_is_refused_by_name(case, change, message):
    with pytest.raises(CaseError, match=message):
        CaseArrays.of(replace(case, **change))
