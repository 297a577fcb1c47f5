"""Convert one scan: read it, make its case, write it; or find that this was done before."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from segbench.data.challenge_npz import write_case
from segbench.data.convert.case_maker import make_case
from segbench.data.convert.conversion_record import (
    Conversion,
    converted_grid,
    read_identity,
    write_record,
)
from segbench.data.convert.readers import content_sha256
from segbench.data.convert.rules import Rules
from segbench.data.convert.scan import Scan
from segbench.errors import CaseError, SegbenchError

# of an absolute path, all but its last part
FOLDERS = re.compile(
    r"(?<![\w.)\]/\\:])(?:[A-Za-z]:)?(?:[\\/][^\\/'\"<>|:;,()\[\]\n]+)*[\\/](?=\w)"
)


def convert_scan(scan: Scan, rules: Rules, out: Path, *, replace_changed: bool) -> Conversion:
    """Convert one scan into ``out``, unless its case is there already.

    Parameters
    ----------
    scan : Scan
    rules : Rules
    out : Path
        The folder of the cases. A record of what became of the scan is left in it for the report.
    replace_changed : bool
        Convert again where the source or the rules have changed since.

    Returns
    -------
    Conversion
        A scan that cannot be converted is refused with a reason, so that others go on.
    """
    try:
        return _converted(scan, rules, out, replace_changed=replace_changed)
    except (SegbenchError, OSError, MemoryError) as error:
        refused = Conversion(scan.name, scan.image.name, "refused", reason_of(error, scan))
        with contextlib.suppress(OSError):  # a disk that is full, for example
            write_record(out, refused, {})
        return refused


def _converted(scan: Scan, rules: Rules, out: Path, *, replace_changed: bool) -> Conversion:
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
    done = Conversion(
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
    write_record(out, done, identity)
    write_case(file, made.case)
    return done


def reason_of(error: Exception, scan: Scan) -> str:
    """Return why a scan was refused; neither its folders nor, once more, its name."""
    if isinstance(error, OSError):
        where = Path(str(error.filename or "")).name
        text = f"{where}: {error.strerror}" if error.strerror else FOLDERS.sub("", str(error))
    else:
        text = str(error)
    for folder in {scan.image.parent, scan.labels.parent} - {Path(), Path("/")}:
        for written in (folder, folder.absolute(), folder.resolve()):
            text = text.replace(f"{written}/", "")
    return text.removeprefix(": ").removeprefix(f"{scan.name}: ") or type(error).__name__


def identity_of(scan: Scan, rules: Rules) -> dict[str, Any]:
    """Return what a case is made of, as JSON has it: equal ones make equal cases."""
    facts = {
        "image": content_sha256(scan.image),
        "labels": content_sha256(scan.labels),
        "rule": rules.of(scan),
    }
    # one folder may hold a DICOM series and its labels
    if facts["image"] == facts["labels"] and not scan.labels.is_dir():
        raise CaseError(f"{scan.labels.name}: expected labels, found the image itself")
    read_back: dict[str, Any] = json.loads(json.dumps(facts))
    return read_back


def _unchanged(scan: Scan, file: Path) -> Conversion:
    modality = scan.modality or str(converted_grid(file).facts.get("modality", ""))
    return Conversion(
        scan.name, scan.image.name, "unchanged", "", modality, scan.patient, scan.dataset
    )
