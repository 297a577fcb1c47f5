"""Image series: right whatever the files are called and however they lie, or refused by name."""

import locale
import tracemalloc

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataelem import DataElement
from pydicom.uid import (
    HTJ2K,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from segbench.data.convert.dicom import read_series
from segbench.data.convert.grids import warnings_of
from segbench.errors import CaseError
from tests.data.convert.dicom_writer import (
    AXIAL,
    OBLIQUE,
    affine_of,
    position,
    set_pixels,
    write_enhanced,
    write_series,
)

SHAPE = (7, 5, 6)
CORONAL = (1.0, 0, 0, 0, 0, -1)
SAGITTAL = (0.0, 1, 0, 0, 0, -1)
ODD = (0.0, -1, 0, -1, 0, 0)  # turned and flipped in plane
PLANES = {"axial": AXIAL, "coronal": CORONAL, "sagittal": SAGITTAL, "odd": ODD, "oblique": OBLIQUE}


def noise(low=-1000, high=2000, shape=SHAPE, seed=0):
    return np.random.RandomState(seed).randint(low, high, shape)


@pytest.fixture(params=sorted(PLANES))
def orientation(request):
    return PLANES[request.param]


@pytest.fixture
def simpleitk():
    """Return SimpleITK; its reader of DICOM leaves the process in another locale."""
    before = locale.setlocale(locale.LC_ALL)
    yield SimpleITK
    locale.setlocale(locale.LC_ALL, before)


# ---- right ------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", [(0.7, 1.3, 3.1), (2.5, 0.9, 0.6)])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_series_in_shuffled_files_comes_in_its_order(tmp_path, orientation, spacing, modality):
    grid = {"orientation": orientation, "spacing": spacing}
    write_series(tmp_path, noise(), modality=modality, **grid)
    volume = read_series(tmp_path)
    np.testing.assert_array_equal(volume.voxels, noise())
    np.testing.assert_allclose(volume.affine, affine_of(**grid), atol=1e-9)
    assert (volume.voxels.dtype, volume.modality, volume.notes) == (np.int16, modality, ())


def test_simpleitk_reads_the_same(tmp_path, orientation, simpleitk):
    write_series(
        tmp_path, noise(0, 4000), orientation=orientation, dtype=np.uint16, intercept=-1024
    )
    reader = simpleitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    volume = read_series(tmp_path)
    np.testing.assert_array_equal(volume.voxels, simpleitk.GetArrayFromImage(image).T)
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    np.testing.assert_allclose(volume.affine, np.diag([-1, -1, 1, 1]) @ matrix, atol=1e-4)


def test_highdicom_reads_the_same(tmp_path, orientation):
    files = write_series(tmp_path, noise(), orientation=orientation, slope=2, intercept=-7)
    other = highdicom.get_volume_from_series([pydicom.dcmread(file) for file in files])
    volume = read_series(tmp_path)
    ours = other.match_geometry(_geometry(volume))
    np.testing.assert_array_equal(volume.voxels.transpose(2, 1, 0), ours.array)


def _geometry(volume):
    """Return the grid of a volume as highdicom has it: LPS, (slice, row, column)."""
    lps = np.diag([-1.0, -1, 1, 1]) @ volume.affine
    return highdicom.VolumeGeometry(
        lps[:, [2, 1, 0, 3]], volume.voxels.shape[::-1], coordinate_system="PATIENT"
    )


@pytest.mark.parametrize(
    ("stored", "slope", "intercept", "kind"),
    [
        (np.uint8, 1, 0, np.uint8),
        (np.uint16, 1, 0, np.uint16),
        (np.int16, 1, 0, np.int16),
        (np.uint16, 1, -1024, np.int16),
        (np.uint8, 2, -3, np.int16),
        (np.int16, 0.25, 1.5, np.float32),
        (np.int32, 1, 0, np.int32),
    ],
)
def test_values_are_rescaled_and_whole_ones_stay_whole(tmp_path, stored, slope, intercept, kind):
    voxels = noise(0, 250)
    write_series(tmp_path, voxels, dtype=stored, slope=slope, intercept=intercept)
    found = read_series(tmp_path).voxels
    assert found.dtype == kind
    np.testing.assert_array_equal(found, voxels * slope + intercept)


def test_one_slice_of_larger_values_widens_all(tmp_path):
    voxels = noise(0, 1000)
    voxels[2, 3, 4] = 65535
    write_series(tmp_path, voxels, dtype=np.uint16, intercept=-1024)
    found = read_series(tmp_path).voxels
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, voxels - 1024)


