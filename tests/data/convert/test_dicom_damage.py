"""Damaged files: refused by name or read right, never a traceback, never much memory."""

import tracemalloc

import numpy as np
import pydicom
import pytest

from segbench.data.convert.dicom import read_labels, read_series
from segbench.errors import CaseError
from tests.data.convert.dicom_writer import (
    SECRETS,
    affine_of,
    write_enhanced,
    write_series,
    write_structures,
)
from tests.data.convert.test_dicom_rtstruct import in_mm, square
from tests.data.convert.test_dicom_seg import segmentation

SHAPE = (9, 8, 6)
VOXELS = np.random.RandomState(0).randint(-1000, 2000, SHAPE)
MEMORY = 32 * 2**20  # bytes; the whole series has 9 kB


def damaged(raw, seed):
    """Return the bytes of a file with some flipped, zeroed, cut off or inserted, and where."""
    random = np.random.RandomState(seed)
    raw, kind, where = bytearray(raw), seed % 5, int(random.randint(128, len(raw)))
    if kind == 0:
        return bytes(raw[:where]), where
    if kind == 1:
        raw[where : where + 8] = bytes(len(raw[where : where + 8]))
    elif kind == 2:
        raw[where:where] = bytes(random.randint(0, 256, 5).tolist())
    else:
        raw[where] ^= 1 << random.randint(8) if kind == 3 else random.randint(1, 256)
    return bytes(raw), where


def result_of(function, *arguments):
    """Return what a reader returns, or its error; nothing else may come out of it."""
    tracemalloc.start()
    try:
        return function(*arguments)
    except CaseError as error:
        message = str(error)
        assert not any(secret in message for secret in SECRETS.values())
        assert "\n" not in message
        return error
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_slice_is_refused_or_read_right(tmp_path, seed):
    files = write_series(tmp_path, VOXELS, intercept=-1024)
    slice_ = seed % SHAPE[2]
    whole = files[slice_].read_bytes()
    raw, where = damaged(whole, seed)
    files[slice_].write_bytes(raw)
    found = result_of(read_series, tmp_path)
    if isinstance(found, CaseError):
        assert str(tmp_path) in str(found)
        return
    np.testing.assert_allclose(found.affine, affine_of(), atol=0.2)
    pixels = whole.rindex(b"OW\0\0") + 8
    same = found.voxels == VOXELS - 1024
    if where >= pixels - 8:
        same[:, :, slice_] = True  # nothing in the file tells that a pixel is another
    assert same.all()


@pytest.mark.parametrize("end", [200, 360, 400, 408, 430, 700, 1100])
@pytest.mark.parametrize("slice_", [0, 5])
def test_a_slice_cut_off_in_its_header_is_not_left_out(tmp_path, slice_, end):
    files = write_series(tmp_path, VOXELS)
    files[slice_].write_bytes(files[slice_].read_bytes()[:end])
    found = result_of(read_series, tmp_path)
    assert files[slice_].name in str(found)


@pytest.mark.parametrize("seed", range(60, 70))
def test_a_damaged_enhanced_file_ends_in_a_volume_or_one_line(tmp_path, seed):
    file = write_enhanced(tmp_path / "e.dcm", VOXELS)
    file.write_bytes(damaged(file.read_bytes(), seed)[0])
    found = result_of(read_series, file)
    assert isinstance(found, CaseError) or found.voxels.ndim == 3


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    return write_series(folder, VOXELS), folder, read_series(folder)


@pytest.mark.parametrize("seed", range(70, 90))
def test_a_damaged_segmentation_ends_in_labels_or_one_line(tmp_path, series, seed):
    masks = np.stack([VOXELS > 1000, VOXELS < -500], axis=-1)
    file = tmp_path / "seg.dcm"
    segmentation(series[0], masks, names=["a", "b"]).save_as(file, enforce_file_format=True)
    file.write_bytes(damaged(file.read_bytes(), seed)[0])
    found = result_of(read_labels, file, series[2])
    if not isinstance(found, CaseError):
        assert found.volume.voxels.shape == SHAPE
        assert set(np.unique(found.volume.voxels)) - {0} <= set(found.names)


@pytest.mark.parametrize("seed", range(90, 110))
def test_a_damaged_structure_set_ends_in_labels_or_one_line(tmp_path, series, seed):
    rois = [(f"roi {k}", [in_mm(square(k, k + 2), k, {})]) for k in range(4)]
    file = write_structures(tmp_path / "rt.dcm", rois)
    file.write_bytes(damaged(file.read_bytes(), seed)[0])
    found = result_of(read_labels, file, series[2])
    if not isinstance(found, CaseError):
        assert found.volume.voxels.shape == SHAPE
        assert set(np.unique(found.volume.voxels)) - {0} <= set(found.names)


def test_a_size_that_no_memory_holds_is_refused_before_it_is_taken(tmp_path, series):
    def large(dataset, index):
        dataset.Rows = dataset.Columns = 65535
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.RLELossless
        dataset.PixelData = pydicom.encaps.encapsulate([b"\1" + bytes(80)])

    write_series(tmp_path, VOXELS, change=large)
    found = result_of(read_series, tmp_path)
    assert "expected frames up to 67108864 pixels" in str(found)
