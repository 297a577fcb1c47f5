"""A small table in every format."""

import csv
import io
import re

import pytest

from segbench.report.tables.render import (
    escape_latex,
    escape_markdown,
    to_csv,
    to_html,
    to_latex,
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


def test_latex_is_a_booktabs_table_with_caption_and_label(table):
    text = to_latex(table)
    assert r"\caption{A\_title}\label{tab:segbench-small}" in text
    assert r"\begin{tabular}{llrr}" in text
    assert r"CT & sam\_med3d & 2 & \textbf{0.3333} \\" in text
    assert r" & a \& b \textbar{} 50 \% & -- & 0.2500 \\" in text
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 2, 1]


def test_a_table_longer_than_a_page_becomes_a_longtable(table):
    long = Table("long", "Long", table.columns, (table.rows * 20,))
    assert r"\begin{longtable}{llrr}" in to_latex(long)
    assert r"\begin{table}" not in to_latex(long)


@pytest.mark.parametrize("copies", [1, 20])
def test_latex_is_balanced_and_every_row_has_its_cells(table, copies):
    text = to_latex(Table("t", "T", table.columns, (table.rows * copies,), notes=table.notes))
    bare = re.sub(r"\\[\\&%$#_{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert "&" in bare
    assert sorted(re.findall(r"\\begin\{(\w+)", text)) == sorted(re.findall(r"\\end\{(\w+)", text))
    rows = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(rows) == 1 + 3 * copies
    assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} == {3}


def test_latex_escapes_every_special_character_once():
    assert escape_latex("a_b & 5% $x #1 {y} ~^") == (
        r"a\_b \& 5\% \$x \#1 \{y\} \textasciitilde{}\textasciicircum{}"
    )
    assert escape_latex("\\_") == r"\textbackslash{}\_"
    assert escape_latex("two\nlines") == "two lines"


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