def slopes(dataset, index):
    dataset.RescaleSlope, dataset.RescaleIntercept = index + 0.5, 0
    dataset.Modality = "PT" if dataset.PatientSex == "O" else dataset.Modality


def test_in_pet_each_slice_has_its_slope(tmp_path):
    write_series(tmp_path, noise(), change=slopes)
    volume = read_series(tmp_path)
    np.testing.assert_array_equal(volume.voxels, noise() * (np.arange(6) + 0.5).astype(np.float32))
    assert (volume.modality, volume.notes) == ("PET", ())


def two_intercepts(dataset, index):
    dataset.RescaleIntercept = index // 3


def test_slopes_that_differ_are_noted_in_mr_and_refused_in_ct(tmp_path):
    write_series(tmp_path / "mr", noise(), modality="MR", change=two_intercepts)
    assert "differ between slices" in read_series(tmp_path / "mr").notes[0]
    write_series(tmp_path / "ct", noise(), change=two_intercepts)
    with pytest.raises(CaseError, match="one rescale slope and intercept in CT"):
        read_series(tmp_path / "ct")


def white_is_low(dataset, index):
    dataset.PhotometricInterpretation = "MONOCHROME1"


def test_monochrome1_is_noted_and_not_inverted(tmp_path):
    write_series(tmp_path, noise(), change=white_is_low)
    volume = read_series(tmp_path)
    np.testing.assert_array_equal(volume.voxels, noise())
    assert "MONOCHROME1" in volume.notes[0]


@pytest.mark.parametrize("intercept", [0, -1024])
def test_an_enhanced_file_has_its_frames_in_any_order(tmp_path, orientation, intercept):
    grid = {"orientation": orientation, "intercept": intercept}
    file = write_enhanced(tmp_path / "e.dcm", noise(), order=[3, 1, 0, 2, 5, 4], **grid)
    for place in (tmp_path, file):
        volume = read_series(place)
        np.testing.assert_array_equal(volume.voxels, noise() + intercept)
        np.testing.assert_allclose(volume.affine, affine_of(**grid), atol=1e-9)


def test_a_series_may_be_in_sub_folders_and_next_to_other_files(tmp_path):
    files = write_series(tmp_path / "a", noise())
    (tmp_path / "a" / "b").mkdir()
    files[2].rename(tmp_path / "a" / "b" / "moved.dcm")
    (tmp_path / "notes.txt").write_text("not DICOM")
    (tmp_path / ".hidden.dcm").write_text("not DICOM either")
    np.testing.assert_array_equal(read_series(tmp_path).voxels, noise())


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_compressed_pixels_are_decoded(tmp_path, syntax, dtype):
    def compress(dataset, index):
        dataset.compress(syntax, generate_instance_uid=False)

    voxels = noise(0, 4000)
    write_series(tmp_path, voxels, change=compress, dtype=dtype, intercept=-1024)
    np.testing.assert_array_equal(read_series(tmp_path).voxels, voxels - 1024)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_jpeg_2000_as_itk_writes_it_is_decoded(tmp_path, dtype, simpleitk):
    voxels = noise(0, 4000, shape=(32, 24, 4)).astype(dtype)
    (tmp_path / "compressed").mkdir()
    for file in write_series(tmp_path / "plain", voxels, dtype=dtype):
        reader, writer = simpleitk.ImageFileReader(), simpleitk.ImageFileWriter()
        reader.SetFileName(str(file))
        writer.SetFileName(str(tmp_path / "compressed" / file.name))
        writer.KeepOriginalImageUIDOn()
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG2000")
        writer.Execute(reader.Execute())
    np.testing.assert_array_equal(read_series(tmp_path / "compressed").voxels, voxels)


