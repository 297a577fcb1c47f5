"""One repository on the Hugging Face hub, whose files are downloaded one by one.

huggingface_hub is imported inside the functions. It asks a server that cannot be reached six times,
with pauses; so the server is asked once, with a limit, before a file is downloaded.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from segbench.activity import Activity, silent
from segbench.errors import AdapterError, SegbenchError
from segbench.files import sha256_of
from segbench.messages import named

COMMIT = re.compile(r"[0-9a-f]{40}")
HUB = "https://huggingface.co"
REQUEST_SECONDS, LIMIT_SECONDS = 5.0, 8.0  # of a request; with the search for the server's address


@dataclass(frozen=True)
class HubFile:
    """A file of a repository, or a folder, whose size is -1."""

    path: str
    size: int
    sha256: str | None  # as far as the hub states it


@dataclass(frozen=True)
class HubRepository:
    """A repository on the hub, and the local folder for its files."""

    repo: str
    target: Path
    endpoint: str | None = None
    page: str | None = None  # where a user gets the files if a program does not
    activity: Activity = silent
    kind: Literal["model", "dataset"] = "model"
    error: type[SegbenchError] = AdapterError  # what is raised

    def commit(self, path: str, pinned: str | None) -> str:
        """Return the commit of the pinned revision, or without one that of ``main``."""
        is_commit = pinned is not None and COMMIT.fullmatch(pinned) is not None
        if pinned and is_commit and (self.target / path).is_file():
            return pinned  # without a network, if all files are there
        commit = str(self._metadata(path, pinned).commit_hash)
        if pinned and is_commit and commit != pinned:
            raise self.error(f"{self.repo}: expected revision {pinned}, found {commit}")
        return commit

    def files(self, folder: str, revision: str) -> list[HubFile]:
        """Return all files in a folder, with those in folders inside it."""
        return [
            entry for entry in self._entries(folder, revision, recursive=True) if entry.size >= 0
        ]

    def top_level(self, revision: str) -> list[HubFile]:
        """Return the files and folders of the repository, not what is in these."""
        return self._entries(None, revision, recursive=False)

    def _entries(self, folder: str | None, revision: str, *, recursive: bool) -> list[HubFile]:
        try:
            from huggingface_hub import HfApi
        except ImportError:
            raise self._without_hub() from None
        api = HfApi(endpoint=self.endpoint, library_name="segbench")
        try:
            entries = api.list_repo_tree(
                *(self.repo, folder), recursive=recursive, revision=revision, repo_type=self.kind
            )
            return [_hub_file(entry) for entry in entries]
        except Exception as error:  # as below
            raise self._failure(folder or "its files", error) from error

    def download(
        self, path: str, revision: str, sha256: str | None, *, size: int | None = None
    ) -> dict[str, Any]:
        """Download one file unless it is in the folder, and check it; return its record."""
        if (self.target / path).is_file():
            return self._checked(self._hub_download(path, revision), sha256)
        size = self._metadata(path, revision).size if size is None else size
        with self.activity(f"downloading {path}" + (f", {size / 1e6:.1f} MB" if size else "")):
            file = self._hub_download(path, revision)
        return self._checked(file, sha256)

    def _checked(self, file: Path, sha256: str | None) -> dict[str, Any]:
        return {"sha256": verify_sha256(file, sha256, self.error), "bytes": file.stat().st_size}

    def _metadata(self, path: str, revision: str | None) -> Any:
        """Return what the server says about a file: its commit and its size."""
        try:
            from huggingface_hub import get_hf_file_metadata, hf_hub_url
        except ImportError:
            raise self._without_hub() from None
        url = hf_hub_url(
            self.repo, path, revision=revision, endpoint=self.endpoint, repo_type=self.kind
        )
        try:
            return _within_limit(
                lambda: get_hf_file_metadata(
                    url, timeout=REQUEST_SECONDS, endpoint=self.endpoint, library_name="segbench"
                )
            )
        except Exception as error:  # its own errors, and those of its HTTP client
            raise self._failure(path, error) from error

    def _hub_download(self, path: str, revision: str) -> Path:
        try:
            from huggingface_hub import hf_hub_download
            from huggingface_hub.utils.tqdm import disable_progress_bars
        except ImportError:
            raise self._without_hub() from None
        try:
            with disable_progress_bars():  # the activity says what is downloaded
                file = hf_hub_download(
                    self.repo,
                    path,
                    revision=revision,
                    repo_type=self.kind,
                    local_dir=self.target,
                    endpoint=self.endpoint,
                    library_name="segbench",
                )
        except Exception as error:  # as above
            raise self._failure(path, error) from error
        return Path(file)

    def _failure(self, path: str, error: Exception) -> SegbenchError:
        folder = "datasets/" if self.kind == "dataset" else ""
        page = self.page or f"{(self.endpoint or HUB).rstrip('/')}/{folder}{self.repo}"
        return self.error(
            f"{self.repo}: {path}: expected to get it from the hub, found {named(error)}; check "
            f"the network, or get the files from {page} and put them into {self.target}"
        )

    def _without_hub(self) -> SegbenchError:
        return self.error(
            f"{self.repo}: expected the package huggingface_hub to get it, found none; "
            "pip install 'segbench[models]'"
        )


def _hub_file(entry: Any) -> HubFile:
    lfs = getattr(entry, "lfs", None)
    return HubFile(entry.path, getattr(entry, "size", -1), lfs.sha256 if lfs else None)


def _within_limit(call: Callable[[], Any]) -> Any:
    """Return the result of a call; raise a TimeoutError if it takes too long.

    The search for a server's address has no limit of its own.
    """
    results: list[Any] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(call())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT_SECONDS)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {LIMIT_SECONDS:g} s")
    return results[0]


def verify_sha256(
    file: Path, expected: str | None, error: type[SegbenchError] = AdapterError
) -> str:
    """Return a file's sha256; remove the file if another one is expected."""
    digest = sha256_of(file)
    if expected not in (None, digest):
        file.unlink()
        raise error(f"{file.name}: expected sha256 {expected}, found {digest}; it was removed")
    return digest
