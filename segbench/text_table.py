"""Tables as plain text, for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def text_table(
    rows: Sequence[Sequence[str]], *, right: Collection[int] = (), rule: bool = False
) -> str:
    """Return rows as lines with aligned columns.

    Parameters
    ----------
    rows : sequence of rows
        The first is the heading.
    right : collection of int
        The columns that are aligned at the right.
    rule : bool
        Draw a line below the heading.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if rule:
        rows = [rows[0], ["-" * width for width in widths], *rows[1:]]
    lines = (
        "  ".join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
