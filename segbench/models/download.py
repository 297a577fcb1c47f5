"""Download weights from the Hugging Face hub at a pinned revision, with checksums and a record.

If the declaration has no revision or checksum, the first download accepts what the server sends and
records it; later downloads must be identical.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segbench.activity import Activity, silent
from segbench.data.hub import HubRepository
from segbench.errors import AdapterError
from segbench.files import write_text
from segbench.messages import and_hint
from segbench.models.resolve import how_to_get
from segbench.models.weights import RECORD_FILE, SHA256, ModelEntry, Weights, read_record

Report = Callable[[str], None]


@dataclass(frozen=True)
class Pins:
    """The expected revision and checksums, which take precedence over the declaration."""

    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)  # path of a file -> its checksum


def select_weights(entry: ModelEntry, name: str | None) -> Weights:
    """Return the weights of a name; without a name, the first that can be fetched, else the first.

    Raises
    ------
    AdapterError
        The adapter has no weights, or none of that name.
    """
    if not entry.weights:
        raise AdapterError(f"{entry.name}: expected an adapter with weights, found one without")
    if name is None:
        return next((item for item in entry.weights if item.repo), entry.weights[0])
    by_name = {item.name: item for item in entry.weights}
    if name not in by_name:
        raise AdapterError(
            f"{entry.name}: --weights: expected one of {', '.join(by_name)}, found {name!r}"
            f"{and_hint(name, by_name)}"
        )
    return by_name[name]


def licence_notice(entry: ModelEntry, weights: Weights, folder: Path) -> str:
    """Return what a user reads before the download: licence, source and destination."""
    lines = [
        f"{entry.name}, weights {weights.name!r}",
        f"licence: {weights.licence}",
        f"from:    {weights.source}" + (f" ({weights.page})" if weights.page else ""),
        f"to:      {entry.folder(weights, folder)}",
        *([weights.note] if weights.note else []),
    ]
    return "\n".join(lines)


def fetch(  # noqa: PLR0913
    entry: ModelEntry,
    weights: Weights,
    folder: Path,
    *,
    pins: Pins,
    endpoint: str | None,
    say: Report,
    activity: Activity = silent,
) -> Path:
    """Download a set of weights, check and record it; return the value of the adapter's option.

    Parameters
    ----------
    pins : Pins
        Take precedence over the declaration, which takes precedence over the record.
    endpoint : str, optional
        Another server with the hub's protocol.
    say : callable
        Called with each line of the report.
    activity : Activity
        Says which file is downloaded.

    Raises
    ------
    AdapterError
        If the weights have no repository, huggingface_hub is missing, the server cannot be reached
        or does not have a file, or a revision or checksum is not the expected one; a file with
        another checksum is removed.
    """
    if weights.bundled:
        return entry.weights_path(weights, folder)
    target = entry.folder(weights, folder)
    require_repository(entry, weights, folder)
    assert weights.repo is not None
    check_pins(pins, weights)
    target.mkdir(parents=True, exist_ok=True)
    repository = HubRepository(weights.repo, target, endpoint, weights.page, activity)
    pinned = pins.revision or weights.revision or read_record(target).get("revision")
    revision = repository.commit(weights.files[0].path, pinned)
    say(f"revision {revision}" + ("" if pinned else ": not pinned, recorded now"))
    expected = expected_sha256(weights, revision, pins, read_record(target))
    files: dict[str, dict[str, Any]] = {}
    for path in (item.path for item in weights.files):
        files[path] = repository.download(path, revision, expected.get(path))
        status = "as expected" if path in expected else "not known before, recorded now"
        say(f"{path}: sha256 {files[path]['sha256']}, {status}")
    write_record(target, {"repo": weights.repo, "revision": revision, "files": files})
    return entry.weights_path(weights, folder)


def require_repository(entry: ModelEntry, weights: Weights, folder: Path) -> None:
    """Raise an AdapterError with what to do if a program cannot download the weights."""
    if weights.repo is None and not weights.bundled:
        target = entry.folder(weights, folder)
        raise AdapterError(
            f"{entry.name}: expected weights that a program can fetch, found {weights.name!r}, "
            f"which are not; {how_to_get(entry, weights, target)}"
        )


def check_pins(pins: Pins, weights: Weights) -> None:
    """Refuse checksums of unknown files and values that are not checksums."""
    known = [item.path for item in weights.files]
    for path, digest in pins.sha256.items():
        if path not in known:
            raise AdapterError(
                f"--sha256: expected one of the files {', '.join(known)}, found {path!r}"
                f"{and_hint(path, known)}"
            )
        if not SHA256.fullmatch(digest.lower()):
            raise AdapterError(f"--sha256 {path}: expected 64 hexadecimal digits, found {digest!r}")


def write_record(target: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a download next to its files, completely or not at all."""
    write_text(target / RECORD_FILE, json.dumps(record, indent=2, sort_keys=True) + "\n")


def expected_sha256(
    weights: Weights, revision: str, pins: Pins, record: Mapping[str, Any]
) -> dict[str, str]:
    """Return the expected sha256 of each file, as far as it is known.

    The checksums of the declaration and of the record apply to their own revision only.
    """
    known: dict[str, str] = {}
    if record.get("revision") == revision:
        known |= {path: item["sha256"] for path, item in record["files"].items()}
    if weights.revision in (None, revision):
        known |= {item.path: item.sha256 for item in weights.files if item.sha256}
    return {path: digest.lower() for path, digest in (known | dict(pins.sha256)).items()}
