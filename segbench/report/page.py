"""The two documents with all tables and figures, in parts: index.html, index.md."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence

from segbench.data.dataset import PHANTOM_DATASET
from segbench.messages import counted
from segbench.report.comparison import display_names
from segbench.report.figures.figure import NO_FIGURE_SET, FigureFiles, FigureSet
from segbench.report.frames import Results
from segbench.report.parts import LEADERS, Part
from segbench.report.private_text import without_machine
from segbench.report.tables.render import escape_markdown, to_html, to_html_notes, to_markdown
from segbench.report.tables.table import Table
from segbench.report.written_files import generator

TITLE = "Interactive segmentation benchmark"
FORMATS = ("md", "csv", "tex", "html")
CASE_LINKS = '<p><b><a href="cases.html">Cases</a></b> <a href="view.html">Case view</a></p>\n'
IMAGE_TYPES = {"svg": "image/svg+xml", "png": "image/png"}  # that a page can show
PHANTOM_NOTE = (
    "generated images, not scans. Scores on them show that the software works and say "
    "nothing about patients. Most of their objects with a box are nearly ellipsoids. A method that "
    "fills the ellipsoid in each box scores high on them without using the image, and may score "
    "above a model that was trained on scans."
)

CSS = """
:root { color-scheme: light dark; --ink: #1c1f24; --soft: #5b6470; --rule: #c9ced6;
  --paper: #ffffff; --band: #f3f5f8; --link: #1a5fb4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa3ae; --rule: #3b424c;
  --paper: #15181c; --band: #1e2329; --link: #7fb2f0; } }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; color: var(--ink);
  background: var(--paper); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; }
h2 { font-size: 1.3rem; margin: 2.8rem 0 .6rem; border-bottom: 1px solid var(--rule); }
h3 { font-size: 1.1rem; margin: 1.8rem 0 .6rem; }
a { color: var(--link); }
nav { margin: .8rem 0; } nav p { margin: .2rem 0; } nav b, nav a { margin-right: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem;
  border-top: 2px solid var(--ink); border-bottom: 2px solid var(--ink); }
th, td { padding: .22rem .7rem; text-align: left; vertical-align: top; white-space: nowrap; }
th { border-bottom: 1px solid var(--ink); font-weight: 600; }
th.r, td.r { text-align: right; }
td.p { white-space: normal; overflow-wrap: anywhere; min-width: 6.5rem; max-width: 40rem; }
tbody + tbody tr:first-child td { border-top: 1px solid var(--rule); }
tbody tr:hover { background: var(--band); }
.notes, .files { color: var(--soft); font-size: .85rem; }
.notes { padding-left: 1.1rem; margin: .5rem 0; max-width: 60rem; }
.files { margin: .3rem 0; }
td small { color: var(--soft); }
td u { text-underline-offset: .2em; }
code { overflow-wrap: anywhere; }
#figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr));
  gap: 1.5rem; align-items: start; }
#figures h2, #figures > ul { grid-column: 1 / -1; }
figure { margin: 0; } figure img { width: 100%; background: #fff; }
figcaption { color: var(--soft); font-size: .85rem; }
@media print { body { max-width: none; padding: 0; font-size: 9pt; }
  nav, .files { display: none; }
  .scroll { overflow: visible; } tr { break-inside: avoid; }
  thead { display: table-header-group; } }
"""


def html_page(title: str, body: str) -> str:
    """Return a complete page; it loads no other file, so it works offline."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="{html.escape(generator())}">\n'
        f"<title>{html.escape(title)}</title>\n<style>{CSS}</style>\n</head>\n"
        f"<body>\n{body}</body>\n</html>\n"
    )


def index_html(
    results: Results,
    parts: Sequence[Part],
    command: str = "",
    notes: Sequence[str] = (),
    figures: FigureSet = NO_FIGURE_SET,
    *,
    with_cases: bool = False,
) -> str:
    """Return the page with all tables and figures, links to their files, and notes on all.

    ``with_cases``: the folder has a gallery and a case view, too.
    """
    made_by = f"<p>Made by <code>{html.escape(command)}</code></p>\n" if command else ""
    head = f"<h1>{TITLE}</h1>\n<p>{html.escape(opening_sentence(results))}</p>\n"
    head += made_by + to_html_notes((*phantom_notes(results), *notes))
    links, sections = list(map(_links, parts)), list(map(_section, parts))
    at = _place_of_figures(parts)
    links.insert(at, _figure_links(figures))
    sections.insert(at, figures_html(figures))
    if with_cases:
        links.insert(0, CASE_LINKS)
    navigation = f"<nav>\n{''.join(links)}</nav>\n"
    return html_page(TITLE, f"<header>\n{head}{navigation}</header>\n{''.join(sections)}")


def _place_of_figures(parts: Sequence[Part]) -> int:
    """Return the number of parts before the figures: who leads comes first."""
    return int(bool(parts) and parts[0].title == LEADERS)


