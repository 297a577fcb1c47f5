"""Files of segbench in a folder of the user: its own are replaced, no others.

A report is known by the generator in its index.html, and its files by the links there. An export
has a list of its files in ``segbench-export.json``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from segbench.errors import RunError
from segbench.files import write_text

EXPORT_LIST = "segbench-export.json"
PAGE_LIST = "segbench-page.json"  # of the gallery and the case view
_REPORT = re.compile(r'<meta name="generator" content="segbench\b')
_LINK = re.compile(r'<a href="([a-z0-9-]+\.[a-z]+)">')


def generator() -> str:
    """Return the name and version of segbench, as its files name it."""
    try:
        return f"segbench {version('segbench')}"
    except PackageNotFoundError:  # a checkout that is not installed
        return "segbench"


def is_report(page: Path) -> bool:
    """Whether a file is the index page of a report that segbench has written."""
    if not page.is_file():
        return False
    with page.open(encoding="utf-8", errors="replace") as stream:
        return _REPORT.search(stream.read(2000)) is not None


def report_files(folder: Path) -> set[str]:
    """Return the names of the files of the report in a folder; none if there is no report."""
    page = folder / "index.html"
    if not is_report(page):
        return set()
    links = _LINK.findall(page.read_text(encoding="utf-8", errors="replace"))
    return {"index.html", "index.md", *links}


def exported_files(folder: Path, listing: str = EXPORT_LIST) -> set[str]:
    """Return the names of the files that exports have written into a folder."""
    try:
        listed = json.loads((folder / listing).read_text(encoding="utf-8"))
        is_ours = str(listed["generator"]).startswith("segbench")
        return {listing, *map(str, listed["files"])} if is_ours else set()
    except (OSError, ValueError, KeyError, TypeError):  # no list, or one of something else
        return set()


def list_exported_files(folder: Path, names: Iterable[str], listing: str = EXPORT_LIST) -> None:
    """Write down which files of a folder are of exports."""
    files = sorted({*names, *exported_files(folder, listing)} - {listing})
    text = json.dumps({"generator": generator(), "files": files}, indent=1, ensure_ascii=False)
    write_text(folder / listing, text + "\n")


def refuse_other_table(file: Path, table: str) -> None:
    """Refuse to replace a file that is neither empty nor a CSV file of the same columns.

    Raises
    ------
    RunError
        If it is another file.
    """
    if not file.is_file():
        return
    header = table.partition("\n")[0]
    with file.open(encoding="utf-8", errors="replace") as stream:
        first = stream.readline(len(header) + 2).rstrip("\r\n")
    if first and first != header:
        raise RunError(
            f"{file}: expected nothing or an earlier table with the columns {header}, found "
            "another file; choose another name, or move this file; nothing was written"
        )


def refuse_others(folder: Path, names: Iterable[str], own: set[str]) -> None:
    """Refuse to replace what segbench did not write.

    Raises
    ------
    RunError
        If the folder has something under one of these names that is not ``own``.
    """
    for name in names:
        file = folder / name
        if name not in own and (file.exists() or file.is_symlink()):
            kind = "folder" if file.is_dir() else "file"
            raise RunError(
                f"{file}: expected nothing or a file that segbench wrote here, found another "
                f"{kind}; choose another folder, or move this {kind}; nothing was written"
            )
