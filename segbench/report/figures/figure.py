"""A figure of a report with its data, and its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class ReportFigure:
    """A figure, what a reader must know of it, and every number that it draws."""

    name: str
    """Of its files, without suffix."""
    title: str
    notes: tuple[str, ...]
    """The caption, in sentences: figures have no words for it themselves."""
    frame: pd.DataFrame
    figure: Figure


@dataclass(frozen=True)
class FigureFiles:
    """A figure as files, each as bytes by its name; the first one is shown on the page."""

    name: str
    title: str
    notes: tuple[str, ...]
    files: dict[str, bytes]


@dataclass(frozen=True)
class FigureSet:
    """The figures of a report as files, and one line for each picture that could not be made."""

    figures: tuple[FigureFiles, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def files(self) -> dict[str, bytes]:
        """All files of all figures."""
        return {name: data for figure in self.figures for name, data in figure.files.items()}


NO_FIGURE_SET = FigureSet()