def test_a_gantry_tilt_is_in_the_matrix(tmp_path):
    write_series(tmp_path, noise(), tilt=0.8)
    volume = read_series(tmp_path)
    np.testing.assert_array_equal(volume.voxels, noise())
    np.testing.assert_allclose(volume.affine, affine_of(tilt=0.8), atol=1e-9)
    (warning,) = (*volume.notes, *warnings_of(volume.affine))
    assert "sheared (as by gantry tilt), its axes are 14.47 degrees from" in warning


def test_slices_slightly_off_the_grid_are_noted(tmp_path):
    def shift(dataset, index):
        dataset.ImagePositionPatient[2] += 0.08 if index == 2 else 0

    write_series(tmp_path, noise(), change=shift)
    assert "0.080 mm off a regular grid of 3.100 mm" in read_series(tmp_path).notes[0]


def test_reading_takes_little_more_memory_than_the_voxels(tmp_path):
    voxels = np.zeros((256, 256, 40), np.int16)
    write_series(tmp_path, voxels, intercept=-1024)
    read_series(tmp_path)
    tracemalloc.start()
    read_series(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < voxels.nbytes + 20 * voxels[..., 0].nbytes


# ---- several series ---------------------------------------------------------------------------


def test_one_of_two_series_is_chosen_by_its_code_or_uid(tmp_path):
    write_series(tmp_path / "a", noise(), uid="1.2.3.20190807")
    write_series(tmp_path / "b", noise(seed=1), uid="1.2.4", modality="MR")
    with pytest.raises(CaseError, match=r"expected one series, found 2; .*\(MR, 6 files\)") as info:
        read_series(tmp_path)
    code = str(info.value).split("choose one: ")[1].split(" ")[0]
    assert "1.2.3" not in str(info.value)
    for series in (code, "1.2.3.20190807"):
        np.testing.assert_array_equal(read_series(tmp_path, series=series).voxels, noise())
    np.testing.assert_array_equal(read_series(tmp_path, series="1.2.4").voxels, noise(seed=1))
    with pytest.raises(CaseError, match="expected a series of it, found '1.2'; choose one: "):
        read_series(tmp_path, series="1.2")


# ---- refused ----------------------------------------------------------------------------------


def test_a_missing_slice_is_named_by_its_neighbours(tmp_path):
    files = write_series(tmp_path, noise())
    files[3].unlink()
    with pytest.raises(
        CaseError, match=f"{files[2].name}: .* to .*{files[4].name}: 1 slice is missing"
    ):
        read_series(tmp_path)


def only(index, keyword, value):
    """Return a change of one slice."""

    def change(dataset, here):
        if here == index:
            setattr(dataset, keyword, value)

    return change


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (only(2, "ImagePositionPatient", position(2.4)), "mm at the least and 4.340 mm to"),
        (only(5, "ImagePositionPatient", position(6.2)), "mm at the least and 6.820 mm to"),
        (only(5, "ImagePositionPatient", position(5.3)), "regular grid, found one that is"),
        (only(3, "ImagePositionPatient", [-19.5, 11.25, -90.7]), "regular grid, found one that is"),
        (only(3, "ImagePositionPatient", position(2)), "found 2 at 1 of 5 positions, such as"),
        (only(3, "ImageOrientationPatient", list(CORONAL)), "a localizer, or several stacks"),
        (only(3, "PixelSpacing", [1.3, 0.8]), "expected the pixel size of"),
        (only(3, "PixelSpacing", [1.3]), "expected 2 numbers as PixelSpacing, found 1"),
        (only(3, "PixelSpacing", [1.3, 0]), "expected a positive PixelSpacing"),
        (only(3, "RescaleSlope", 0), "slope other than 0"),
        (only(3, "RescaleSlope", None), "expected 1 numbers as RescaleSlope, found 0"),
        (only(3, "SamplesPerPixel", 3), "grey values, found colours"),
        (only(3, "PhotometricInterpretation", "PALETTE COLOR"), "grey values, found colours"),
        (only(3, "PixelRepresentation", 0), "expected pixels as in"),
        (only(3, "BitsStored", 12), "expected bits 0 to n - 1"),
        (only(3, "Rows", 4), "expected pixels as in"),
        (only(3, "Rows", 40000), "truncated: expected 560000 bytes of pixels"),
        (only(3, "NumberOfFrames", 2), "a position of each of 2 frames, found 0"),
        (only(3, "ImageOrientationPatient", [1, 0, 0, 0.5, 1, 0]), "perpendicular rows"),
    ],
)
def test_a_slice_that_does_not_fit_is_refused_by_name(tmp_path, change, finding):
    write_series(tmp_path, noise(), change=change)
    with pytest.raises(CaseError, match=finding) as info:
        read_series(tmp_path)
    assert "IM0" in str(info.value)


