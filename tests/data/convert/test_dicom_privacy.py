"""Nothing but voxels, geometry, modality and the names of labels leaves a header."""

import logging
import warnings

import numpy as np
import pytest

from segbench.data.convert.dicom import read_labels, read_series
from segbench.errors import CaseError
from tests.data.convert.dicom_writer import (
    FRAME_OF_REFERENCE,
    SECRETS,
    write_series,
    write_structures,
)
from tests.data.convert.test_dicom_rtstruct import in_mm, square
from tests.data.convert.test_dicom_seg import segmentation

UID = "1.2.826.77.20190807.4711"
HIDDEN = [*SECRETS.values(), "Zwanzigmann", "Ypsilanti", UID, "4711", FRAME_OF_REFERENCE]
VOXELS = np.random.RandomState(0).randint(0, 1000, (12, 10, 6))


def everything(volume):
    """Return all that a volume holds, as text."""
    return repr(vars(volume)) + volume.voxels.tobytes().decode("latin1")


def test_images_and_labels_hold_nothing_of_the_patient(tmp_path):
    files = write_series(tmp_path / "ct", VOXELS, uid=UID, tilt=0.5)
    image = read_series(tmp_path / "ct")
    seg = segmentation(files, (VOXELS > 500)[..., None], names=["liver"])
    seg.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    structures = write_structures(
        tmp_path / "rt.dcm", [("x", [in_mm(square(2, 5), 1, {"tilt": 0.5})]), ("none", [])]
    )
    texts = [everything(image)]
    for file in (tmp_path / "seg.dcm", structures):
        labels = read_labels(file, image)
        texts += [everything(labels.volume), repr(labels.names)]
    assert not [secret for secret in HIDDEN for text in texts if secret in text]
    assert set(vars(image)) == {"voxels", "affine", "notes", "modality", "ids"}
    assert image.ids.series not in texts[1]  # what stands for a UID stays with the image


def said_of(place):
    """Return what is returned or raised, with the errors behind it."""
    try:
        return everything(read_series(place))
    except CaseError as error:
        return f"{error}{error.__cause__ or ''}"


def set_each(keyword, value):
    def change(dataset, index):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pydicom, about values like these
            dataset.add_new(keyword, "LO", value)
            if index == 3 and keyword == "PatientID":
                dataset.ImagePositionPatient = [0, 0, 0]

    return change


@pytest.mark.parametrize(
    "keyword",
    [
        *("PatientID", "Modality", "SOPClassUID", "PixelSpacing", "Rows", "BitsAllocated"),
        *("ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "ImageType"),
        *("PhotometricInterpretation", "SeriesInstanceUID", "NumberOfFrames"),
    ],
)
def test_messages_hold_nothing_of_the_patient(tmp_path, caplog, recwarn, keyword):
    caplog.set_level(logging.DEBUG)
    write_series(tmp_path / "a", VOXELS, uid=UID, change=set_each(keyword, "Zwanzigmann"))
    write_series(tmp_path / "b", VOXELS, uid=UID + ".9")
    recwarn.clear()
    caplog.clear()
    for place in (tmp_path, tmp_path / "a"):
        text = said_of(place)
        assert text
        text += caplog.text + "".join(str(warning.message) for warning in recwarn)
        assert not [secret for secret in HIDDEN if secret in text]
