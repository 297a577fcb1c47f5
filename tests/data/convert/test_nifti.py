"""NIfTI files: what nibabel and SimpleITK read is what was written."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from segbench.data.convert.nifti import write_nifti

AFFINE = np.array([[0, 0, -2.5, 30], [-0.8, 0, 0, 12], [0, 1.1, 0, -7], [0, 0, 0, 1.0]])
VOXELS = np.arange(24).reshape(2, 3, 4)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_voxels_matrix_and_codes_are_read_back(tmp_path, name):
    write_nifti(tmp_path / name, VOXELS.astype(np.uint8), AFFINE, description="segbench: toy")
    image = nibabel.load(tmp_path / name)
    np.testing.assert_array_equal(image.dataobj, VOXELS)
    np.testing.assert_allclose(image.get_sform(), AFFINE, atol=1e-6)
    np.testing.assert_allclose(image.get_qform(), AFFINE, atol=1e-6)
    assert (image.header["sform_code"], image.header["qform_code"]) == (1, 1)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert bytes(image.header["descrip"]).rstrip(b"\0") == b"segbench: toy"


def test_simple_itk_puts_every_voxel_at_the_same_place(tmp_path):
    write_nifti(tmp_path / "a.nii.gz", VOXELS.astype(np.int16), AFFINE)
    image = sitk.ReadImage(str(tmp_path / "a.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, VOXELS)
    for index in ((0, 0, 0), (1, 2, 3)):
        ras = (AFFINE @ [*index, 1])[:3]
        lps = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(lps, ras * (-1, -1, 1), atol=1e-4)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("bool", "uint8"),
        ("uint8", "uint8"),
        (">i2", "int16"),
        ("uint16", "uint16"),
        ("int64", "uint8"),
        ("float16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
    ],
)
def test_a_type_that_few_programs_read_becomes_the_smallest_that_holds_the_values(
    tmp_path, given, stored
):
    voxels = (VOXELS % 2 if given == "bool" else VOXELS).astype(given)
    write_nifti(tmp_path / "a.nii.gz", voxels, AFFINE)
    image = nibabel.load(tmp_path / "a.nii.gz")
    assert image.get_data_dtype() == np.dtype(stored)
    np.testing.assert_array_equal(np.asarray(image.dataobj), voxels)


def test_large_and_negative_whole_numbers_keep_their_values(tmp_path):
    voxels = np.array([[[-5, 70000]]], np.int64)
    write_nifti(tmp_path / "a.nii.gz", voxels, np.eye(4))
    np.testing.assert_array_equal(np.asarray(nibabel.load(tmp_path / "a.nii.gz").dataobj), voxels)


def test_equal_arrays_give_equal_bytes(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(tmp_path / name, VOXELS.astype(np.uint8), AFFINE)
    first, second = ((tmp_path / name).read_bytes() for name in ("a.nii.gz", "b.nii.gz"))
    assert first == second
    assert first[4:8] == bytes(4)  # no time
