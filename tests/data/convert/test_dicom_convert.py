"""From DICOM to a case by the command: the voxels, and nothing of the patient in any file."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from segbench.cli import cli
from tests.data.convert.dicom_writer import SECRETS, write_enhanced, write_series, write_structures
from tests.data.convert.test_dicom_rtstruct import in_mm, square
from tests.data.convert.test_dicom_seg import segmentation

VOXELS = np.random.RandomState(0).randint(0, 1500, (12, 10, 6))
MASK = VOXELS > 700
ROIS = [("liver", (2, 3)), ("kidney", (5, 7)), ("body", (1, 8))]


@pytest.fixture
def labels(tmp_path):
    """Return a SEG and an RTSTRUCT of a series in the folder ct."""
    files = write_series(tmp_path / "ct", VOXELS, intercept=-1024)
    seg = segmentation(files, MASK[..., None], names=["liver"])
    seg.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    write_structures(tmp_path / "rt.dcm", [("liver", [in_mm(square(2, 5), 1, {})])])
    return {"seg": MASK, "rt": np.pad(np.ones((4, 4, 1)), ((2, 6), (2, 4), (1, 4)))}


@pytest.mark.parametrize("kind", ["seg", "rt"])
def test_a_series_and_its_labels_become_a_case(tmp_path, labels, kind):
    out = tmp_path / "val"
    arguments = ["convert", str(tmp_path / "ct"), str(tmp_path / f"{kind}.dcm")]
    done = CliRunner().invoke(cli, [*arguments, "--raw", "--out", str(out)])
    assert done.exit_code == 0, done.output
    (file,) = out.glob("*.npz")
    assert file.name == "CT_ct.npz"
    with np.load(file, allow_pickle=True) as case:
        np.testing.assert_array_equal(case["gts"], labels[kind].transpose(2, 1, 0))
        np.testing.assert_array_equal(case["imgs"], VOXELS.transpose(2, 1, 0) - 1024)
        np.testing.assert_allclose(case["spacing"], (3.1, 1.3, 0.7))
        texts = [case[name].tobytes() for name in case.files]
    texts += [each.read_bytes() for each in out.iterdir()] + [done.output.encode()]
    assert not [secret for secret in SECRETS.values() for text in texts if secret.encode() in text]


def convert(tmp_path, *words):
    arguments = ["convert", str(tmp_path / "ct"), str(tmp_path / "rt.dcm"), *words]
    return CliRunner().invoke(cli, [*arguments, "--raw", "--out", str(tmp_path / "val")])


def test_what_is_not_asked_for_does_not_cover_what_is(tmp_path):
    write_series(tmp_path / "ct", VOXELS)
    rois = [(name, [in_mm(square(*ends), 1, {})]) for name, ends in ROIS]
    write_structures(tmp_path / "rt.dcm", rois)
    refused = convert(tmp_path)
    assert refused.exit_code == 1
    assert "expected some voxels of 'liver' (1), found none: 'body' (3) is later" in refused.output
    done = convert(tmp_path, "--labels", "kidney,organ=liver")
    assert done.exit_code == 0, done.output
    (file,) = (tmp_path / "val").glob("*.npz")
    with np.load(file, allow_pickle=True) as case:
        labels = case["gts"]
    assert np.argwhere(labels == 2).tolist() == [[1, y, x] for y in (2, 3) for x in (2, 3)]
    assert np.unique(labels).tolist() == [0, 1, 2]
    by_number = convert(tmp_path, "--labels", "2,organ=1", "--replace")
    assert by_number.exit_code == 0, by_number.output
    with np.load(file, allow_pickle=True) as case:
        np.testing.assert_array_equal(case["gts"], labels)


def test_the_rule_of_contours_is_decided_and_the_tilt_is_said_once(tmp_path):
    write_series(tmp_path / "ct", VOXELS, tilt=0.5)
    points = in_mm(square(2, 5), 1, {"tilt": 0.5})
    write_structures(tmp_path / "rt.dcm", [("liver", [points])])
    done = convert(tmp_path)
    assert done.exit_code == 0, done.output
    assert "contours to voxels" not in done.output
    (case,) = json.loads((tmp_path / "val" / "conversion.json").read_text())["cases"]
    assert case["decided"]["voxels_of_labels"].startswith("contours to voxels: ")
    (warning,) = case["warnings"]
    assert "sheared (as by gantry tilt)" in warning


def test_segments_of_one_name_are_one_label_by_this_name(tmp_path):
    write_series(tmp_path / "ct", VOXELS)
    rois = [("node", [in_mm(square(at, at), 1, {})]) for at in (2, 4)]
    write_structures(tmp_path / "rt.dcm", rois)
    assert convert(tmp_path, "--labels", "node").exit_code == 0
    (file,) = (tmp_path / "val").glob("*.npz")
    with np.load(file, allow_pickle=True) as case:
        assert np.argwhere(case["gts"] == 1).tolist() == [[1, 2, 2], [1, 4, 4]]


def test_structures_that_become_one_label_may_overlap_and_those_without_a_voxel_are_named(tmp_path):
    write_series(tmp_path / "ct", VOXELS)
    tiny = np.array(square(6, 6)) * 0.4 + (6.4 * 0.6, 6.4 * 0.6)
    rois = [(name, [in_mm(square(*ends), 1, {})]) for name, ends in ROIS]
    write_structures(tmp_path / "rt.dcm", [*rois, ("tiny", [in_mm(tiny, 1, {})])])
    done = convert(tmp_path, "--labels", "organ=liver+body+tiny")
    assert done.exit_code == 0, done.output
    assert "no voxel of 'tiny' (4)" in done.output
    assert "covers" not in done.output
    (file,) = (tmp_path / "val").glob("*.npz")
    with np.load(file, allow_pickle=True) as case:
        assert np.count_nonzero(case["gts"]) == 64
    assert convert(tmp_path, "--labels", "kidney,tiny", "--replace").output.count("no voxel") == 1


def test_the_name_of_a_case_begins_with_the_modality_that_the_chosen_series_states(tmp_path):
    folder = tmp_path / "study"
    write_series(folder / "a", VOXELS)
    files = write_series(folder / "b", VOXELS, modality="MR", uid="1.2.3")
    segmentation(files, MASK[..., None], names=["liver"]).save_as(
        tmp_path / "seg.dcm", enforce_file_format=True
    )
    arguments = ["convert", str(folder), str(tmp_path / "seg.dcm"), "--series", "1.2.3"]
    done = CliRunner().invoke(cli, [*arguments, "--out", str(tmp_path / "val")])
    assert done.exit_code == 0, done.output
    assert [file.name for file in (tmp_path / "val").glob("*.npz")] == ["MR_study.npz"]


def test_a_list_names_dicom_cases_by_their_modality_too(tmp_path, labels):
    (tmp_path / "list.csv").write_text("image,labels,dataset\nct,seg.dcm,D\n")
    arguments = ["convert", str(tmp_path / "list.csv"), "--out", str(tmp_path / "val")]
    planned = CliRunner().invoke(cli, [*arguments, "--dry-run"])
    assert "CT_D_ct  ct     seg.dcm  CT" in planned.output
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    assert [file.name for file in (tmp_path / "val").glob("*.npz")] == ["CT_D_ct.npz"]


def test_one_enhanced_file_is_named_without_its_suffix(tmp_path, labels):
    file = write_enhanced(tmp_path / "enh.dcm", VOXELS)
    arguments = ["convert", str(file), str(tmp_path / "rt.dcm"), "--out", str(tmp_path / "val")]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    assert [file.name for file in (tmp_path / "val").glob("*.npz")] == ["CT_enh.npz"]


@pytest.mark.parametrize("option", ["--channel", "--label-channel"])
def test_a_series_and_its_labels_have_no_second_channel(tmp_path, labels, option):
    done = convert(tmp_path, option, "1")
    assert done.exit_code == 1
    assert "expected a channel 0, as the file is one volume, found 1" in done.output
