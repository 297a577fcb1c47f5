"""A small table in every format but LaTeX."""

import csv
import io

import pytest

from segbench.report.tables.render import (
    escape_markdown,
    to_csv,
    to_html,
    to_markdown,
    to_text,
)
from segbench.report.tables.table import Cell, Column, Table


@pytest.fixture
def table():
    rows = (
        (Cell("CT"), Cell("sam_med3d"), Cell(2), Cell(1 / 3, bold=True)),
        (Cell("CT"), Cell("a & b | 50 %"), Cell(None), Cell(0.25)),
    )
    other = ((Cell("MRI"), Cell("x", suffix=" †"), Cell(5, suffix=" modalities"), Cell(1.0)),)
    columns = (Column("Modality"), Column("Method"), Column("n", "r"), Column("DSC #1", "r"))
    return Table("small", "A_title", columns, (rows, other), notes=("n < 3 & so",))


def test_markdown_marks_the_best_and_blanks_repeated_keys(table):
    assert to_markdown(table) == (
        "### A_title\n\n"
        "| Modality | Method | n | DSC #1 |\n"
        "| --- | --- | ---: | ---: |\n"
        "| CT | sam_med3d | 2 | **0.3333** |\n"
        "|  | a &amp; b \\| 50 % | – | 0.2500 |\n"
        "| MRI | x † | 5 modalities | 1.0000 |\n\n"
        "- n &lt; 3 &amp; so\n"
    )


def test_csv_repeats_keys_and_has_values_without_suffix(table):
    assert list(csv.reader(io.StringIO(to_csv(table)))) == [
        ["Modality", "Method", "n", "DSC #1"],
        ["CT", "sam_med3d", "2", "0.3333333333333333"],
        ["CT", "a & b | 50 %", "", "0.25"],
        ["MRI", "x", "5", "1.0"],
    ]


def test_markdown_escapes_special_characters_but_not_underscores_in_words():
    assert escape_markdown("a|b *c* _d_ e_f [g] `h`\n<i>") == (
        r"a\|b \*c\* \_d\_ e_f \[g\] \`h\` &lt;i&gt;"
    )


def test_html_escapes_and_marks_the_best(table):
    text = to_html(table)
    assert '<td class="l">a &amp; b | 50 %</td>' in text
    assert '<td class="r"><strong>0.3333</strong></td>' in text
    assert "<li>n &lt; 3 &amp; so</li>" in text
    assert text.count("<tbody>") == 2


def test_plain_text_is_aligned(table):
    assert to_text(table).splitlines()[:4] == [
        "Modality  Method                   n  DSC #1",
        "--------  ------------  ------------  ------",
        "CT        sam_med3d                2  0.3333",
        "          a & b | 50 %             –  0.2500",
    ]


def test_underlined_cells_stay_underlined_in_markdown_and_html():
    table = Table("t", "T", (Column("n", "r"),), (((Cell(0.5, bold=True, underline=True),),),))
    assert "| **<ins>0.5000</ins>** |" in to_markdown(table)
    assert "<strong><u>0.5000</u></strong>" in to_html(table)
