"""Names and order of the modalities; the paper's tables use two styles.

A modality without an entry here is shown under its code, after the others. To give it a place in
the order or another name, add it to ``TABLE_3_STYLE`` (Tables 3 and 4) and ``TABLE_5_STYLE``. If
data have a long name for it, add that to ``_ALIASES``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

NOT_STATED = "not stated"
_ALIASES = {"MRI": "MR", "Ultrasound": "US", "": NOT_STATED}


@dataclass(frozen=True)
class ModalityStyle:
    """The order of the modality codes, and the names of codes that have another name."""

    order: tuple[str, ...]
    names: dict[str, str]

    def display_name(self, code: str) -> str:
        """Return the name of a modality that the tables show."""
        return self.names.get(code, code)

    def sort(self, codes: Iterable[str]) -> list[str]:
        """Return distinct codes in order, unknown ones last by name."""
        position = {code: index for index, code in enumerate(self.order)}
        return sorted(set(codes), key=lambda code: (position.get(code, len(position)), code))


TABLE_3_STYLE = ModalityStyle(
    ("CT", "MR", "Microscopy", "PET", "US"), {"MR": "MRI", "US": "Ultrasound"}
)
TABLE_5_STYLE = ModalityStyle(("CT", "MR", "PET", "US", "Microscopy"), {})


def modality_code(modality: str) -> str:
    """Return the code of a modality (its file-name prefix) from its code or its long name."""
    return _ALIASES.get(modality, modality)
