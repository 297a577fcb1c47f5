"""From DICOM to a case by the command: the voxels, and nothing of the patient in any file."""

import numpy as np
import pytest
from click.testing import CliRunner

from segbench.cli import cli
from tests.data.convert.dicom_writer import SECRETS, write_series, write_structures
from tests.data.convert.test_dicom_rtstruct import in_mm, square
from tests.data.convert.test_dicom_seg import segmentation

VOXELS = np.random.RandomState(0).randint(0, 1500, (12, 10, 6))
MASK = VOXELS > 700


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
    with np.load(file, allow_pickle=True) as case:
        np.testing.assert_array_equal(case["gts"], labels[kind].transpose(2, 1, 0))
        np.testing.assert_array_equal(case["imgs"], VOXELS.transpose(2, 1, 0) - 1024)
        np.testing.assert_allclose(case["spacing"], (3.1, 1.3, 0.7))
        texts = [case[name].tobytes() for name in case.files]
    texts += [each.read_bytes() for each in out.iterdir()] + [done.output.encode()]
    assert not [secret for secret in SECRETS.values() for text in texts if secret.encode() in text]
