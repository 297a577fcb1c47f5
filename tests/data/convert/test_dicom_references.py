"""Labels are those of the series that is chosen: by its frame of reference and its UID."""

import numpy as np
import pytest
from click.testing import CliRunner

from segbench.cli import cli
from segbench.data.convert.dicom import read_labels, read_series
from segbench.data.convert.dicom_files import short_code
from segbench.data.convert.dicom_references import OTHER_SERIES
from segbench.data.convert.volume import Volume
from segbench.errors import CaseError
from tests.data.convert.dicom_writer import FRAME_OF_REFERENCE, write_series, write_structures
from tests.data.convert.test_dicom_rtstruct import in_mm, square
from tests.data.convert.test_dicom_seg import segmentation

VOXELS = np.random.RandomState(0).randint(0, 1500, (12, 10, 6))
MASKS = (VOXELS > 700)[..., None]
OTHER_FRAME = "1.2.826.0.1.3680043.8.498.7"
CT, MR = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.2"


def in_frame(uid):
    """Return a change of a header: its frame of reference, or none."""

    def change(dataset, *_):
        if uid is None:
            del dataset.FrameOfReferenceUID
        else:
            dataset.FrameOfReferenceUID = uid

    return change


@pytest.fixture
def study(tmp_path):
    """Return a folder with a CT and an MR on the same grid, in different frames of reference."""
    folder = tmp_path / "study"
    files = {"CT": write_series(folder / "ct", VOXELS, uid=CT)}
    files["MR"] = write_series(
        folder / "mr", VOXELS, uid=MR, modality="MR", change=in_frame(OTHER_FRAME)
    )
    return folder, files


def write_seg(file, sources, change=None):
    seg = segmentation(sources, MASKS, names=["liver"])
    if change is not None:
        change(seg)
    seg.save_as(file, enforce_file_format=True)
    return file


@pytest.mark.parametrize(("drawn_on", "chosen"), [("CT", MR), ("MR", CT)])
def test_labels_of_the_other_series_of_a_folder_are_refused(tmp_path, study, drawn_on, chosen):
    folder, files = study
    seg = write_seg(tmp_path / "seg.dcm", files[drawn_on])
    with pytest.raises(CaseError, match="they belong to other images"):
        read_labels(seg, read_series(folder, series=chosen))
    words = ["convert", folder, seg, "--series", short_code(chosen), "--out", tmp_path / "val"]
    done = CliRunner().invoke(cli, [*map(str, words)])
    assert done.exit_code == 1
    assert "found another one: they belong to other images" in done.output


def test_labels_of_the_chosen_series_are_read_without_a_note(tmp_path, study):
    folder, files = study
    seg = write_seg(tmp_path / "seg.dcm", files["MR"])
    found = read_labels(seg, read_series(folder, series=MR))
    np.testing.assert_array_equal(found.volume.voxels, MASKS[..., 0])
    assert found.volume.notes == ()


def test_labels_of_another_series_in_the_same_frame_of_reference_are_noted(tmp_path):
    files = write_series(tmp_path / "a", VOXELS, uid=CT)
    write_series(tmp_path / "b", VOXELS, uid=MR)
    seg = write_seg(tmp_path / "seg.dcm", files)
    assert read_labels(seg, read_series(tmp_path / "b")).volume.notes == (OTHER_SERIES,)


@pytest.mark.parametrize("without", ["labels", "image"])
def test_a_frame_of_reference_that_is_not_stated_is_noted(tmp_path, without):
    files = write_series(tmp_path / "ct", VOXELS, uid=CT)
    seg = write_seg(tmp_path / "seg.dcm", files, in_frame(None) if without == "labels" else None)
    if without == "image":
        write_series(tmp_path / "ct", VOXELS, uid=CT, change=in_frame(None))
    (note,) = read_labels(seg, read_series(tmp_path / "ct")).volume.notes
    assert note.startswith(f"the {without} state no frame of reference: nothing but their grid")


def test_of_several_segs_only_those_that_are_read_count(tmp_path, study):
    folder, files = study
    (tmp_path / "seg").mkdir()
    write_seg(tmp_path / "seg" / "a.dcm", files["CT"])
    other = segmentation(files["MR"], MASKS, names=["prostate"])
    other.save_as(tmp_path / "seg" / "b.dcm", enforce_file_format=True)
    image = read_series(folder, series=CT)
    assert read_labels(tmp_path / "seg", image, only=["liver"]).volume.notes == ()
    with pytest.raises(CaseError, match="they belong to other images"):
        read_labels(tmp_path / "seg", image)


def test_of_a_structure_set_only_the_structures_that_are_read_count(tmp_path, study):
    def second_elsewhere(dataset):
        dataset.StructureSetROISequence[1].ReferencedFrameOfReferenceUID = OTHER_FRAME

    rois = [(name, [in_mm(square(2, 5), 1, {})]) for name in ("liver", "prostate")]
    file = write_structures(tmp_path / "rt.dcm", rois, change=second_elsewhere)
    image = read_series(study[0], series=CT)
    found = read_labels(file, image, only=["liver"])
    assert np.unique(found.volume.voxels).tolist() == [0, 1]
    with pytest.raises(CaseError, match="they belong to other images"):
        read_labels(file, image, only=["prostate"])


def test_a_structure_that_states_no_frame_has_that_of_the_file(tmp_path, study):
    def second_nowhere(dataset):
        del dataset.StructureSetROISequence[1].ReferencedFrameOfReferenceUID
        dataset.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID = OTHER_FRAME

    rois = [(name, [in_mm(square(2, 5), 1, {})]) for name in ("liver", "prostate")]
    file = write_structures(tmp_path / "rt.dcm", rois, change=second_nowhere)
    with pytest.raises(CaseError, match="they belong to other images"):
        read_labels(file, read_series(study[0], series=CT), only=["prostate"])


def test_slices_of_several_frames_of_reference_are_noted(tmp_path):
    def change(dataset, index):
        dataset.FrameOfReferenceUID = FRAME_OF_REFERENCE if index else OTHER_FRAME

    write_series(tmp_path, VOXELS, change=change)
    (note,) = read_series(tmp_path).notes
    assert note.startswith("the slices state 2 frames of reference")


def test_dicom_labels_need_a_dicom_image(tmp_path, study):
    seg = write_seg(tmp_path / "seg.dcm", study[1]["CT"])
    with pytest.raises(CaseError, match="expected a DICOM series as the image of DICOM labels"):
        read_labels(seg, Volume(VOXELS, np.eye(4)))
