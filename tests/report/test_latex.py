r"""Tables as LaTeX: the text, and what pdflatex makes of it in one and in two columns."""

import random
import re
import shutil
import subprocess

import pytest

from segbench.core import AdapterInfo, StepScore
from segbench.report import Resampling, TableOptions, report_tables
from segbench.report.frames import load_results
from segbench.report.tables.latex import escape_latex, to_latex
from segbench.report.tables.latex.columns import BOLD, EM, split_evenly
from segbench.report.tables.latex.layout import MAX_CHARACTERS, lay_out
from segbench.report.tables.latex.text import count_lines, text_width
from segbench.report.tables.table import Cell, Column, Table
from segbench.results import CaseResult, StepResult
from segbench.runs.run_folder import write_case_result, write_manifest
from tests.manifests import manifest

METHODS = ["ours", "nnInteractive", "random_walker", "sam_med3d", "Überség & 100 %", "vista3d #模"]
MODALITIES = ("CT", "MR", "Microscopy", "PET", "US")
NOTE = "5 minutes, 1266 steps, 28560 samples of 64^3 and 96^3, seed 42, then 120 minutes more. " * 4
REASON = (
    'RuntimeError: CUDA out of memory in /opt/models/sam_med3d/{inference}.py, line 42: "tried" to '
    "allocate 1.5 GiB ~ 50 % #1 $x^2 <a|b> \\cuda_malloc 内存 ✗ and more [sic]"
)
PUBLISHED = ("table3", "table4", "table5")


def case(name, quality, *, failed):
    """Two labels with boxes in every second case; ``failed`` cases fail at step 3, slowly."""
    rng = random.Random(name + str(quality))
    boxes = int(name[-1]) % 2 == 0
    steps = [
        StepResult(step, (), REASON)
        if failed and step == 3
        else StepResult(
            step,
            tuple(StepScore(step, label, rng.random() * quality, rng.random()) for label in (1, 2)),
            prediction_sha256="ab" * 32,
        )
        for step in range(0 if boxes else 1, 6)
    ]
    return CaseResult(
        name,
        "failed" if failed else "ok",
        reason=REASON if failed else None,
        modality=name.split("_")[0],
        labels=(1, 2),
        has_boxes=boxes,
        steps=tuple(steps),
        seconds={step.step: 100.0 if failed else 12.345 for step in steps},
    )


