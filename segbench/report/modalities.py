"""How modalities are called and in what order they stand: the paper's tables use two styles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_CODES = {"MRI": "MR", "Ultrasound": "US", "": "not stated"}


@dataclass(frozen=True)
class Style:
    """Codes in printing order, and the codes that are printed under another name."""

    order: tuple[str, ...]
    names: dict[str, str]

    def name(self, code: str) -> str:
        """Return what the tables call a modality."""
        return self.names.get(code, code)

    def arrange(self, codes: Iterable[str]) -> list[str]:
        """Return distinct codes in printing order, unknown ones last by name."""
        rank = {code: place for place, code in enumerate(self.order)}
        return sorted(set(codes), key=lambda code: (rank.get(code, len(rank)), code))


LONG = Style(("CT", "MR", "Microscopy", "PET", "US"), {"MR": "MRI", "US": "Ultrasound"})
SHORT = Style(("CT", "MR", "PET", "US", "Microscopy"), {})


def code_of(modality: str) -> str:
    """Return the file-name prefix of a modality, however it is spelled."""
    return _CODES.get(modality, modality)
