"""Every code that a check may report: its level, what it means, and what to do.

docs/check.md says why each one matters. Codes are stable: scripts may name them.

Standard library only: the command line imports this for its help.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")


class Code(NamedTuple):
    """What a code means."""

    level: Level
    meaning: str  # a sentence without its full stop
    cure: str


CODES = {
    # files
    "data-refused": Code(
        "error",
        "the folder cannot be used as it is",
        "rename or remove what is named",
    ),
    "file-unreadable": Code(
        "error",
        "the file of a case is no complete .npz archive",
        "copy or write the file again",
    ),
    "pickle-refused": Code(
        "error",
        "a key that run reads has a pickle of other than plain data",
        "do not open the file with allow_pickle=True; write the key as a plain array",
    ),
    "reference-invalid": Code(
        "error",
        "the reference is missing or is no label map",
        "write gts as integers (z, y, x) with 0 as background",
    ),
    "spacing-invalid": Code(
        "error",
        "the spacing is missing or not three positive numbers",
        "write spacing as (z, y, x) in mm",
    ),
    "boxes-invalid": Code(
        "error",
        "the boxes cannot be read, or are not one for each label",
        "write one box for each label in ascending order, or leave boxes out",
    ),
    "image-invalid": Code(
        "error",
        "the image is missing, damaged, or not on the grid of the reference",
        "write imgs as numbers in the shape of gts",
    ),
    "grid-invalid": Code(
        "error",
        "the stored grid of the source is damaged or incomplete",
        "convert the case again",
    ),
    "check-died": Code(
        "error",
        "the process that checked a case ended without an answer",
        "check this case alone, with more memory",
    ),
    "pickle-unread": Code(
        "warning",
        "a key that run does not read has a pickle of other than plain data",
        "do not open the file with allow_pickle=True; write it without this key",
    ),
    "key-misspelt": Code(
        "warning",
        "a key has nearly the name of one that is missing",
        "rename the key if it is meant",
    ),
    # geometry
    "spacing-order": Code(
        "warning",
        "the spacing looks as if it were in the order (x, y, z)",
        "write spacing as (z, y, x), the order of the axes of imgs",
    ),
    "array-order": Code(
        "warning",
        "the arrays look as if their axes were (x, y, z)",
        "transpose imgs and gts to (z, y, x), and spacing and boxes with them",
    ),
    "spacing-implausible": Code(
        "warning",
        "the spacing is not one of the modality in mm",
        "state the spacing in mm, as the scan's file has it",
    ),
    "size-implausible": Code(
        "warning",
        "the volume is too small or too large for the modality",
        "compare shape and spacing with the scan's file",
    ),
    "spacing-grid": Code(
        "warning",
        "spacing or shape are not those of the stored grid",
        "convert the case again; do not resample a converted case",
    ),
    "spacing-default": Code(
        "note",
        "the spacing is exactly 1 mm on all axes, as when a file's own one is lost",
        "compare it with the scan's file",
    ),
    # intensity
    "image-nonfinite": Code(
        "warning",
        "the image has values that are not finite",
        "replace NaN and infinity before they are written",
    ),
    "image-constant": Code(
        "warning",
        "all finite voxels of the image have one value",
        "write the image again; check the window",
    ),
    "intensity-range": Code(
        "warning",
        "the intensities are not on the challenge's scale",
        "map the image to 0..255, or report that it was not",
    ),
    # labels
    "label-unexpected": Code(
        "warning",
        "a case has labels that most cases of its dataset do not have",
        "check the numbering of its labels",
    ),
    "label-tiny": Code(
        "warning",
        "a label has very few voxels",
        "remove the label if it is debris",
    ),
    "label-missing": Code(
        "note",
        "a case lacks labels that most cases of its dataset have",
        "check that the structure is not in the scan",
    ),
    "label-gaps": Code(
        "note",
        "the labels are not 1 to K without gaps",
        "nothing, if the numbers are meant; official files have no gaps",
    ),
    "label-fragmented": Code(
        "note",
        "a label has many components or is mostly outside its largest one",
        "nothing, if the structure is scattered; else remove debris",
    ),
    "label-at-border": Code(
        "note",
        "a label touches the border of the volume, so that it may be cut",
        "nothing, if the scan ends there; else crop with more margin",
    ),
    # boxes
    "box-outside": Code(
        "warning",
        "a box is partly outside the volume",
        "draw the boxes from gts again",
    ),
    "box-misses": Code(
        "warning",
        "a box has no voxel of its label",
        "draw the boxes from gts again, in the order of the labels",
    ),
    "box-axes": Code(
        "warning",
        "a box fits its label if its axes are reversed",
        "write z as the first axis of the arrays, x as the last",
    ),
    "box-order": Code(
        "warning",
        "boxes fit other labels better than their own",
        "write the boxes in ascending order of the labels",
    ),
    "box-z": Code(
        "warning",
        "the extent of a box in z is not that of its label",
        "draw the boxes from gts again",
    ),
    "box-mid-slice": Code(
        "warning",
        "the slice on which a box is drawn is not the middle one of its label",
        "draw the boxes from gts again",
    ),
    "box-cuts": Code(
        "warning",
        "a box cuts its label on the slice on which it is drawn",
        "draw the boxes from gts again",
    ),
    "box-too-wide": Code(
        "warning",
        "a box is wider than the challenge's rule allows",
        "draw the boxes from gts by the challenge's rule",
    ),
    # metric
    "nsd-saturated": Code(
        "warning",
        "poor predictions of a label have an NSD near 1: it says nothing about this label",
        "report DSC, or NSD at a smaller tolerance",
    ),
    # the whole folder, and other folders
    "duplicate-case": Code(
        "warning",
        "two cases have the same image and reference",
        "keep one of them",
    ),
    "duplicate-image": Code(
        "warning",
        "two cases have the same image and different references",
        "keep one of them, or treat them as one patient",
    ),
    "case-in-both": Code(
        "warning",
        "an image is also in the other folder",
        "leave the case out of one of the folders",
    ),
    "patient-in-both": Code(
        "warning",
        "a patient is also in the other folder",
        "leave all scans of the patient out of one of the folders",
    ),
    "against-unreadable": Code(
        "warning",
        "a case of the other folder cannot be read, so it was not compared",
        "check that folder, too",
    ),
    "patient-unknown": Code(
        "note",
        "the patient of cases is not stated, so they were compared by content only",
        "give --patient-pattern, or a column patient in index.csv",
    ),
}
