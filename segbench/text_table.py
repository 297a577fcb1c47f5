"""Tables as plain text, for a terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Collection, Iterable, Sequence

WIDTH = 100  # columns of a text, at most; a terminal may have fewer
MIN_WIDTH = 24  # of a text that is wrapped


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


def wrapped_table(rows: Sequence[Sequence[str]], *, width: int = WIDTH) -> str:
    """Return rows as lines of limited width: the last column has several lines if necessary."""
    heads, last = [row[:-1] for row in rows], [row[-1] for row in rows]
    taken = sum(max(map(len, column)) + 2 for column in zip(*heads, strict=True))
    narrow: list[Sequence[str]] = []
    for head, text in zip(heads, last, strict=True):
        lines = wrapped([text], width=max(width - taken, MIN_WIDTH)).splitlines() or [""]
        narrow.append([*head, lines[0]])
        narrow += [[*("" for _ in head), line] for line in lines[1:]]
    return text_table(narrow)


def text_width() -> int:
    """Return how wide a text may be: as the terminal, within limits in which it can be read."""
    return min(max(shutil.get_terminal_size((WIDTH, 24)).columns, MIN_WIDTH), WIDTH)


def wrapped(
    paragraphs: Iterable[str], *, bullet: str = "", hanging: str = "", width: int | None = None
) -> str:
    """Return paragraphs as lines of limited width; a long path or name is not broken.

    Parameters
    ----------
    bullet : str
        The beginning of each paragraph.
    hanging : str
        The beginning of all lines of a paragraph but the first; by default as wide as the bullet.
    width : int, optional
        By default `text_width`.
    """
    fill = textwrap.TextWrapper(
        width=width or text_width(),
        initial_indent=bullet,
        subsequent_indent=hanging or " " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    ).fill
    return "\n".join(map(fill, paragraphs))


def shortened(text: str, width: int) -> str:
    """Return a text of limited width; what is left out of its middle is an ellipsis."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"
