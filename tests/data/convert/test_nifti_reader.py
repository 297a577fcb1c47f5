"""Which matrix of a NIfTI file counts, and which values."""

import gzip
import re

import nibabel
import numpy as np
import pytest

from segbench.data.convert.nifti_reader import read_nifti
from segbench.errors import CaseError
from tests.data.convert.sources import SHAPE, affine_of, scan

MOVED = affine_of("LPS") + [[0, 0, 0, 5], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def save(folder, *, sform=None, qform=None, voxels=None, unit="mm", dtype=None, scale=None):
    voxels = scan()[0] if voxels is None else voxels
    image = nibabel.Nifti1Image(voxels, None, dtype=dtype)
    image.set_sform(sform, 0 if sform is None else 2)
    image.set_qform(qform, 0 if qform is None else 1)
    image.header.set_xyzt_units(unit)
    if scale:
        image.header.set_slope_inter(*scale)
    nibabel.save(image, folder / "a.nii")
    if scale:  # nibabel stores values, these are to be read as stored numbers
        raw = bytearray((folder / "a.nii").read_bytes())
        header = nibabel.Nifti1Header(bytes(raw[:348]))
        header.set_slope_inter(*scale)
        raw[:348] = header.binaryblock
        raw[352:] = np.asarray(voxels, header.get_data_dtype()).tobytes(order="F")
        (folder / "a.nii").write_bytes(raw)
    if sform is None and qform is None:  # nibabel sets a code when it saves
        raw = bytearray((folder / "a.nii").read_bytes())
        raw[252:256] = bytes(4)
        raw[80:92] = np.array((0.7, 0.8, 2.5), "<f4").tobytes()
        (folder / "a.nii").write_bytes(raw)
    return folder / "a.nii"


def test_the_sform_comes_first(tmp_path):
    volume = read_nifti(save(tmp_path, sform=affine_of("LPS"), qform=MOVED))
    assert np.array_equal(volume.affine, affine_of("LPS"))
    assert "differ by up to 5 mm" in volume.notes[0]


def test_a_mirrored_qform_is_called_so(tmp_path):
    volume = read_nifti(save(tmp_path, sform=affine_of("LPS"), qform=affine_of("RPS")))
    assert "one is the mirror image of the other" in volume.notes[0]


def test_forms_that_agree_need_no_note(tmp_path):
    volume = read_nifti(save(tmp_path, sform=affine_of("LPS"), qform=affine_of("LPS")))
    assert volume.notes == ()


def test_without_sform_the_qform_counts(tmp_path):
    volume = read_nifti(save(tmp_path, qform=affine_of("SAL")))
    assert np.allclose(volume.affine, affine_of("SAL"), atol=1e-5)
    assert volume.axes == "SAL"


def test_without_both_the_file_is_refused_until_its_axes_are_stated(tmp_path):
    file = save(tmp_path)
    with pytest.raises(CaseError, match=r"a\.nii: expected a sform or a qform.*--axes LPS"):
        read_nifti(file)
    volume = read_nifti(file, axes="RSA")
    assert volume.axes == "RSA"
    assert np.allclose(nibabel.affines.voxel_sizes(volume.affine), (0.7, 0.8, 2.5))
    assert "stated by hand" in volume.notes[0]


def test_a_qform_that_is_no_rotation_is_refused(tmp_path):
    file = save(tmp_path, qform=affine_of("LPS"))
    raw = bytearray(file.read_bytes())
    raw[256:268] = np.array([2, 2, 2], "<f4").tobytes()
    file.write_bytes(raw)
    with pytest.raises(CaseError, match="expected a qform that is a rotation"):
        read_nifti(file)


def test_voxel_sizes_of_0_are_refused_where_they_count(tmp_path):
    file = save(tmp_path, qform=affine_of("LPS"))
    raw = bytearray(file.read_bytes())
    raw[80:84] = np.array(0, "<f4").tobytes()
    file.write_bytes(raw)
    with pytest.raises(CaseError, match=r"expected voxel sizes above 0, found \[0\.0"):
        read_nifti(file)


@pytest.mark.parametrize(("unit", "factor"), [("micron", 1e-3), ("meter", 1e3), ("mm", 1)])
def test_lengths_become_mm(tmp_path, unit, factor):
    volume = read_nifti(save(tmp_path, sform=affine_of("LPS"), unit=unit))
    assert np.allclose(volume.affine[:3], affine_of("LPS")[:3] * factor)
    assert bool(volume.notes) == (unit != "mm")


@pytest.mark.parametrize(
    ("scale", "dtype"), [((1, -1024), np.int16), ((0.5, 3), np.float32), ((2, 0), np.int16)]
)
def test_slope_and_intercept_are_applied(tmp_path, scale, dtype):
    stored = scan()[1].astype(np.uint16)
    volume = read_nifti(save(tmp_path, sform=affine_of(), voxels=stored, scale=scale))
    assert np.array_equal(volume.voxels, stored * float(scale[0]) + scale[1])
    assert volume.voxels.dtype in (dtype, np.uint8)


def test_without_slope_the_type_stays(tmp_path):
    volume = read_nifti(save(tmp_path, sform=affine_of()))
    assert volume.voxels.dtype == np.int16
    assert np.array_equal(volume.voxels, scan()[0])


def test_one_volume_of_several_is_chosen(tmp_path):
    both = np.stack([scan(0)[0], scan(1)[0]], -1)
    file = save(tmp_path, sform=affine_of(), voxels=both)
    with pytest.raises(CaseError, match="expected one volume, found 2; choose one, 0 to 1"):
        read_nifti(file)
    with pytest.raises(CaseError, match="expected a channel from 0 to 1, found 2"):
        read_nifti(file, channel=2)
    assert np.array_equal(read_nifti(file, channel=1).voxels, scan(1)[0])


def test_a_fourth_axis_of_one_is_no_choice(tmp_path):
    file = save(tmp_path, sform=affine_of(), voxels=scan()[0][..., None])
    assert read_nifti(file).voxels.shape == SHAPE


def test_big_endian_and_nifti_2_and_gzip_without_its_suffix_are_read(tmp_path):
    image = nibabel.Nifti2Image(scan()[0].astype(">i2"), affine_of())
    big = image.__class__(scan()[0], affine_of(), image.header.as_byteswapped(">"))
    (tmp_path / "b.nii").write_bytes(gzip.compress(big.to_bytes()))
    volume = read_nifti(tmp_path / "b.nii")
    assert np.array_equal(volume.voxels, scan()[0])
    assert volume.voxels.dtype.isnative


@pytest.mark.parametrize("voxels", [np.zeros((4, 5), np.uint8), np.zeros((3, 4, 5), np.complex64)])
def test_what_is_no_volume_of_numbers_is_refused(tmp_path, voxels):
    with pytest.raises(CaseError, match=r"a\.nii: expected (a volume|one number)"):
        read_nifti(save(tmp_path, sform=affine_of(), voxels=voxels))


def test_a_singular_matrix_is_refused(tmp_path):
    flat = affine_of()
    flat[:, 1] = flat[:, 0]
    with pytest.raises(CaseError, match="can be inverted"):
        read_nifti(save(tmp_path, sform=flat))


@pytest.mark.parametrize("unit", ["mm", "micron"])
def test_voxels_of_a_microscope_are_as_good_as_others(tmp_path, unit):
    to_unit = 1 if unit == "mm" else 1000
    sizes = np.array([6.5e-5, 6.5e-5, 2e-4])
    affine = np.diag([*sizes * to_unit, 1])
    volume = read_nifti(save(tmp_path, sform=affine, qform=affine, unit=unit))
    assert np.allclose(np.diag(volume.affine)[:3], sizes, rtol=1e-6)
    assert not [note for note in volume.notes if "differ" in note]
    moved = affine.copy()
    moved[0, 3] += 3 * affine[0, 0]
    (note,) = [
        note
        for note in read_nifti(save(tmp_path, sform=affine, qform=moved, unit=unit)).notes
        if "differ" in note
    ]
    assert "sform and qform differ by up to 0.000195 mm" in note


@pytest.mark.parametrize(
    "matrix",
    [
        np.diag([1, 1, 0, 1]),
        [[1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]],
        [[1e-5, 2e-5, 0, 0], [1e-5, 2e-5, 0, 0], [0, 0, 1e-5, 0], [0, 0, 0, 1]],
    ],
)
def test_axes_in_one_plane_are_refused_whatever_their_size(tmp_path, matrix):
    with pytest.raises(CaseError, match="expected a matrix that can be inverted"):
        read_nifti(save(tmp_path, sform=np.array(matrix, float)))


def test_a_matrix_of_nan_is_refused_in_one_line(tmp_path):
    file = save(tmp_path, sform=affine_of())
    raw = bytearray(file.read_bytes())
    raw[280:328] = np.full(12, np.nan, "<f4").tobytes()  # the sform
    file.write_bytes(raw)
    with pytest.raises(CaseError) as refusal:
        read_nifti(file)
    assert "\n" not in str(refusal.value)
    assert "expected a finite 4 x 4 matrix" in str(refusal.value)


@pytest.mark.parametrize("shape", [(9, 11), (9,)])
def test_an_image_of_two_axes_is_called_so(tmp_path, shape):
    voxels = np.zeros(shape, np.int16)
    with pytest.raises(CaseError, match=r"expected a volume of three axes, found shape \(9,"):
        read_nifti(save(tmp_path, sform=affine_of(), qform=MOVED, voxels=voxels))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("n_bytes", [1, 5000])
def test_bytes_that_no_header_accounts_for_are_a_note(tmp_path, compressed, n_bytes):
    file = save(tmp_path, sform=affine_of())
    assert read_nifti(file).notes == ()
    longer = file.read_bytes() + bytes(n_bytes)
    file.write_bytes(gzip.compress(longer) if compressed else longer)
    (note,) = read_nifti(file).notes
    assert note.startswith(f"{n_bytes} byte")
    assert "more than the header says" in note
    four = np.stack([scan(0)[0], scan(1)[0]], -1)
    raw = save(tmp_path, sform=affine_of(), voxels=four).read_bytes()
    for data, n_notes in ((raw, 0), (raw + bytes(n_bytes), 1)):
        file.write_bytes(gzip.compress(data) if compressed else data)
        for channel in (0, 1):
            assert len(read_nifti(file, channel=channel).notes) == n_notes


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8, np.int16])
@pytest.mark.parametrize(("factor", "expected"), [(1, np.uint8), (42, np.uint8), (30000, None)])
def test_labels_get_the_smallest_type_that_holds_them(tmp_path, dtype, factor, expected):
    if factor > 42 and np.dtype(dtype).itemsize < 4:
        return
    labels = scan()[1].astype(dtype) * dtype(factor)
    file = save(tmp_path, sform=affine_of(), voxels=labels, dtype=dtype)
    found = read_nifti(file, as_labels=True).voxels
    assert found.dtype == (expected or np.uint32)
    assert np.array_equal(found, labels)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.9999999, "0.9999999"), (0.5, "0.5"), (-1, "-1"), (np.nan, "nan"), (1e30, "1e+30")],
)
def test_a_wrong_label_is_named_with_all_its_digits(tmp_path, value, text):
    labels = scan()[1].astype(np.float64)
    labels[4, 4, 4] = value
    file = save(tmp_path, sform=affine_of(), voxels=labels, dtype=np.float64)
    with pytest.raises(CaseError, match=f"expected labels as whole.* found {re.escape(text)};"):
        read_nifti(file, as_labels=True)
