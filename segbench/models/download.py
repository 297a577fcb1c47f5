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
from segbench.models.weights import RECORD, SHA256, Model, Weights, record_of

Say = Callable[[str], None]
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Pins:
    """What a download must be, beyond what the declaration says."""

    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)  # by path


def chosen(found: Model, name: str | None) -> Weights:
    """Return a set of weights by name; without one, the first that can be fetched, else the first.

    Raises
    ------
    AdapterError
        The adapter has no weights, or none of that name.
    """
    if not found.weights:
        raise AdapterError(f"{found.name}: needs no weights")
    if name is None:
        return next((each for each in found.weights if each.repo), found.weights[0])
    by_name = {each.name: each for each in found.weights}
    if name not in by_name:
        raise AdapterError(f"{found.name}: no weights {name!r}; known: {', '.join(by_name)}")
    return by_name[name]


def notice(found: Model, weights: Weights, folder: Path) -> str:
    """Return what a user should read before the download."""
    lines = [
        f"{found.name}, weights {weights.name!r}",
        f"licence: {weights.licence}",
        f"from:    {weights.source}" + (f" ({weights.page})" if weights.page else ""),
        f"to:      {found.folder(weights, folder)}",
        *([weights.note] if weights.note else []),
    ]
    return "\n".join(lines)


def fetch(
    found: Model, weights: Weights, folder: Path, *, pins: Pins, endpoint: str | None, say: Say
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
    place = found.folder(weights, folder)
    if weights.bundled:
        return found.usable(weights, folder)
    if weights.repo is None:
        files = ", ".join(each.path for each in weights.files)
        raise AdapterError(
            f"{found.name}: {weights.name}: cannot be fetched by program; get {files} from "
            f"{weights.page or 'its authors'} and put it into {place}"
        )
    refuse_unknown(pins, weights)
    place.mkdir(parents=True, exist_ok=True)
    source = Source(weights.repo, place, endpoint)
    wanted = pins.revision or weights.revision or record_of(place).get("revision")
    revision = source.revision(weights.files[0].path, wanted)
    say(f"revision {revision}" + ("" if wanted else ": not pinned, recorded now"))
    expected = known_hashes(weights, revision, pins, record_of(place))
    facts: dict[str, dict[str, Any]] = {}
    for each in weights.files:
        file, known = source.download(each.path, revision), expected.get(each.path)
        digest = checked(file, known)
        facts[each.path] = {"sha256": digest, "bytes": file.stat().st_size}
        words = "as expected" if known else "not known before, recorded now"
        say(f"{each.path}: sha256 {digest}, {words}")
    write_record(place, {"repo": weights.repo, "revision": revision, "files": facts})
    return found.usable(weights, folder)


def refuse_unknown(pins: Pins, weights: Weights) -> None:
    """Refuse a checksum that would count for nothing: of an unknown file, or no checksum at all."""
    known = [each.path for each in weights.files]
    for path, digest in pins.sha256.items():
        if path not in known:
            raise AdapterError(f"sha256 of {path!r}: expected one of {', '.join(known)}")
        if not SHA256.fullmatch(digest.lower()):
            raise AdapterError(f"sha256 of {path!r}: expected 64 hexadecimal digits: {digest!r}")


def write_record(place: Path, record: Mapping[str, Any]) -> None:
    """Write what was downloaded beside it, whole or not at all."""
    unfinished = place / f".{RECORD}.partial"
    unfinished.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    unfinished.replace(place / RECORD)


def known_hashes(
    weights: Weights, revision: str, pins: Pins, record: Mapping[str, Any]
) -> dict[str, str]:
    """Return the sha256 that each file must have, as far as it is known.

    What the declaration or the record says belongs to its revision and counts for no other.
    """
    known: dict[str, str] = {}
    if record.get("revision") == revision:
        known |= {path: facts["sha256"] for path, facts in record["files"].items()}
    if weights.revision in (None, revision):
        known |= {each.path: each.sha256 for each in weights.files if each.sha256}
    return {path: digest.lower() for path, digest in (known | dict(pins.sha256)).items()}


def checked(file: Path, expected: str | None) -> str:
    """Return a file's sha256; remove the file if it should be another."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if expected not in (None, digest):
        file.unlink()
        raise AdapterError(f"{file.name}: expected sha256 {expected}, found {digest}; removed it")
    return digest


@dataclass(frozen=True)
class Source:
    """A repository on the hub, and the folder its files go to."""

    repo: str
    place: Path
    endpoint: str | None = None

    def revision(self, path: str, wanted: str | None) -> str:
        """Return the commit that a revision stands for: the pinned one, or that of ``main``."""
        commit = str(self._hub(path, wanted, dry_run=True).commit_hash)
        if wanted and COMMIT.fullmatch(wanted) and commit != wanted:
            raise AdapterError(f"{self.repo}: expected revision {wanted}, was given {commit}")
        return commit

    def download(self, path: str, revision: str) -> Path:
        """Download one file, or find that it is already there."""
        return Path(self._hub(path, revision))

    def _hub(self, path: str, revision: str | None, *, dry_run: bool = False) -> Any:
        try:
            from huggingface_hub import hf_hub_download
        except ImportError:
            raise AdapterError("needs huggingface_hub: pip install 'segbench[models]'") from None
        try:
            return hf_hub_download(
                self.repo,
                path,
                revision=revision,
                local_dir=self.place,
                endpoint=self.endpoint,
                dry_run=dry_run,
                library_name="segbench",
            )
        except Exception as error:  # its own, and those of whichever HTTP client it uses
            words = " ".join(str(error).split()) or type(error).__name__
            raise AdapterError(f"{self.repo}: {path}: {words}") from error
