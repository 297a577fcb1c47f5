"""A run folder on disk: how it was made, one file per case, its predictions.

``run.json`` records how the run was made; a continued run must agree with it;
``cases/<case>.json`` holds the raw facts of one case, appears whole or not at all, and its
presence means done; ``predictions/<case>.npz`` holds the label maps. docs/results.md explains
every field, docs/schema/ holds them as JSON Schema.
"""

from __future__ import annotations

import glob
import itertools
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from segbench.core import AdapterInfo, Settings
from segbench.errors import RunError
from segbench.files import write_text
from segbench.results import CaseResult
from segbench.runs.case_json import StoredCase, case_facts, case_result
from segbench.runs.json_files import read_json, to_json
from segbench.runs.manifest_json import Manifest


@dataclass(frozen=True)
class Run:
    """A run folder, read: its manifest and its finished cases in name order."""

    folder: Path
    manifest: Manifest
    case_results: tuple[CaseResult, ...]

    @property
    def method(self) -> str:
        """The name in tables: ``--name`` of the run, or the adapter's own."""
        return self.manifest.name

    @property
    def adapter(self) -> AdapterInfo:
        """Name, version and properties of the adapter."""
        return self.manifest.adapter

    @property
    def settings(self) -> Settings:
        """The protocol the run was made under."""
        return self.manifest.settings


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises
    ------
    RunError
        If it is no run folder, or one of its files is damaged or of another schema.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise RunError(f"{folder}: expected a run folder, found no run.json in it")
    return Run(folder, manifest, tuple(map(read_case_result, finished_cases(folder))))


OWN_FILES = {"run.json", "run.log", "metrics.csv", "cases", "predictions", "derived"}


def refuse_other_files(folder: Path) -> None:
    """Raise if a folder is neither new, nor empty, nor a run folder: it is somebody else's.

    Raises
    ------
    RunError
        With the first file that is not of a run.
    """
    if not folder.is_dir() or _is_ours(folder / "run.json"):
        return
    others = sorted(
        file.name for file in folder.iterdir() if file.name not in OWN_FILES and file.name[0] != "."
    )
    if others:
        raise RunError(
            f"{folder}: expected a run folder, an empty or a new one, found {others[0]} and no "
            "run.json of segbench; choose another --out"
        )


def _is_ours(manifest: Path) -> bool:
    """Whether a ``run.json`` is one of segbench, of any version."""
    try:
        facts = json.loads(manifest.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(facts, dict) and {"schema", "calls"} <= facts.keys()


def old_folder(folder: Path) -> Path:
    """Return the name that a run folder gets when it is moved away: the first free ``.old-N``."""
    named = folder if folder.name not in ("", "..") else folder.resolve()
    for number in itertools.count(1):
        moved = named.with_name(f"{named.name}.old-{number}")
        if not moved.exists():
            return moved
    raise AssertionError  # count does not end


def finished_cases(folder: Path) -> list[Path]:
    """Return the files of the finished cases, in name order."""
    return sorted((folder / "cases").glob("[!.]*.json"))


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a run folder, None if there is none yet."""
    file = folder / "run.json"
    return read_json(file, Manifest) if file.exists() else None


def read_case_result(file: Path) -> CaseResult:
    """Read one case file of a run."""
    return case_result(read_json(file, StoredCase))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``run.json``."""
    file = folder / "run.json"
    text = to_json(asdict(manifest), Manifest, file)
    (folder / "cases").mkdir(parents=True, exist_ok=True)
    write_text(file, text)


def write_case_result(folder: Path, result: CaseResult) -> None:
    """Write one finished case; its file appears whole or not at all."""
    file = case_file(folder, result.case)
    write_text(file, to_json(case_facts(result), StoredCase, file))


def case_file(folder: Path, case: str) -> Path:
    """Return the file of a case's result."""
    return folder / "cases" / f"{case}.json"


def prediction_file(folder: Path, case: str) -> Path:
    """Return the file of a case's label maps, in the challenge's format."""
    return folder / "predictions" / f"{case}.npz"


def remove_leftovers(folder: Path, case: str) -> None:
    """Remove the files of earlier attempts at a case: its predictions, and half-written files.

    Only for the runner that holds the lock of the case.
    """
    prediction_file(folder, case).unlink(missing_ok=True)
    for file in (case_file(folder, case), prediction_file(folder, case)):
        remove_partial_files(file)


def remove_partial_files(file: Path) -> None:
    """Remove what a writer that was killed has left of a file; nobody else may be writing it."""
    for partial in file.parent.glob(f".{glob.escape(file.name)}.{32 * '[0-9a-f]'}.partial"):
        partial.unlink(missing_ok=True)
