"""What a reader may choose in the tables of scores."""

from __future__ import annotations

from dataclasses import dataclass

from segbench.errors import RunError
from segbench.report.resampling import Resampling

MAX_DECIMALS = 10


@dataclass(frozen=True)
class TableOptions:
    """What tables of scores show next to the means, and how many decimals they print.

    Raises
    ------
    RunError
        If the number of decimals is out of its range.
    """

    intervals: bool = False
    """Bootstrap intervals of the means; off, because they double the width of a table."""
    significance: bool = True
    """Bold for a leader, underline for runs that cannot be told from the best (``leaders``)."""
    decimals: int = 4
    """Of scores in Markdown, LaTeX and HTML."""
    resampling: Resampling = Resampling()

    def __post_init__(self) -> None:
        if not 1 <= self.decimals <= MAX_DECIMALS:
            raise RunError(f"decimals: expected 1 to {MAX_DECIMALS}, found {self.decimals}")

    @property
    def interval_resampling(self) -> Resampling | None:
        """The resampling of the intervals, None without intervals."""
        return self.resampling if self.intervals else None
