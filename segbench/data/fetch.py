"""Download data sets that segbench knows, and place their files as a run wants them.

The card of ``junma/CVPR-BiomedSegFM`` names folders; whether they hold cases or archives, and how
they are nested, may change. So files are found by the names of their folders: the parts of a path
that start with ``3D_`` say what a case is, and what is below the last of them is its place.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from segbench.activity import Activity, silent
from segbench.data.archives import is_archive, unpack_cases, without_suffix
from segbench.data.fetch_record import FetchRecord, Placed, read_record, same_content
from segbench.data.hub import HubFile, HubRepository
from segbench.errors import CaseError
from segbench.messages import counted

DOWNLOADS = ".downloads"  # hidden: no run reads it
FIRST_FILE = "README.md"  # every data set of the hub has one; asked for the commit
Role = Literal["cases", "images", "references"]


@dataclass(frozen=True)
class Split:
    """A part of a data set: the start of its folders' names, and what is in them."""

    folders: Mapping[str, Role]
    gigabytes: str  # as the card states it, or not stated


@dataclass(frozen=True)
class PublicData:
    """A data set on the hub."""

    name: str
    repo: str
    licence: str
    page: str
    splits: Mapping[str, Split]


SEGFM3D = PublicData(
    "segfm3d",
    "junma/CVPR-BiomedSegFM",
    "CC BY-NC-SA 4.0 (stated by the card of the data set): not for commercial use. The conditions "
    "of the original collections also apply.",
    "https://huggingface.co/datasets/junma/CVPR-BiomedSegFM",
    {
        "val": Split({"3D_val_npz": "images", "3D_val_gt": "references"}, "not stated"),
        "coreset": Split({"3D_train_npz_random_10percent": "cases"}, "16 GB"),
    },
)
DATA_SETS = {SEGFM3D.name: SEGFM3D}


@dataclass(frozen=True)
class FetchPlan:
    """Which files of which revision are downloaded, and in what role."""

    data: PublicData
    split: str
    revision: str
    files: tuple[tuple[HubFile, Role], ...]

    @property
    def size(self) -> int:
        """The bytes of the download."""
        return sum(file.size for file, _ in self.files)


def licence_notice(data: PublicData, split: str, out: Path) -> str:
    """Return what a user reads before the download: licence, source and destination."""
    return "\n".join(
        [
            f"{data.name}, {split}",
            f"licence: {data.licence}",
            f"from:    {data.repo} ({data.page})",
            f"to:      {out}",
            f"size:    {data.splits[split].gigabytes}",
        ]
    )


def repository(
    data: PublicData, out: Path, *, endpoint: str | None = None, activity: Activity = silent
) -> HubRepository:
    """Return the repository of a data set; its downloads are below ``out``."""
    return HubRepository(
        *(data.repo, out / DOWNLOADS, endpoint, data.page, activity),
        kind="dataset",
        error=CaseError,
    )


def plan_fetch(
    data: PublicData, split: str, hub: HubRepository, *, out: Path, revision: str | None = None
) -> FetchPlan:
    """Ask the hub for the files of a split, without downloading any.

    Without ``revision`` it is the one of the last call on this folder, else the newest.

    Raises
    ------
    CaseError
        If the server cannot be reached (within ten seconds), it has no such files, or the folder
        has files of another revision.
    """
    recorded = _record(out, split).header.get("revision")
    commit = hub.commit(FIRST_FILE, revision or recorded)
    if recorded and commit != recorded:
        raise CaseError(
            f"{out}: expected revision {recorded}, of which files are there, found {commit}; "
            "choose another --out"
        )
    files = [
        (file, role)
        for prefix, role in data.splits[split].folders.items()
        for file in _of_role(hub, prefix, role, commit)
    ]
    missing = set(data.splits[split].folders.values()) - {role for _, role in files}
    if missing:
        raise CaseError(
            f"{data.repo}: expected {' and '.join(sorted(missing))} of {split}, found none at "
            f"revision {commit}; look at {data.page}"
        )
    return FetchPlan(data, split, commit, tuple(files))


