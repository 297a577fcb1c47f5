"""The paper's Tables 3 to 5 from package data; their rows are never ranked with runs."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from segbench.errors import RunError
from segbench.report.modalities import modality_code

CITATION = (
    "T. Camaret Ndir, A. Pfefferle, R. T. Schirrmeister: Dynamic Prompt Generation for Interactive "
    "3D Medical Image Segmentation Training. CVPR 2025 workshop: Foundation Models for 3D "
    "Biomedical Image Segmentation, OpenReview EnSf2D1blH"
)
PUBLISHED_MARK = "†"
OVERALL = "Overall"
# Means over all cases of the validation set, from the abstract; Table 3 has no such row.
_ABSTRACT_MEANS = {"DSC AUC": 2.4799, "NSD AUC": 2.5671, "DSC Final": 0.6385, "NSD Final": 0.6614}
_COMPUTED_MEANS = " Its means over modalities are computed from its rows."
_MEANS_OF_ABSTRACT = " Its mean over all cases is from the paper's abstract."
_FILES = {
    "table3": (
        "table3_validation.csv",
        "Table 3, the challenge's validation set",
        _COMPUTED_MEANS + _MEANS_OF_ABSTRACT,
    ),
    "table4": ("table4_bbox.csv", "Table 4, the challenge's validation set", ""),
    "table5": ("table5_test.csv", "Table 5, the challenge's test set", _COMPUTED_MEANS),
}


@dataclass(frozen=True)
class PublishedRow:
    """A row of a published table; ``box`` is None if the table has no column for boxes."""

    method: str
    modality: str  # a code, or OVERALL
    box: bool | None
    means: Mapping[str, float]


@dataclass(frozen=True)
class PublishedTable:
    """A published table; its rows are in the paper's order."""

    name: str
    source: str
    remark: str
    rows: tuple[PublishedRow, ...]

    @property
    def note(self) -> str:
        """The note below every table that shows these rows."""
        return (
            f"{PUBLISHED_MARK} As published, not measured here: {self.source}; n is not given. "
            "From other data than these runs unless they use the same cases, so not comparable "
            f"and never ranked with them.{self.remark} {CITATION}."
        )


def read_published(name: str) -> PublishedTable:
    """Read table3, table4 or table5 of the paper.

    Raises
    ------
    RunError
        If there is no published table of that name.
    """
    if name not in _FILES:
        raise RunError(f"published table: expected one of {', '.join(_FILES)}, found {name!r}")
    file, source, remark = _FILES[name]
    text = (files("segbench.report") / "published" / file).read_text(encoding="utf-8")
    rows = [_parse_row(raw) for raw in csv.DictReader(text.splitlines())]
    if name == "table3":
        rows.append(PublishedRow(_method_label("Ours"), OVERALL, None, _ABSTRACT_MEANS))
    return PublishedTable(name, source, remark, tuple(rows))


def _parse_row(raw: dict[str, str]) -> PublishedRow:
    box = {"Yes": True, "No": False}.get(raw.pop("Bbox", ""))
    modality, method = modality_code(raw.pop("Modality")), raw.pop("Methods", "Ours")
    return PublishedRow(_method_label(method), modality, box, {k: float(v) for k, v in raw.items()})


def _method_label(method: str) -> str:
    # The paper's method is "Ours" in Tables 3 and 4 and norateam in Table 5. Without the suffix it
    # could be confused with the adapter `ours`.
    return "Ours, norateam (paper)" if method == "norateam" else f"{method} (paper)"
