"""NIfTI files as segbench writes them."""

import nibabel
import numpy as np
import pytest

from segbench.data.convert.nifti import write_nifti

OBLIQUE = np.array([[-0.8, 0.1, 0, 5], [0.1, 0.8, 0, -7], [0, 0, 2.5, 1], [0, 0, 0, 1]])
SHEARED = np.array([[-0.8, 0.1, 0, 5], [0.1, 0.8, 0.2, -7], [0, -0.2, 2.5, 1], [0, 0, 0, 1]])


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.int64, np.float16])
def test_voxels_and_matrix_come_back(tmp_path, name, dtype):
    voxels = (np.arange(60).reshape(3, 4, 5) % 7).astype(dtype)
    write_nifti(tmp_path / name, voxels, OBLIQUE)
    image = nibabel.load(tmp_path / name)
    assert np.array_equal(np.asanyarray(image.dataobj), voxels)
    for matrix, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert code == 1
        assert np.allclose(matrix, OBLIQUE, atol=1e-6)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_a_sheared_matrix_is_in_the_sform_alone(tmp_path):
    write_nifti(tmp_path / "a.nii", np.zeros((3, 4, 5), np.uint8), SHEARED, code=2)
    image = nibabel.load(tmp_path / "a.nii")
    assert np.array_equal(image.get_sform(), SHEARED.astype(np.float32))
    assert (image.header["sform_code"], image.header["qform_code"]) == (2, 0)


def test_large_64_bit_values_keep_their_value(tmp_path):
    voxels = np.array([0, 70000, -3]).reshape(3, 1, 1)
    write_nifti(tmp_path / "a.nii", voxels, OBLIQUE)
    assert np.array_equal(np.asanyarray(nibabel.load(tmp_path / "a.nii").dataobj), voxels)


def test_equal_arrays_give_equal_bytes_and_no_other_file(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(tmp_path / name, np.ones((3, 4, 5), np.uint8), OBLIQUE)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2
