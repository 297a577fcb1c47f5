"""Every orientation: from a file to a case, through a run, and back, voxel for voxel."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

import segbench
from segbench.data.case_folder import find_cases
from segbench.data.convert.conversion import convert_scan
from segbench.data.convert.nifti import write_nifti
from segbench.data.convert.rules import Rules
from segbench.data.convert.scan import Scan
from segbench.data.convert.volume import case_affine
from segbench.report.volumes import write_volumes
from segbench.runs.run_folder import read_run
from tests.data.convert.sources import ROTATION, SPACINGS, affine_of, orientations, scan

GRIDS = {
    f"{axes}-{number}": affine_of(axes, spacing)
    for axes in orientations()
    for number, spacing in enumerate(SPACINGS)
}
GRIDS |= {
    f"oblique-{axes}": affine_of(axes, SPACINGS[0], ROTATION)
    for axes in ("LPS", "RAS", "SAL", "PIR")
}


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Return a folder of sources and one of cases."""
    folder = tmp_path_factory.mktemp("orientations")
    (folder / "val").mkdir()
    image, labels = scan()
    for name, affine in GRIDS.items():
        files = folder / f"{name}.nii", folder / f"{name}_seg.nii"
        write_nifti(files[0], image, affine)
        write_nifti(files[1], labels, affine)
        done = convert_scan(
            Scan(f"CT_{name}", *files, "CT"), Rules(), folder / "val", replace_changed=False
        )
        assert done.status == "converted", done.reason
    return folder


def test_there_are_all_of_them():
    assert len(GRIDS) == 48 * 3 + 4


def test_the_labels_and_the_matrix_come_back(converted, run, tmp_path):
    write_volumes([run], tmp_path / "out")
    for name in GRIDS:
        source = nibabel.load(converted / f"{name}_seg.nii")
        for file in ("reference", "oracle/step5"):
            written = nibabel.load(tmp_path / "out" / f"CT_{name}" / f"{file}.nii.gz")
            assert np.array_equal(written.dataobj, source.dataobj), name
            assert np.array_equal(written.get_sform(), source.get_sform()), name


def test_simple_itk_sees_the_same_voxels_at_the_same_places(converted):
    index = np.array([2, 3, 4])  # x, y, z of the case
    for file in find_cases(converted / "val"):
        case = file.read()
        image = sitk.ReadImage(converted / f"{case.name.removeprefix('CT_')}.nii")
        place = (case_affine(case.grid) @ [*index, 1])[:3] * (-1, -1, 1)
        if not case.name.startswith("CT_oblique"):
            image = sitk.DICOMOrient(image, "LPS")
            assert np.abs(image.TransformIndexToPhysicalPoint(index.tolist()) - place).max() < 1e-4
            assert np.allclose(image.GetSpacing()[::-1], case.image.spacing, atol=1e-6)
            assert np.array_equal(case.image.voxels, soft_tissue(sitk.GetArrayFromImage(image)))
        else:
            found = image.TransformPhysicalPointToContinuousIndex(place)
            value = image.GetPixel([round(at) for at in found])
            assert np.abs(np.array(found) - np.rint(found)).max() < 1e-4
            assert case.image.voxels[4, 3, 2] == soft_tissue(value)


def soft_tissue(values):
    """Return Hounsfield units in a window of width 400 and level 40."""
    return np.rint((np.clip(np.float64(values), -160, 240) + 160) * (255 / 400)).astype(np.uint8)


@pytest.fixture(scope="module")
def run(converted):
    """Return the run folder of the oracle on all of them."""
    folder = converted / "run"
    segbench.evaluate(
        "oracle",
        converted / "val",
        out=folder,
        option={"references": str(converted / "val")},
        in_process=True,
        progress=False,
    )
    return folder


def test_the_oracle_scores_1_on_all(run):
    results = read_run(run).case_results
    assert {case.status for case in results} == {"ok"}
    scores = [score for case in results for score in case.steps[-1].scores]
    assert len(scores) == 2 * len(GRIDS)
    assert {(score.dsc, score.nsd) for score in scores} == {(1.0, 1.0)}