def test_several_images_at_each_position_are_called_4d(tmp_path):
    write_series(tmp_path / "a", noise(), uid="1.2.3")
    write_series(tmp_path / "b", noise(seed=1), uid="1.2.3")
    with pytest.raises(CaseError, match=r"found 2 at each of 6, such as .* \(4D: times, echoes"):
        read_series(tmp_path)


def capture(dataset, index):
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    del dataset.ImagePositionPatient
    del dataset.ImageOrientationPatient


def lossless_jpeg(dataset, index):
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    dataset.PixelData = pydicom.encaps.encapsulate([dataset.PixelData])


def high_throughput(dataset, index):
    lossless_jpeg(dataset, index)
    dataset.file_meta.TransferSyntaxUID = HTJ2K


def bad_jpeg(dataset, index):
    lossless_jpeg(dataset, index)
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless


def overlay(dataset, index):
    pixels = np.full(SHAPE[1::-1], 1 << 14, np.uint16)
    set_pixels(dataset, pixels)
    dataset.BitsStored, dataset.HighBit = 12, 11


def modality_lut(dataset, index):
    table = pydicom.Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [2, 0, 16], "HU"
    table["LUTDescriptor"] = DataElement("LUTDescriptor", "US", [2, 0, 16])
    table["LUTData"] = DataElement("LUTData", "US", [0, 1])
    dataset.ModalityLUTSequence = [table]


def cut(dataset, index):
    set_pixels(dataset, noise()[:, :, index].T.astype(np.int16))
    dataset.PixelData = dataset.PixelData[:-8]
    dataset.add_new(0xFFFCFFFC, "OB", bytes(64))


def long(dataset, index):
    dataset.PixelData = dataset.PixelData + bytes(14)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (capture, "expected position and orientation of each slice, found none"),
        (lossless_jpeg, "decoders here can read, found JPEG Lossless.*; pip install python-gdcm"),
        (high_throughput, "found High-Throughput.*; pip install pylibjpeg pylibjpeg-openjpeg"),
        (bad_jpeg, "can be decoded, found damaged ones or a compression"),
        (overlay, "expected pixels of 12 bits, found larger values or an overlay"),
        (modality_lut, "found a modality LUT"),
        (cut, "expected 70 bytes of pixels, found 62"),
        (long, "expected 70 bytes of pixels, found 84"),
    ],
)
def test_series_without_a_grid_of_grey_values_are_refused(tmp_path, change, finding):
    write_series(tmp_path, noise(), change=change)
    with pytest.raises(CaseError, match=finding) as info:
        read_series(tmp_path)
    assert "IM0" in str(info.value)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(CaseError, match="found none among 0 files"):
        read_series(tmp_path)
    with pytest.raises(CaseError, match="found nothing"):
        read_series(tmp_path / "none")
    (tmp_path / "text.txt").write_text("text")
    with pytest.raises(CaseError, match="found none among 1 file"):
        read_series(tmp_path)


def test_one_slice_is_no_volume(tmp_path):
    write_series(tmp_path, noise(shape=(7, 5, 1)))
    with pytest.raises(CaseError, match="expected at least two slices, found one"):
        read_series(tmp_path)


def test_a_file_that_may_be_a_damaged_slice_is_not_left_out(tmp_path):
    files = write_series(tmp_path, noise())
    files[-1].write_bytes(bytes(200))
    with pytest.raises(CaseError, match=f"{files[-1].name}: expected the mark DICM"):
        read_series(tmp_path)
