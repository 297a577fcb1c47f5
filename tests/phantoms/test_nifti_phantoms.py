"""Phantoms as NIfTI: the same voxels as the cases, at varied places of a scanner."""

import importlib.util
import json

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner

from segbench.cli import cli
from segbench.data.case_folder import find_cases
from segbench.data.convert.volume import Volume, case_spacing, to_case_order
from segbench.data.dataset import read_case
from segbench.phantoms import ORIENTATIONS, make_phantoms

N = 8  # all orientations, and the first once more


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("scans") / "new" / "scans"
    make_phantoms(out, cases=N, seed=3, format="nifti")
    return out


def phantoms(*words):
    words = ["phantoms", *map(str, words)]
    return CliRunner().invoke(cli, words, catch_exceptions=False)


def volume(file):
    image = nibabel.load(file)
    return Volume(np.asarray(image.dataobj), image.affine)


def test_the_folders_are_those_of_nnunet(folder):
    names = json.loads((folder / "dataset.json").read_text())["orientations"]
    assert len(names) == N
    there = {"imagesTr", "labelsTr", "dataset.json", "scans.csv"}
    assert {path.name for path in folder.iterdir()} == there
    images = {file.name for file in (folder / "imagesTr").iterdir()}
    labels = {file.name for file in (folder / "labelsTr").iterdir()}
    assert images == {f"{name}_0000.nii.gz" for name in names}
    assert labels == {f"{name}.nii.gz" for name in names}
    facts = json.loads((folder / "dataset.json").read_text())
    assert facts["numTraining"] == N
    assert facts["file_ending"] == ".nii.gz"
    assert list(facts["channel_names"]) == ["0"]


def test_orientations_are_varied_and_as_stated(folder):
    stated = json.loads((folder / "dataset.json").read_text())["orientations"]
    assert set(stated.values()) == set(ORIENTATIONS)
    for name, orientation in stated.items():
        image = nibabel.load(folder / "labelsTr" / f"{name}.nii.gz")
        assert "".join(nibabel.aff2axcodes(image.affine)) == orientation.removeprefix("tilted ")
        is_tilted = np.count_nonzero(np.abs(image.affine[:3, :3]) > 1e-6) > 3
        assert is_tilted == orientation.startswith("tilted")
        assert orientation.encode() in bytes(image.header["descrip"])


def test_the_voxels_are_those_of_the_cases(folder, tmp_path):
    make_phantoms(tmp_path / "val", cases=N, seed=3)
    for source in find_cases(tmp_path / "val"):
        case = read_case(source)
        image = volume(folder / "imagesTr" / f"{case.name}_0000.nii.gz")
        labels = volume(folder / "labelsTr" / f"{case.name}.nii.gz")
        np.testing.assert_array_equal(image.affine, labels.affine)
        np.testing.assert_array_equal(to_case_order(image), case.image.voxels)
        np.testing.assert_array_equal(to_case_order(labels), case.reference)
        np.testing.assert_allclose(case_spacing(image.affine), case.image.spacing, rtol=1e-5)


def test_simple_itk_reads_the_same_grid(folder):
    for file in (folder / "labelsTr").iterdir():
        affine = nibabel.load(file).affine
        image = sitk.ReadImage(str(file))
        corner = [length - 1 for length in image.GetSize()]
        lps = (affine @ [*corner, 1])[:3] * (-1, -1, 1)
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(corner), lps, atol=1e-4)


def test_the_same_seed_makes_the_same_bytes_and_more_cases_keep_the_first(folder, tmp_path):
    make_phantoms(tmp_path / "a", cases=2, seed=3, format="nifti")
    make_phantoms(tmp_path / "a", cases=3, seed=3, format="nifti")
    files = list((tmp_path / "a").rglob("*.nii.gz"))
    assert len(files) == 6
    for file in files:
        assert file.read_bytes() == (folder / file.relative_to(tmp_path / "a")).read_bytes()
    assert json.loads((tmp_path / "a" / "dataset.json").read_text())["numTraining"] == 3


def test_other_cases_and_another_dataset_are_not_touched(tmp_path):
    (tmp_path / "a" / "labelsTr").mkdir(parents=True)
    (tmp_path / "a" / "labelsTr" / "mine.nii.gz").write_bytes(b"mine")
    done = phantoms(tmp_path / "a", "--format", "nifti")
    assert done.exit_code == 2
    assert "expected a folder without other cases" in done.stderr
    for name in ("dataset.json", "scans.csv"):
        other = tmp_path / f"other-{name}"
        other.mkdir()
        (other / name).write_text("{}")
        done = phantoms(other, "--format", "nifti")
        assert done.exit_code == 2
        assert f"{name}: expected nothing or the file of earlier phantoms" in done.stderr
        assert [path.name for path in other.iterdir()] == [name]
    assert phantoms(tmp_path / "c", "--format", "nifti", "--cases", "1").exit_code == 0
    done = phantoms(tmp_path / "c", "--format", "nifti", "--cases", "1", "--seed", "1")
    assert "expected the phantom of seed 1" in done.stderr


def test_their_list_makes_the_cases_again(folder, tmp_path):
    make_phantoms(tmp_path / "val", cases=N, seed=3)
    words = ["--label-names", folder / "dataset.json", "--keep-values", "--out", tmp_path / "again"]
    done = CliRunner().invoke(cli, ["convert", str(folder / "scans.csv"), *map(str, words)])
    assert done.exit_code == 0, done.output
    for source in find_cases(tmp_path / "val"):
        case, again = (
            read_case(source),
            read_case(find_cases(tmp_path / "again" / source.file.name)[0]),
        )
        np.testing.assert_array_equal(again.image.voxels, case.image.voxels)
        np.testing.assert_array_equal(again.reference, case.reference)
        np.testing.assert_allclose(again.image.spacing, case.image.spacing, rtol=1e-5)
        assert (again.name, again.modality, again.dataset) == (case.name, case.modality, "Phantom")


def test_without_nibabel_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = phantoms(tmp_path / "a", "--format", "nifti")
    assert done.exit_code == 2
    assert "pip install 'segbench[convert]', or choose npz" in done.stderr
    assert not (tmp_path / "a").exists()