def make_tables(folder, n_methods, published, *, intervals=False):
    names = [f"{code}_AMOS_with_a_long_name_{i}" for code in MODALITIES for i in range(2)]
    runs = []
    for number, method in enumerate(METHODS[:n_methods]):
        runs.append(folder / f"run{number}")
        info = AdapterInfo(method, note=NOTE if number == 0 else "", licence="CC-BY-SA-4.0")
        write_manifest(runs[-1], manifest(info, n_cases=len(names)))
        for name in names[number // 3 :]:
            failed = number == 1 and name.startswith("CT")
            write_case_result(runs[-1], case(name, 1 / (1 + number), failed=failed))
    options = TableOptions(intervals=intervals, resampling=Resampling(draws=200))
    return report_tables(load_results(runs), published, options)


def make_table(n_rows=3, n_numbers=3, *, name="t", method="sam_med3d", notes=("n < 3 & so",)):
    """Return modality x method; a modality has three rows."""
    rows = [
        (
            Cell(f"M{row // 3}"),
            Cell(f"{method} {row % 3}", suffix=" †"),
            *(Cell(1 / (3 + number), bold=number == 1) for number in range(n_numbers)),
        )
        for row in range(n_rows)
    ]
    columns = (Column("Modality"), Column("Method"))
    numbers = tuple(Column(f"DSC #{number}", "r") for number in range(n_numbers))
    groups = tuple(tuple(rows[start : start + 3]) for start in range(0, n_rows, 3))
    return Table(name, "A_title", (*columns, *numbers), groups, n_keys=1, notes=notes)


def text_table(value, *, name="t", n_columns=3):
    """Return a table of text columns that all have ``value``."""
    columns = (Column("Fact"), *(Column(f"method_{n}", "p") for n in range(n_columns)))
    row = (Cell("Note"), *(Cell(value) for _ in range(n_columns)))
    return Table(name, "Texts", columns, ((row,) * 3,))


# ---- the text --------------------------------------------------------------------------------


def test_a_table_is_a_float_with_booktabs_rules_a_caption_and_a_label():
    text = to_latex(make_table())
    assert text.startswith(r"% needs \usepackage{array,booktabs}")
    assert r"\caption{A\_title}\label{tab:segbench-t}" in text
    assert r"\begin{tabular}{@{}llrrr@{}}" in text
    assert r"M0 & sam\_med3d 0 $\dagger$ & 0.3333 & \textbf{0.2500} & 0.2000 \\" in text
    assert "\n" + r" & sam\_med3d 1 $\dagger$ & " in text
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    assert text.index(r"\end{tabular}") < text.index(r"n \textless{} 3 \& so\par")
    assert "resizebox" not in text


def test_only_a_table_wider_than_a_column_spans_two():
    assert r"\begin{table}[" in to_latex(make_table(n_numbers=2))
    assert r"\begin{table*}[" in to_latex(make_table(n_numbers=6))


def test_a_table_with_many_columns_is_turned():
    text = to_latex(make_table(n_numbers=12))
    assert r"\begin{sidewaystable*}" in text
    assert "rotating" in text.splitlines()[0]


def test_parts_share_a_number_and_repeat_head_and_first_columns():
    layout = lay_out(make_table(n_numbers=60))
    assert all(part.chunk.indices[:2] == (0, 1) for part in layout.parts)
    assert sorted({n for part in layout.parts for n in part.chunk.indices}) == list(range(62))
    text = to_latex(make_table(n_rows=150))
    n = text.count(r"\begin{table")
    assert n > 2
    captions = re.findall(r"\\caption{A\\_title, part~(\d) of~(\d)}", text)
    assert captions == [(str(part), str(n)) for part in range(1, n + 1)]
    labels = re.findall(r"\\label{tab:segbench-t(.*?)}", text)
    assert labels == ["", *(f"-part{part}" for part in range(2, n + 1))]
    assert text.count(r"\addtocounter{table}{-1}") == n - 1
    assert text.count("DSC \\#0") == n
    assert len(set(re.findall(r"\\begin{tabular}.*", text))) == 1  # the columns are aligned
    assert text.count(r"n \textless{} 3") == 1


def test_groups_are_not_torn_and_all_rows_are_printed():
    table = make_table(n_rows=150)
    parts = lay_out(table).parts
    assert [row for part in parts for row in part.table.rows] == list(table.rows)
    assert all(len(group) == 3 for part in parts for group in part.table.groups)
    sizes = [len(part.table.rows) for part in parts]
    assert max(sizes) - min(sizes) <= 15


def test_a_group_longer_than_a_page_is_torn_and_its_key_repeated():
    table = make_table(n_rows=150)
    whole = Table("t", "T", table.columns, (tuple((Cell("CT"), *row[1:]) for row in table.rows),))
    text = to_latex(whole)
    assert sum(len(part.table.rows) for part in lay_out(whole).parts) == 150
    assert text.count("\nCT & ") + text.count(r"\textit{CT}") == text.count(r"\caption")


def test_the_first_key_becomes_headings_where_its_column_does_not_fit():
    rows = [[Cell("DSC"), Cell(f"M{i}"), Cell("a_method_name")] for i in range(2)]
    groups = tuple(((*row, *([Cell(0.5)] * 8)),) * 2 for row in rows)
    columns = (*map(Column, ("Measure", "Modality", "Method")), *[Column("Click 1", "r")] * 8)
    text = to_latex(Table("t", "T", columns, groups, n_keys=2))
    assert text.count(r"\multicolumn{10}{@{}l}{\textit{DSC}} \\") == 1
    assert "Measure" not in text


def test_long_names_and_texts_wrap():
    text = to_latex(text_table("word " * 40))
    assert text.count(r">{\raggedright\arraybackslash}p{") == 3
    assert r"sam\_\allowbreak med3d\_\allowbreak " in to_latex(make_table(method="sam_med3d_" * 9))
    assert to_latex(text_table("x" * 1000)).count("x" * 10) < 3 * 3 * MAX_CHARACTERS / 10
    assert r"\ldots{}" in to_latex(text_table("x" * 1000))


def test_very_long_notes_are_text_below_the_float():
    text = to_latex(make_table(notes=("A note of some length. " * 300,)))
    assert text.index(r"\end{table*}") < text.index(r"Notes to Table~\ref{tab:segbench-t}")
    assert text.index("A note") > text.index("Notes to")


def test_an_underlined_number_is_underlined_a_text_that_wraps_is_emphasised():
    cell = Cell(0.5, underline=True)
    assert r"\underline{0.5000} \\" in to_latex(Table("t", "T", (Column("n", "r"),), (((cell,),),)))
    text = to_latex(Table("t", "T", (Column("x", "p"),), (((Cell("a " * 200, underline=True),),),)))
    assert r"\emph{a a" in text


def test_a_table_without_rows_has_a_head():
    assert r"Modality & Method & DSC \#0" in to_latex(make_table(n_rows=0))


@pytest.mark.parametrize("n_rows", [3, 150])
@pytest.mark.parametrize("n_numbers", [3, 12, 60])
def test_the_text_is_balanced_and_every_row_has_its_cells(n_rows, n_numbers):
    text = to_latex(make_table(n_rows, n_numbers))
    bare = re.sub(r"\\[\\&%$#_{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert re.findall(r"\\begin\{(\w+)", text)
    assert sorted(re.findall(r"\\begin\{(\w+)", text)) == sorted(re.findall(r"\\end\{(\w+)", text))
    for tabular in re.findall(r"\\begin{tabular}.*?\\end{tabular}", text, re.DOTALL):
        rows = [line for line in tabular.splitlines() if re.search(r" & .* \\\\$", line)]
        assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1


def test_every_special_character_is_escaped_once():
    assert escape_latex("a_b & 5% #1 {y} ~^") == (
        r"a\_b \& 5\% \#1 \{y\} \textasciitilde{}\textasciicircum{}"
    )
    assert escape_latex("\\_") == r"\textbackslash{}\_"
    assert escape_latex("$x") == r"$\mathdollar$x"
    assert escape_latex("two\nlines") == "two lines"
    assert escape_latex("[a]*") == "{[}a{]}{*}"


def test_hyphens_stay_hyphens_and_minus_signs_become_them():
    assert escape_latex("--failures a-b 2025-01 1e-5") == "-{}-failures a-b 2025-01 1e-5"
    assert escape_latex("-0.5 (-1, -.2)") == "$-$0.5 ($-$1, $-$.2)"


def test_a_minus_is_measured_as_one():
    assert text_width("-0.5 [-0.7, -0.3]") == pytest.approx(text_width("−0.5 [−0.7, −0.3]"))
    assert text_width("a-1") < text_width("a −1")


def test_characters_beyond_ascii_are_letters_symbols_or_code_points():
    assert escape_latex("Ü é ø σ ≤ † … – ²") == (
        r"\"{U} \'{e} \o{} $\sigma$ $\leq$ $\dagger$ \ldots{} -- $^2$"
    )
    assert escape_latex("e\u0301 ą ﬁ ①") == r"\'{e} a fi 1"
    assert escape_latex("模 🙂 ¬") == "{[}U+6A21{]} {[}U+1F642{]} {[}U+00AC{]}"
    assert escape_latex("a\u200b\x00b\ud800") == "ab{[}U+D800{]}"


@pytest.mark.parametrize("start", range(0, 0x30000, 0x4000))
def test_the_text_is_ascii_for_every_character(start):
    assert escape_latex("".join(map(chr, range(start, start + 0x4000)))).isascii()


def test_sizes_are_split_into_few_and_equal_parts():
    assert split_evenly([1.0] * 10, 4.0) == [range(4), range(4, 8), range(8, 10)]
    assert split_evenly([1.0] * 12, 11.0) == [range(6), range(6, 12)]
    assert split_evenly([9.0, 1.0], 4.0) == [range(1), range(1, 2)]
    assert split_evenly([], 4.0) == [range(0)]


def test_lines_are_counted_as_they_wrap():
    assert count_lines("one two", 10) == 1
    assert count_lines("one two three", text_width("one two")) == 2
    assert count_lines("x" * 100, text_width("x" * 25) + 0.01) == 4


# ---- pdflatex --------------------------------------------------------------------------------

CLASSES = {"one column": r"\documentclass[a4paper]{article}"}
CLASSES["two columns"] = r"\documentclass[a4paper,twocolumn]{article}"
SAMPLES = [*METHODS[:4], "0.8721 2.9953", "Mean over modalities", REASON[:40], "ABC & WM @ |"]
CHARACTERS = "".join(map(chr, [*range(0x20, 0x2600), *range(0x1F600, 0x1F610)]))


def has_pdflatex():
    if not (shutil.which("pdflatex") and shutil.which("kpsewhich")):
        return False
    styles = ["array.sty", "booktabs.sty", "rotating.sty", "hyperref.sty"]
    return subprocess.run(["kpsewhich", *styles], capture_output=True).returncode == 0


needs_pdflatex = pytest.mark.skipif(
    not has_pdflatex(), reason="needs pdflatex with array, booktabs, rotating and hyperref"
)


def pdflatex(folder, text, *, n_calls=1):
    """Return the log of the last call, without its line breaks at 79 characters."""
    (folder / "document.tex").write_text(text, encoding="ascii")
    command = ["pdflatex", "-interaction=nonstopmode", "-no-shell-escape"]
    for call in range(n_calls):
        words = ["document.tex"] if call == n_calls - 1 else ["-draftmode", "document.tex"]
        subprocess.run([*command, *words], cwd=folder, capture_output=True, timeout=300)
    return re.sub(r"(?<=.{79})\n", "", (folder / "document.log").read_text("latin-1"))


@pytest.fixture(scope="module")
def fragments(tmp_path_factory):
    """A folder with all tables of four reports, one with intervals, and of hard cases."""
    folder = tmp_path_factory.mktemp("latex")
    for n_methods in (3, 6):
        for published in ((), PUBLISHED):
            prefix = f"{n_methods}{'p' if published else ''}"
            intervals = n_methods == 6 and bool(published)
            tables = make_tables(folder / prefix, n_methods, published, intervals=intervals)
            for table in tables:
                text = to_latex(table).replace("tab:segbench-", f"tab:{prefix}-")
                (folder / f"{prefix}-{table.name}.tex").write_text(text, encoding="ascii")
    hard = [
        *(make_table(n_rows=30, n_numbers=n, name=f"wide{n}") for n in (2, 9, 12, 16, 40)),
        make_table(n_numbers=12, name="turned"),
        make_table(n_rows=700, name="long"),
        make_table(n_rows=0, name="empty"),
        make_table(n_numbers=8, method="a_very_long_name_" * 6, name="names"),
        make_table(notes=(CHARACTERS,), name="characters"),
        make_table(notes=("A note. " * 200,) * 4, name="notes"),
        *(text_table("x_y." * 300, name=f"texts{n}", n_columns=n) for n in (1, 3, 7, 20)),
        text_table("[*] $\\alpha$ " + REASON, name="row-starts"),
    ]
    for table in hard:
        (folder / f"z-{table.name}.tex").write_text(to_latex(table), encoding="ascii")
    return folder


@needs_pdflatex
@pytest.mark.parametrize("columns", CLASSES)
def test_pdflatex_prints_all_tables_inside_the_margins(fragments, columns):
    files = sorted(fragments.glob("[36z]*.tex"))
    body = "\n".join(rf"\input{{{file.stem}}}\clearpage" for file in files)
    refs = r"\ref{tab:3-table3}, \ref{tab:6p-steps-part2}"
    log = pdflatex(
        fragments,
        rf"{CLASSES[columns]}\usepackage{{array,booktabs,rotating,hyperref}}"
        rf"\begin{{document}}{refs} {body}\end{{document}}",
        n_calls=2,
    )
    assert len(files) > 35
    assert "Output written on document.pdf" in log
    assert re.findall(r"^!.*|.*Warning.*|.*multiply.*", log, re.MULTILINE) == []
    overfull = re.findall(r"Overfull \\[hv]box \(([\d.]+)pt too (?:wide|high)", log)
    assert [size for size in overfull if float(size) > 5] == []
    assert "600pk" not in log  # no font was made as a bitmap


@needs_pdflatex
def test_estimated_widths_are_those_of_pdflatex(tmp_path):
    measured = "".join(
        rf"\sbox0{{\fontsize{{{size}}}{{9}}\selectfont{bold} {escape_latex(text)}}}"
        rf"\typeout{{width \the\wd0}}"
        for size in EM
        for bold in ("", r"\bfseries")
        for text in SAMPLES
    )
    log = pdflatex(
        tmp_path, rf"\documentclass{{article}}\begin{{document}}{measured}\end{{document}}"
    )
    widths = list(map(float, re.findall(r"^width ([\d.]+)pt", log, re.MULTILINE)))
    estimates = [
        text_width(text) * em * factor
        for em in EM.values()
        for factor in (1, BOLD)
        for text in SAMPLES
    ]
    ratios = [guess / width for guess, width in zip(estimates, widths, strict=True)]
    assert min(ratios) > 0.99
    assert max(ratios) < 1.08
