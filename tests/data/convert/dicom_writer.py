"""DICOM series, segmentations and structure sets as scanners and viewers write them, but small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    RTStructureSetStorage,
    generate_uid,
)

# everything of a header that must not leave it
SECRETS = {
    "PatientName": "Zwanzigmann^Quirina",
    "PatientID": "PID-880077",
    "PatientBirthDate": "19310203",
    "PatientComments": "COMMENTSECRET",
    "StudyDate": "20190807",
    "StudyTime": "112233",
    "AccessionNumber": "ACC4711X",
    "InstitutionName": "Clinique Xylophon",
    "ReferringPhysicianName": "Ypsilanti^Ottokar",
    "StudyDescription": "STUDYSECRET",
    "SeriesDescription": "Zwanzigmann Thorax",
    "ProtocolName": "PROTOCOLSECRET",
    "StationName": "STATIONSECRET",
    "StudyID": "SID9911",
}
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
TURN = np.linalg.qr(np.array([[1.0, 0.2, -0.1], [-0.25, 1.0, 0.3], [0.05, -0.3, 1.0]]))[0]
OBLIQUE = tuple((TURN * np.sign(np.diag(TURN))).T[:2].ravel())
FRAME_OF_REFERENCE = generate_uid(entropy_srcs=["frame of reference"])


def write_series(folder: Path, voxels, *, modality="CT", change=None, **grid) -> list[Path]:
    """Write one file per slice of (column, row, slice); ``change(dataset, slice)`` may alter it.

    Files have shuffled names. ``grid``: orientation, spacing (column, row, slice), origin in LPS,
    tilt (mm that each slice is shifted along a column), slope, intercept, dtype, uid.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = np.random.RandomState(7).permutation(voxels.shape[2])
    uid = grid.get("uid") or generate_uid()
    study, files = generate_uid(entropy_srcs=["study"]), []
    for index in range(voxels.shape[2]):
        dataset = image_header(modality, study, uid)
        dataset.ImagePositionPatient = position(index, **grid)
        dataset.ImageOrientationPatient = list(grid.get("orientation", AXIAL))
        dataset.PixelSpacing = list(grid.get("spacing", (0.7, 1.3, 3.1))[1::-1])
        dataset.RescaleSlope, dataset.RescaleIntercept = (
            grid.get("slope", 1),
            grid.get("intercept", 0),
        )
        dataset.InstanceNumber = index + 1
        set_pixels(dataset, voxels[:, :, index].T.astype(grid.get("dtype", np.int16)))
        if change is not None:
            dataset = change(dataset, index) or dataset
        file = folder / f"IM{names[index]:04}.dcm"
        dataset.save_as(file, enforce_file_format=True)
        files.append(file)
    return files


def position(
    index,
    *,
    orientation=AXIAL,
    spacing=(0.7, 1.3, 3.1),
    origin=(-20.5, 11.25, -100.0),
    tilt=0.0,
    **_,
):
    """Return the place of the first pixel of a slice, in LPS."""
    row, column = np.reshape(orientation, (2, 3))
    normal = np.cross(row, column)
    return list(np.asarray(origin) + index * (spacing[2] * normal + tilt * column))


def affine_of(**grid):
    """Return the matrix from (column, row, slice) to mm in RAS that a series has."""
    row, column = np.reshape(grid.get("orientation", AXIAL), (2, 3))
    spacing = grid.get("spacing", (0.7, 1.3, 3.1))
    first, second = np.array(position(0, **grid)), np.array(position(1, **grid))
    matrix = np.eye(4)
    columns = (row * spacing[0], column * spacing[1], second - first, first)
    matrix[:3] = np.diag([-1.0, -1, 1]) @ np.column_stack(columns)
    return matrix


def image_header(modality: str, study: str, series: str) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = {"MR": MRImageStorage}.get(modality, CTImageStorage)
    dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.Modality, dataset.ImageType = modality, ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.FrameOfReferenceUID = FRAME_OF_REFERENCE
    dataset.PositionReferenceIndicator = ""
    dataset.SeriesNumber, dataset.PatientSex, dataset.PatientPosition = 3, "O", "HFS"
    dataset.Manufacturer, dataset.SliceThickness, dataset.KVP = "", 1, 120
    dataset.Laterality = ""
    for keyword, value in SECRETS.items():
        setattr(dataset, keyword, value)
    return dataset


def set_pixels(dataset: Dataset, pixels) -> None:
    """Set the pixels of one (row, column) or many (frame, row, column) frames."""
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    raw = np.ascontiguousarray(pixels).tobytes()
    dataset["PixelData"] = pixel_element(raw + b"\0" * (len(raw) % 2), pixels.dtype.itemsize)


def pixel_element(raw: bytes, size: int):
    dataset = Dataset()
    dataset.add_new("PixelData", "OB" if size == 1 else "OW", raw)
    return dataset["PixelData"]


def write_enhanced(file: Path, voxels, *, order=None, **grid) -> Path:
    """Write one enhanced CT file with its frames in any order."""
    order = list(range(voxels.shape[2])) if order is None else order
    dataset = image_header("CT", generate_uid(), grid.get("uid") or generate_uid())
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    shared, orientation, measures, scale = Dataset(), Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = list(grid.get("orientation", AXIAL))
    measures.PixelSpacing = list(grid.get("spacing", (0.7, 1.3, 3.1))[1::-1])
    scale.RescaleSlope, scale.RescaleIntercept = grid.get("slope", 1), grid.get("intercept", 0)
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PixelValueTransformationSequence = Sequence([scale])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for index in order:
        group, place = Dataset(), Dataset()
        place.ImagePositionPatient = position(index, **grid)
        group.PlanePositionSequence = Sequence([place])
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    dataset.NumberOfFrames = len(order)
    frames = voxels.transpose(2, 1, 0)[order]
    set_pixels(dataset, frames.astype(grid.get("dtype", np.int16)))
    dataset.save_as(file, enforce_file_format=True)
    return file


def write_structures(file: Path, rois, *, uid=FRAME_OF_REFERENCE, change=None) -> Path:
    """Write an RTSTRUCT; ``rois`` are (name, contours), a contour is points in mm in LPS."""
    dataset = image_header("RTSTRUCT", generate_uid(), generate_uid())
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    reference = Dataset()
    reference.FrameOfReferenceUID = uid
    dataset.ReferencedFrameOfReferenceSequence = Sequence([reference])
    names, contours = [], []
    for number, (name, polygons) in enumerate(rois, 1):
        named, drawn = Dataset(), Dataset()
        named.ROINumber, named.ROIName, named.ROIGenerationAlgorithm = number, name, "MANUAL"
        named.ReferencedFrameOfReferenceUID = uid
        drawn.ReferencedROINumber = number
        drawn.ContourSequence = Sequence(_contour(points) for points in polygons)
        names.append(named)
        contours.append(drawn)
    dataset.StructureSetROISequence = Sequence(names)
    dataset.ROIContourSequence = Sequence(contours)
    dataset.StructureSetLabel, dataset.ApprovalStatus = "plan", "UNAPPROVED"
    if change is not None:
        change(dataset)
    dataset.save_as(file, enforce_file_format=True)
    return file


def _contour(points) -> Dataset:
    contour = Dataset()
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = len(points)
    contour.ContourData = [f"{value:.6g}" for value in np.asarray(points).ravel()]
    return contour
