"""The HTML of the gallery and of the case view; names of strangers are text, never markup."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from segbench.messages import counted
from segbench.report.page import html_page

PER_PAGE = 50  # cases of a page of the gallery: one large page stops browsers
NAVIGATION = (
    '<nav aria-label="pages"><a href="index.html">Summary</a>\n'
    '<a href="cases.html">Cases</a>\n<a href="view.html">Case view</a></nav>\n'
)
STYLE = '<link rel="stylesheet" href="assets/viewer.css">\n'


def gallery_file(page: int) -> str:
    """Return the name of a page of the gallery, from 0."""
    return "cases.html" if page == 0 else f"cases-{page + 1}.html"


def gallery_pages(listed: dict[str, Any], notes: Sequence[str]) -> dict[str, str]:
    """Return the pages of the gallery by file name: each has its cases also without JavaScript."""
    cases = listed["cases"]
    n_pages = max(-(-len(cases) // PER_PAGE), 1)
    return {
        gallery_file(page): _gallery_page(listed, notes, page, n_pages) for page in range(n_pages)
    }


def _gallery_page(listed: dict[str, Any], notes: Sequence[str], page: int, n_pages: int) -> str:
    cases = listed["cases"][page * PER_PAGE : (page + 1) * PER_PAGE]
    cards = "".join(_card(case, listed["methods"]) for case in cases)
    links = " ".join(
        f'<a href="{gallery_file(p)}"{_current(p == page)}>{p + 1}</a>' for p in range(n_pages)
    )
    remarks = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    body = (
        f"{STYLE}<header><h1>Cases</h1>\n{NAVIGATION}</header>\n"
        '<form id="filters" class="filters" hidden></form>\n'
        f'<p id="count" role="status">{counted(len(listed["cases"]), "case")}, the reference in '
        "white, the prediction of the first method in yellow.</p>\n"
        f'<main id="gallery" class="gallery">\n{cards}</main>\n'
        f'<p id="pages" class="pages">Page {links}</p>\n'
        '<div id="all-scores" class="scroll"></div>\n'
        f'<ul class="notes">{remarks}</ul>\n'
        '<script src="cases.js"></script>\n<script src="assets/gallery.js"></script>\n'
    )
    return html_page("Cases", body)


def _current(is_current: bool) -> str:
    return ' aria-current="page"' if is_current else ""


def _card(case: dict[str, Any], methods: Sequence[str]) -> str:
    name = html.escape(case["name"])
    picture = '<span class="nothing">no picture</span>'
    if case["amount"] != "none":
        source = f"cases/{case['id']:05d}.png"
        picture = f'<img src="{source}" alt="" loading="lazy">'
    scores = "".join(
        f"<li><span>{html.escape(method)}</span> <b>{_final(score)}</b></li>"
        for method, score in zip(methods, case["scores"], strict=True)
    )
    failed = ' <strong class="failed">failed</strong>' if case["failed"] else ""
    boxes = "boxes" if case["boxes"] else "no boxes"
    return (
        f'<article class="card"><a href="view.html#case={quote(case["name"], safe="")}">'
        f"{picture}<h2>{name}</h2></a>\n"
        f"<p>{html.escape(case['modality'])}, {boxes}{failed}</p><ul>{scores}</ul></article>\n"
    )


def _final(score: Sequence[float] | None) -> str:
    return "–" if score is None else f"{score[2]:.3f}"


def view_page(*, with_images: bool) -> str:
    """Return the case view: an empty frame that its script fills."""
    what = (
        "This folder contains image data of the cases."
        if with_images
        else "This folder contains outlines and scores, but no image data."
    )
    body = (
        f'{STYLE}<header><h1 id="title">Case view</h1>\n{NAVIGATION}</header>\n'
        "<noscript><p>The case view needs JavaScript; "
        '<a href="cases.html">the gallery</a> and the tables do not.</p></noscript>\n'
        f'<div id="view"></div>\n<p class="notes">{what} It is a picture of what was computed, '
        "and not for diagnosis.</p>\n"
        '<script src="cases.js"></script>\n<script src="assets/planes.js"></script>\n'
        '<script src="assets/view.js"></script>\n'
    )
    return html_page("Case view", body)
