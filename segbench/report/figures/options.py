"""What a reader may choose in the figures of a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segbench.errors import RunError

FIGURE_FORMATS = ("svg", "pdf", "png")


@dataclass(frozen=True)
class FigureOptions:
    """Which files the figures have, and what pictures of cases show.

    Raises
    ------
    RunError
        If a format is unknown.
    """

    formats: tuple[str, ...] = ("svg",)
    """Of each figure; none: no figures. svg is sharp at any size and is part of index.html."""
    images: bool = True
    """Pictures of cases show the image; otherwise outlines alone, without any image data."""
    data: Path | None = None
    """The folder where the cases of the runs are now; by default where run.json says."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in FIGURE_FORMATS]
        if unknown:
            known = ", ".join(FIGURE_FORMATS)
            raise RunError(f"figures: expected formats of {known}, found {unknown[0]!r}")


NO_FIGURES = FigureOptions(formats=())
