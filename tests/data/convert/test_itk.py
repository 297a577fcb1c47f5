"""MetaImage and NRRD files by SimpleITK."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from segbench.data.convert.itk import read_itk, read_itk_labels
from segbench.data.convert.itk_header import read_itk_header
from segbench.data.convert.nifti import write_nifti
from segbench.data.convert.nifti_reader import read_nifti
from segbench.data.convert.readers import ReadingOptions, content_sha256, read_image, read_labels
from segbench.errors import CaseError
from tests.data.convert.sources import ROTATION, affine_of, scan

KINDS = [".mha", ".mhd", ".nrrd", ".nhdr"]


def itk_image(voxels, affine):
    image = sitk.GetImageFromArray(voxels.transpose(2, 1, 0))
    lps = np.diag([-1, -1, 1, 1]) @ affine
    sizes = nibabel.affines.voxel_sizes(affine)
    image.SetSpacing(sizes.tolist())
    image.SetDirection((lps[:3, :3] / sizes).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("axes", ["LPS", "RAS", "SAL"])
def test_voxels_and_matrix_are_those_of_nifti(tmp_path, kind, compressed, axes):
    affine = affine_of(axes, rotation=ROTATION)
    sitk.WriteImage(itk_image(scan()[0], affine), tmp_path / f"a{kind}", useCompression=compressed)
    write_nifti(tmp_path / "a.nii", scan()[0], affine)
    found, other = read_itk(tmp_path / f"a{kind}"), read_nifti(tmp_path / "a.nii")
    assert np.array_equal(found.voxels, other.voxels)
    assert np.abs(found.affine - other.affine).max() < 1e-5
    assert found.axes == other.axes


@pytest.mark.parametrize("kind", [".mha", ".nrrd"])
def test_one_component_of_several_is_chosen(tmp_path, kind):
    both = np.stack([scan(0)[0], scan(1)[0]], -1).transpose(2, 1, 0, 3)
    sitk.WriteImage(sitk.GetImageFromArray(both, isVector=True), tmp_path / f"a{kind}")
    with pytest.raises(CaseError, match="expected one volume, found 2"):
        read_itk(tmp_path / f"a{kind}")
    assert np.array_equal(read_itk(tmp_path / f"a{kind}", channel=1).voxels, scan(1)[0])


def test_one_volume_along_a_fourth_axis_is_chosen(tmp_path):
    series = sitk.JoinSeries([itk_image(scan(seed)[0], affine_of("SAL")) for seed in (0, 1)])
    sitk.WriteImage(series, tmp_path / "a.mha")
    with pytest.raises(CaseError, match="expected one volume, found 2"):
        read_itk(tmp_path / "a.mha")
    volume = read_itk(tmp_path / "a.mha", channel=1)
    assert np.array_equal(volume.voxels, scan(1)[0])
    assert volume.axes == "SAL"


def test_a_file_without_directions_is_refused_until_its_axes_are_stated(tmp_path):
    voxels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    head = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 3 4\nspacings: 1 2 3\nencoding: raw\n\n"
    file = tmp_path / "a.nrrd"
    file.write_bytes(head.encode() + voxels.tobytes(order="F"))
    with pytest.raises(CaseError, match=r"a\.nrrd: expected the directions.*--axes"):
        read_image(file, ReadingOptions())
    volume = read_image(file, ReadingOptions(axes="RAS"))
    assert np.array_equal(volume.affine, np.diag([1, 2, 3, 1]))
    assert np.array_equal(volume.voxels, voxels)


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("encoding: text", "expected the encoding raw or gzip, found 'text'"),
        ("encoding: raw\ndata file: LIST\na.raw", "expected one file of voxels, found 'LIST'"),
        ("encoding: raw\ndata file: no.raw", "expected its voxels in no.raw, found no such file"),
    ],
)
def test_what_cannot_be_checked_is_refused(tmp_path, line, match):
    head = "NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 3 4\n"
    head += f"space directions: (1,0,0) (0,1,0) (0,0,1)\n{line}\n\n"
    (tmp_path / "a.nrrd").write_bytes(head.encode() + bytes(24))
    with pytest.raises(CaseError, match=match):
        read_itk(tmp_path / "a.nrrd")


def test_a_segmentation_of_slicer_has_names(tmp_path):
    image = itk_image(scan()[1], affine_of())
    for number, (value, name) in enumerate([(1, "liver"), (3, "tumor")]):
        image.SetMetaData(f"Segment{number}_LabelValue", str(value))
        image.SetMetaData(f"Segment{number}_Name", name)
    sitk.WriteImage(image, tmp_path / "a.seg.nrrd")
    assert read_itk_labels(tmp_path / "a.seg.nrrd").names == {1: "liver", 3: "tumor"}


@pytest.mark.parametrize(("layer", "names"), [(0, {1: "liver", 2: "spleen"}), (1, {1: "tumor"})])
def test_a_layer_of_slicer_has_the_names_of_its_own_segments(tmp_path, layer, names):
    layers = np.zeros((2, *scan()[1].shape), np.uint8)
    layers[0, :4], layers[0, 4:], layers[1, 2:5] = 1, 2, 1
    head = "NRRD0004\ntype: uint8\ndimension: 4\nspace: left-posterior-superior\n"
    head += f"sizes: {' '.join(map(str, layers.shape))}\nencoding: raw\n"
    head += "space directions: none (1,0,0) (0,1,0) (0,0,1)\nkinds: list domain domain domain\n"
    head += "space origin: (0,0,0)\n"
    for number, (name, value, at) in enumerate(
        [("liver", 1, 0), ("tumor", 1, 1), ("spleen", 2, 0)]
    ):
        head += f"Segment{number}_Name:={name}\nSegment{number}_LabelValue:={value}\n"
        head += f"Segment{number}_Layer:={at}\n"
    file = tmp_path / "a.seg.nrrd"
    file.write_bytes(head.encode() + b"\n" + layers.tobytes(order="F"))
    found = read_itk_labels(file, channel=layer)
    assert found.names == names
    assert np.array_equal(found.volume.voxels, layers[layer])


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".mgz", nibabel.MGHImage), (".img", nibabel.Nifti1Pair)]
)
def test_what_a_message_says_of_other_files_works(tmp_path, suffix, kind):
    affine = affine_of("LPS")
    image = kind(scan()[0], affine)
    file = tmp_path / f"a{suffix}"
    nibabel.save(image, file)
    with pytest.raises(
        CaseError, match=r"nibabel\.save\(nibabel\.load\('a\.m?\w+'\), 'a\.nii\.gz'\)"
    ):
        read_image(file, ReadingOptions())
    nibabel.save(nibabel.load(file), tmp_path / "a.nii.gz")
    found = read_image(tmp_path / "a.nii.gz", ReadingOptions())
    assert np.array_equal(found.voxels, scan()[0])
    assert np.allclose(found.affine, affine, atol=1e-5)


def test_detached_voxels_count_for_the_sha256(tmp_path):
    digests = set()
    for seed in (0, 1):
        sitk.WriteImage(itk_image(scan(seed)[0], affine_of()), tmp_path / "a.mhd")
        digests.add(content_sha256(tmp_path / "a.mhd"))
    assert len(digests) == 2


def test_foreign_files_are_named(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(b"no volume")
    for read in (
        lambda: read_image(file, ReadingOptions()),
        lambda: read_labels(file, None, ReadingOptions()),
    ):
        with pytest.raises(CaseError, match=r"a\.png: expected \.nii.*found another kind of file"):
            read()
    with pytest.raises(CaseError, match=r"b\.nii: expected a file, found none"):
        read_image(tmp_path / "b.nii", ReadingOptions())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compressed", [False, True])
def test_bytes_that_no_header_accounts_for_are_a_note(tmp_path, kind, compressed):
    file = tmp_path / f"a{kind}"
    sitk.WriteImage(itk_image(scan()[0], affine_of()), file, useCompression=compressed)
    assert read_itk(file).notes == ()
    data = file if kind in (".mha", ".nrrd") else read_itk_header(file).file
    data.write_bytes(data.read_bytes() + bytes(3))
    assert read_itk(file).notes[0].startswith("3 bytes more than the header says")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "dtype", [np.float64, np.float32, np.int64, np.uint64, np.int32, np.uint32, np.int16]
)
def test_labels_of_wide_types_are_those_that_itk_reads(tmp_path, kind, compressed, dtype):
    file, labels = tmp_path / f"a{kind}", scan()[1].astype(dtype)
    labels[labels == 3] = 300
    sitk.WriteImage(itk_image(labels, affine_of("RAS")), file, useCompression=compressed)
    found = read_itk_labels(file).volume.voxels
    assert np.array_equal(found, labels)
    assert found.dtype.itemsize == 2


def test_labels_of_the_other_byte_order_are_read(tmp_path):
    file, labels = tmp_path / "a.mha", scan()[1].astype(np.float64)
    sitk.WriteImage(itk_image(labels, affine_of()), file)
    head, _, data = file.read_bytes().partition(b"ElementDataFile = LOCAL\n")
    head = head.replace(b"ByteOrderMSB = False", b"ByteOrderMSB = True")
    data = np.frombuffer(data, "<f8").astype(">f8").tobytes()
    file.write_bytes(head + b"ElementDataFile = LOCAL\n" + data)
    assert np.array_equal(read_itk(file).voxels, labels)
    assert np.array_equal(read_itk_labels(file).volume.voxels, labels)


def test_a_header_that_skips_bytes_is_left_to_itk(tmp_path):
    file, labels = tmp_path / "a.mhd", scan()[1].astype(np.float64)
    sitk.WriteImage(itk_image(labels, affine_of()), file)
    raw = tmp_path / "a.raw"
    raw.write_bytes(bytes(16) + raw.read_bytes())
    file.write_bytes(
        file.read_bytes().replace(b"ElementSpacing", b"HeaderSize = 16\nElementSpacing")
    )
    volume = read_itk_labels(file).volume
    assert np.array_equal(volume.voxels, labels)
    assert volume.notes == ()


def test_voxels_of_a_microscope_are_as_good_as_others(tmp_path):
    affine = np.diag([-6.5e-5, -6.5e-5, 2e-4, 1])
    sitk.WriteImage(itk_image(scan()[0], affine), tmp_path / "a.mha")
    assert np.allclose(read_itk(tmp_path / "a.mha").affine, affine, rtol=1e-6)


def test_four_axes_without_a_space_are_in_that_of_itk(tmp_path):
    affine = affine_of("RAS")
    parts = [itk_image(scan(number)[0], affine) for number in range(2)]
    sitk.WriteImage(sitk.JoinSeries(parts), tmp_path / "a.nrrd")
    volume = read_itk(tmp_path / "a.nrrd", channel=1)
    assert np.array_equal(volume.voxels, scan(1)[0])
    assert np.abs(volume.affine - affine).max() < 1e-5
    assert "LPS was taken, in which ITK writes these" in volume.notes[0]