def fetch(
    plan: FetchPlan, hub: HubRepository, out: Path, *, say: Callable[[str], None]
) -> Mapping[Role, Path]:
    """Download and place the files of a plan; return the folder of each role.

    Files that are in their place already are not downloaded again, and a broken download is
    continued.

    Raises
    ------
    CaseError
        If a download fails, a file is not the one that the hub states, an archive could do harm, or
        another file is in the place of a case.
    """
    hub.target.mkdir(parents=True, exist_ok=True)
    header = {"data": plan.data.name, "repo": plan.data.repo, "split": plan.split}
    header |= {"revision": plan.revision, "licence": plan.data.licence}
    record = FetchRecord(*(_record_file(out, plan.split), header, _record(out, plan.split).placed))
    record.start()
    # images first: references are placed as these are
    todo = sorted(plan.files, key=lambda item: (item[1] == "references", item[0].path))
    placed = {path for path, each in record.placed.items() if each.is_there(out)}
    todo = [(file, role) for file, role in todo if file.path not in placed]
    say(f"revision {plan.revision}; {len(todo)} of {counted(len(plan.files), 'file')} to download")
    for file, role in todo:
        _inner(file.path)  # refuses a path that leads out, before anything is written there
        facts = hub.download(file.path, plan.revision, file.sha256, size=file.size)
        cases = _place(hub.target / file.path, file.path, role, record, out)
        record.add(Placed(file.path, role, facts["sha256"], cases))
    shutil.rmtree(hub.target)
    return {role: out / role for _, role in plan.files}


def _record_file(out: Path, split: str) -> Path:
    return out / f"segbench-fetch-{split}.jsonl"


def _record(out: Path, split: str) -> FetchRecord:
    return read_record(_record_file(out, split))


def _of_role(hub: HubRepository, prefix: str, role: Role, commit: str) -> Iterator[HubFile]:
    """Yield the cases and archives of a role; of references, those of the interactive task."""
    found: list[HubFile] = []
    for entry in hub.top_level(commit):
        if entry.path.startswith(prefix):
            found += hub.files(entry.path, commit) if entry.size < 0 else [entry]
    usable = [file for file in found if file.path.endswith(".npz") or is_archive(file.path)]
    if role == "references":
        usable = [file for file in usable if "text" not in _kind(file.path)]
        interactive = [file for file in usable if "interactive" in _kind(file.path)]
        usable = interactive or usable
    yield from usable


def _kind(path: str) -> str:
    """Return the parts of a path that say what a case is."""
    parts = PurePosixPath(without_suffix(path) if is_archive(path) else path).parts
    return " ".join(part for part in parts if part.startswith("3D_")).lower()


def _inner(path: str) -> PurePosixPath:
    """Return the place of a case: the part of its path below the last folder ``3D_...``."""
    parts = PurePosixPath(path).parts
    if ".." in parts or PurePosixPath(path).is_absolute():
        raise CaseError(f"{path}: expected a path inside of the repository, found one outside")
    last = max((at for at, part in enumerate(parts[:-1]) if part.startswith("3D_")), default=-1)
    return PurePosixPath(*parts[last + 1 :])


def _place(
    downloaded: Path, path: str, role: Role, record: FetchRecord, out: Path
) -> dict[str, int]:
    """Move the cases of a downloaded file to their places; return their sizes."""
    images = _places_of_images(record) if role == "references" else {}
    files = {path: downloaded}
    if is_archive(path):
        unpacked = downloaded.with_name(f"{downloaded.name}.unpacked")
        found = unpack_cases(downloaded, lambda name: unpacked / name)
        files = {
            f"{without_suffix(path)}/{file.relative_to(unpacked).as_posix()}": file
            for file in found
        }
        downloaded.unlink()
    sizes = {}
    for name, file in files.items():
        inner = _inner(name)
        place = out / role / images.get(inner.name, inner)
        _move(file, place)
        sizes[place.relative_to(out).as_posix()] = place.stat().st_size
    return sizes


def _move(file: Path, place: Path) -> None:
    """Move a file to its place; what is there already must be equal."""
    if place.exists() or place.is_symlink():
        if not place.is_file() or not same_content(file, place):
            raise CaseError(
                f"{place}: expected nothing or the case that was downloaded, found another file; "
                "choose another --out, or move it"
            )
        file.unlink()
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    file.replace(place)


def _places_of_images(record: FetchRecord) -> dict[str, PurePosixPath]:
    """Return where images are below their folder, by file name, if it is there once."""
    found: dict[str, list[PurePosixPath]] = {}
    for placed in record.placed.values():
        for path in placed.cases if placed.role == "images" else ():
            inner = PurePosixPath(path).relative_to("images")
            found.setdefault(inner.name, []).append(inner)
    return {name: places[0] for name, places in found.items() if len(places) == 1}
