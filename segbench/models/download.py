"""Weights from the hub: a licence to accept, a pinned revision, a checksum, a record.

A pin that is not known is never made up: the file is then taken as the server has it, and what it
was is recorded, so that the next download must be the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segbench.errors import AdapterError
from segbench.models.weights import RECORD_FILE, SHA256, ModelEntry, Weights, read_record

Report = Callable[[str], None]
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Pins:
    """What a download must be, beyond what the declaration says."""

    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)  # by path


def chosen(entry: ModelEntry, name: str | None) -> Weights:
    """Return a set of weights by name; without one, the first that can be fetched, else the first.

    Raises
    ------
    AdapterError
        The adapter has no weights, or none of that name.
    """
    if not entry.weights:
        raise AdapterError(f"{entry.name}: needs no weights")
    if name is None:
        return next((item for item in entry.weights if item.repo), entry.weights[0])
    by_name = {item.name: item for item in entry.weights}
    if name not in by_name:
        raise AdapterError(f"{entry.name}: no weights {name!r}; known: {', '.join(by_name)}")
    return by_name[name]


def notice(entry: ModelEntry, weights: Weights, folder: Path) -> str:
    """Return what a user should read before the download."""
    lines = [
        f"{entry.name}, weights {weights.name!r}",
        f"licence: {weights.licence}",
        f"from:    {weights.source}" + (f" ({weights.page})" if weights.page else ""),
        f"to:      {entry.folder(weights, folder)}",
        *([weights.note] if weights.note else []),
    ]
    return "\n".join(lines)


def fetch(
    entry: ModelEntry,
    weights: Weights,
    folder: Path,
    *,
    pins: Pins,
    endpoint: str | None,
    say: Report,
) -> Path:
    """Download a set of weights, check it, record it; return the path that the adapter takes.

    Parameters
    ----------
    pins : Pins
        Win over the declaration; what was recorded at an earlier download counts last.
    endpoint : str, optional
        Another server that speaks the hub's protocol.
    say : callable
        Is told, line by line, what was found.

    Raises
    ------
    AdapterError
        If the weights cannot be downloaded by program, if huggingface_hub is missing, if the
        server cannot be reached or does not have a file, or if something is not what it must be;
        a wrong file is removed.
    """
    target = entry.folder(weights, folder)
    if weights.bundled:
        return entry.weights_path(weights, folder)
    if weights.repo is None:
        files = ", ".join(item.path for item in weights.files)
        raise AdapterError(
            f"{entry.name}: {weights.name}: cannot be fetched by program; get {files} from "
            f"{weights.page or 'its authors'} and put it into {target}"
        )
    check_pins(pins, weights)
    target.mkdir(parents=True, exist_ok=True)
    repository = HubRepository(weights.repo, target, endpoint)
    pinned = pins.revision or weights.revision or read_record(target).get("revision")
    revision = repository.commit(weights.files[0].path, pinned)
    say(f"revision {revision}" + ("" if pinned else ": not pinned, recorded now"))
    expected = expected_sha256(weights, revision, pins, read_record(target))
    facts: dict[str, dict[str, Any]] = {}
    for item in weights.files:
        file, known = repository.download(item.path, revision), expected.get(item.path)
        digest = verify_sha256(file, known)
        facts[item.path] = {"sha256": digest, "bytes": file.stat().st_size}
        message = "as expected" if known else "not known before, recorded now"
        say(f"{item.path}: sha256 {digest}, {message}")
    write_record(target, {"repo": weights.repo, "revision": revision, "files": facts})
    return entry.weights_path(weights, folder)


def check_pins(pins: Pins, weights: Weights) -> None:
    """Refuse a checksum that would count for nothing: of an unknown file, or no checksum at all."""
    known = [item.path for item in weights.files]
    for path, digest in pins.sha256.items():
        if path not in known:
            raise AdapterError(f"sha256 of {path!r}: expected one of {', '.join(known)}")
        if not SHA256.fullmatch(digest.lower()):
            raise AdapterError(f"sha256 of {path!r}: expected 64 hexadecimal digits: {digest!r}")


def write_record(target: Path, record: Mapping[str, Any]) -> None:
    """Write what was downloaded beside it, whole or not at all."""
    unfinished = target / f".{RECORD_FILE}.partial"
    unfinished.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    unfinished.replace(target / RECORD_FILE)


def expected_sha256(
    weights: Weights, revision: str, pins: Pins, record: Mapping[str, Any]
) -> dict[str, str]:
    """Return the sha256 that each file must have, as far as it is known.

    What the declaration or the record says belongs to its revision and counts for no other.
    """
    known: dict[str, str] = {}
    if record.get("revision") == revision:
        known |= {path: facts["sha256"] for path, facts in record["files"].items()}
    if weights.revision in (None, revision):
        known |= {item.path: item.sha256 for item in weights.files if item.sha256}
    return {path: digest.lower() for path, digest in (known | dict(pins.sha256)).items()}


def verify_sha256(file: Path, expected: str | None) -> str:
    """Return a file's sha256; remove the file if it should be another."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if expected not in (None, digest):
        file.unlink()
        raise AdapterError(f"{file.name}: expected sha256 {expected}, found {digest}; removed it")
    return digest


@dataclass(frozen=True)
class HubRepository:
    """A repository on the hub, and the folder its files go to."""

    repo: str
    target: Path
    endpoint: str | None = None

    def commit(self, path: str, pinned: str | None) -> str:
        """Return the commit that a revision stands for: the pinned one, or that of ``main``."""
        commit = str(self._hub_download(path, pinned, dry_run=True).commit_hash)
        if pinned and COMMIT.fullmatch(pinned) and commit != pinned:
            raise AdapterError(f"{self.repo}: expected revision {pinned}, was given {commit}")
        return commit

    def download(self, path: str, revision: str) -> Path:
        """Download one file, or find that it is already there."""
        return Path(self._hub_download(path, revision))

    def _hub_download(self, path: str, revision: str | None, *, dry_run: bool = False) -> Any:
        try:
            from huggingface_hub import hf_hub_download
        except ImportError:
            raise AdapterError("needs huggingface_hub: pip install 'segbench[models]'") from None
        try:
            return hf_hub_download(
                self.repo,
                path,
                revision=revision,
                local_dir=self.target,
                endpoint=self.endpoint,
                dry_run=dry_run,
                library_name="segbench",
            )
        except Exception as error:  # its own, and those of whichever HTTP client it uses
            message = " ".join(str(error).split()) or type(error).__name__
            raise AdapterError(f"{self.repo}: {path}: {message}") from error