def _links(part: Part) -> str:
    links = " ".join(
        f'<a href="#{table.name}">{html.escape(table.title)}</a>' for table in part.tables
    )
    return f"<p><b>{html.escape(part.title)}</b> {links}</p>\n"


def _figure_links(figures: FigureSet) -> str:
    if not figures.figures:
        return ""
    links = " ".join(
        f'<a href="#{figure.name}">{html.escape(figure.title)}</a>' for figure in figures.figures
    )
    return f'<p><b><a href="#figures">Figures</a></b> {links}</p>\n'


def _section(part: Part) -> str:
    tables = "".join(to_html(table, level=3) + _file_links(_names(table)) for table in part.tables)
    return f"<h2>{html.escape(part.title)}</h2>\n{tables}"


def figures_html(drawn: FigureSet) -> str:
    """Return the section of the figures, each in the page itself; pdf has a link only."""
    if not drawn.figures and not drawn.left_out:
        return ""
    parts = []
    for figure in drawn.figures:
        title, shown = html.escape(figure.title), _shown_file(figure)
        image = ""
        if shown:
            data = base64.b64encode(figure.files[shown]).decode()
            kind = IMAGE_TYPES[shown.rpartition(".")[2]]
            image = f'<img alt="{title}" src="data:{kind};base64,{data}">\n'
        text = html.escape(" ".join(figure.notes))
        parts.append(
            f'<figure id="{figure.name}">\n{image}<figcaption><b>{title}.</b> {text}</figcaption>\n'
            f"{_file_links(figure.files)}</figure>\n"
        )
    notes = to_html_notes(_left_out_notes(drawn))
    return f'<section id="figures">\n<h2>Figures</h2>\n{notes}{"".join(parts)}</section>\n'


def figures_markdown(drawn: FigureSet) -> str:
    """Return the section of the figures in Markdown, empty without any."""
    if not drawn.figures and not drawn.left_out:
        return ""
    parts = ["## Figures", *(f"- {escape_markdown(note)}" for note in _left_out_notes(drawn))]
    for figure in drawn.figures:
        title, shown = escape_markdown(figure.title), _shown_file(figure)
        files = ", ".join(f"[{name}]({name})" for name in figure.files)
        text = escape_markdown(" ".join(figure.notes))
        parts += [f"![{title}]({shown})"] if shown else []
        parts.append(f"**{title}.** {text} ({files})")
    return "\n\n".join(parts)


def _shown_file(figure: FigureFiles) -> str:
    return next((name for name in figure.files if name.rpartition(".")[2] in IMAGE_TYPES), "")


def _left_out_notes(drawn: FigureSet) -> tuple[str, ...]:
    return tuple(f"Not drawn: {without_machine(line)}" for line in drawn.left_out)


def _names(table: Table) -> list[str]:
    return [f"{table.name}.{suffix}" for suffix in FORMATS]


def _file_links(names: Iterable[str]) -> str:
    links = " · ".join(f'<a href="{name}">{name}</a>' for name in names)
    return f'<p class="files">{links}</p>\n'


def index_markdown(
    results: Results,
    parts: Sequence[Part],
    command: str = "",
    notes: Sequence[str] = (),
    figures: FigureSet = NO_FIGURE_SET,
) -> str:
    """Return one Markdown document with all tables and figures, and notes on all of them."""
    made_by = [f"Made by `{command}`"] if command else []
    head = [f"# {TITLE}", escape_markdown(opening_sentence(results)), *made_by]
    notes = (*phantom_notes(results), *notes)
    head += ["\n".join(f"- {escape_markdown(note)}" for note in notes)] if notes else []
    texts = ["\n\n".join(_markdown_part(part)) for part in parts]
    texts.insert(_place_of_figures(parts), figures_markdown(figures))
    return "\n\n".join(filter(None, [*head, *texts])) + "\n"


def _markdown_part(part: Part) -> list[str]:
    tables = [to_markdown(table).rstrip() for table in part.tables]
    return [f"## {escape_markdown(part.title)}", *tables]


def opening_sentence(results: Results) -> str:
    """Return the first sentence of the report: its runs and their protocol."""
    settings, names = results.settings, display_names(results).values()
    return (
        f"{counted(len(names), 'run')} under protocol {settings.protocol} version "
        f"{settings.version} (settings {settings.hash}): {', '.join(names)}."
    )


def phantom_notes(results: Results) -> tuple[str, ...]:
    """Return a note on what scores of phantoms mean, if there are any among the cases."""
    cases = results.cases.drop_duplicates("case")
    n_phantoms = int((cases["dataset"] == PHANTOM_DATASET).sum())
    if not n_phantoms:
        return ()
    kind = "is a phantom" if n_phantoms == 1 else "are phantoms"
    return (f"{n_phantoms} of {counted(len(cases), 'case')} {kind}: {PHANTOM_NOTE}",)
