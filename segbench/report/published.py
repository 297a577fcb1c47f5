"""The paper's Tables 3 to 5 as package data: read, labelled, cited; never ranked with runs."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from segbench.errors import RunError
from segbench.report.modalities import code_of

CITATION = (
    "T. Camaret Ndir, A. Pfefferle, R. T. Schirrmeister: Dynamic Prompt Generation for Interactive "
    "3D Medical Image Segmentation Training. CVPR 2025 workshop: Foundation Models for 3D "
    "Biomedical Image Segmentation, OpenReview EnSf2D1blH"
)
MARK = "†"
OVERALL = "Overall"
# The abstract's means over all cases of the validation set; Table 3 itself has no such row.
_ABSTRACT = {"DSC AUC": 2.4799, "NSD AUC": 2.5671, "DSC Final": 0.6385, "NSD Final": 0.6614}
_DERIVED = " Its means over modalities are computed here from its rows."
_OVER_CASES = " Its mean over all cases is that of the paper's abstract."
_FILES = {
    "table3": (
        "table3_validation.csv",
        "Table 3, the challenge's validation set",
        _DERIVED + _OVER_CASES,
    ),
    "table4": ("table4_bbox.csv", "Table 4, the challenge's validation set", ""),
    "table5": ("table5_test.csv", "Table 5, the challenge's test set", _DERIVED),
}


@dataclass(frozen=True)
class PublishedRow:
    """One row of a published table; ``box`` is None where the table does not tell boxes apart."""

    method: str
    modality: str  # a code, or OVERALL
    box: bool | None
    means: Mapping[str, float]


@dataclass(frozen=True)
class Published:
    """A published table with its rows in the paper's order."""

    name: str
    source: str
    remark: str
    rows: tuple[PublishedRow, ...]

    @property
    def note(self) -> str:
        """What stands under every table that shows these rows."""
        return (
            f"{MARK} As published, not measured here: {self.source}; n is not given. Another data "
            "set than these runs' unless they are on those very cases, so not comparable, and "
            f"never ranked with them.{self.remark} {CITATION}."
        )


def read_published(name: str) -> Published:
    """Read table3, table4 or table5 of the paper.

    Raises
    ------
    RunError
        If there is no published table of that name.
    """
    if name not in _FILES:
        raise RunError(f"published tables are {', '.join(_FILES)}; found {name!r}")
    file, source, remark = _FILES[name]
    text = (files("segbench.report") / "published" / file).read_text(encoding="utf-8")
    rows = [_row(raw) for raw in csv.DictReader(text.splitlines())]
    if name == "table3":
        rows.append(PublishedRow(_label("Ours"), OVERALL, None, _ABSTRACT))
    return Published(name, source, remark, tuple(rows))


def _row(raw: dict[str, str]) -> PublishedRow:
    box = {"Yes": True, "No": False}.get(raw.pop("Bbox", ""))
    modality, method = code_of(raw.pop("Modality")), raw.pop("Methods", "Ours")
    return PublishedRow(_label(method), modality, box, {k: float(v) for k, v in raw.items()})


def _label(method: str) -> str:
    # The paper's own method is "Ours" in Tables 3 and 4, norateam in Table 5, and so would be
    # taken for the adapter `ours` without a mark.
    return "Ours, norateam (paper)" if method == "norateam" else f"{method} (paper)"
