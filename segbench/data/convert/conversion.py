"""Convert one scan: read it, make its case, write it; or find that this was done before."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from segbench.core import Grid
from segbench.data.case_grid import read_grid
from segbench.data.challenge_npz import ChallengeFile, write_case
from segbench.data.convert.case_maker import make_case
from segbench.data.convert.readers import content_sha256
from segbench.data.convert.rules import Rules
from segbench.data.convert.scan import Scan
from segbench.errors import CaseError, SegbenchError

Status = Literal["converted", "unchanged", "refused"]


@dataclass(frozen=True)
class Conversion:
    """What became of one scan."""

    name: str
    image: str  # name of the source, without its folder
    status: Status
    reason: str = ""  # of a refusal
    modality: str = ""
    patient: str = ""
    dataset: str = ""
    decided: dict[str, Any] = field(default_factory=dict)
    guessed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def convert_scan(scan: Scan, rules: Rules, out: Path, *, replace_changed: bool) -> Conversion:
    """Convert one scan into ``out``, unless its case is there already.

    Parameters
    ----------
    scan : Scan
    rules : Rules
    out : Path
        The folder of the cases.
    replace_changed : bool
        Convert again where the source or the rules have changed since.

    Returns
    -------
    Conversion
        A scan that cannot be converted is refused with a reason, so that others go on.
    """
    try:
        identity = identity_of(scan, rules)
        file = out / f"{scan.name}.npz"
        old = read_identity(file) if file.exists() else None
        if old == identity:
            return _unchanged(scan, file)
        if old is not None and not replace_changed:
            changed = " and ".join(key for key in identity if identity[key] != old.get(key))
            raise CaseError(
                f"{file.name}: expected a case of this scan and these options, found one of another"
                f" {changed}; --replace converts it again"
            )
        made = make_case(scan, rules, identity)
        write_case(file, made.case)
        return Conversion(
            scan.name,
            scan.image.name,
            "converted",
            "",
            made.case.modality,
            scan.patient,
            scan.dataset,
            made.decided,
            made.guessed,
            made.warnings,
        )
    except (SegbenchError, OSError, MemoryError) as error:
        return Conversion(scan.name, scan.image.name, "refused", _reason(error))


def _reason(error: Exception) -> str:
    """Return why a scan was refused; an error of the system names no folder."""
    if isinstance(error, OSError) and error.strerror:
        return f"{Path(error.filename or '').name}: {error.strerror}".removeprefix(": ")
    return str(error) or type(error).__name__


def identity_of(scan: Scan, rules: Rules) -> dict[str, Any]:
    """Return what a case is made of, as JSON has it: equal ones make equal cases."""
    facts = {
        "image": content_sha256(scan.image),
        "labels": content_sha256(scan.labels),
        "rule": rules.of(scan),
    }
    if facts["image"] == facts["labels"]:
        raise CaseError(f"{scan.labels.name}: expected labels, found the image itself")
    read_back: dict[str, Any] = json.loads(json.dumps(facts))
    return read_back


def read_identity(file: Path) -> dict[str, Any]:
    """Return what a case in a file was made of.

    Raises
    ------
    CaseError
        If it was not written by `convert_scan`: it may be another's, and is never replaced.
    """
    grid = _grid_in(file)
    if grid is None or "rule" not in grid.facts:
        raise CaseError(
            f"{file.name}: expected no file or a converted case, found another file; choose another"
            " folder or name"
        )
    return {
        "image": grid.source_sha256,
        "labels": grid.facts.get("labels_sha256"),
        "rule": grid.facts["rule"],
    }


def _grid_in(file: Path) -> Grid | None:
    with ChallengeFile(file) as archive:
        return read_grid(archive)


def _unchanged(scan: Scan, file: Path) -> Conversion:
    grid = _grid_in(file)
    assert grid is not None  # read_identity has found it
    modality = scan.modality or str(grid.facts.get("modality", ""))
    return Conversion(
        scan.name, scan.image.name, "unchanged", "", modality, scan.patient, scan.dataset
    )
