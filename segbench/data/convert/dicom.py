"""DICOM in two functions: an image series, and the labels that were drawn on it."""

from segbench.data.convert.dicom_labels import read_labels
from segbench.data.convert.dicom_series import read_series

__all__ = ["read_labels", "read_series"]
