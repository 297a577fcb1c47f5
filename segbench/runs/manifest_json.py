"""What is in ``run.json``: how a run was made; the facts of its calls may differ between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, Field, with_config
from typing_extensions import TypedDict

from segbench.core import AdapterInfo, Settings
from segbench.results import Policy
from segbench.runs.case_json import Sha256
from segbench.runs.config import Boxes, Predictions
from segbench.runs.json_files import CONFIG

Count = Annotated[int, Field(ge=1)]
Versions = dict[str, str]


@dataclass(frozen=True)
class Protocol:
    """The evaluation protocol. Part of the run's identity."""

    name: str
    """Its name."""
    version: Count
    """Its version."""
    hash: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    """First 16 hex digits of the sha256 of the settings as canonical JSON."""


@dataclass(frozen=True)
class Data:
    """The cases of the data folder; the file of each case has the sha256 of its data."""

    path: str
    """The value of --data; of several files their common folder; empty if the cases were given as
    arrays."""
    references: str | None
    """The value of --references."""
    cases: Count
    """Cases in the folder, whatever --case and --limit select."""
    names_and_sizes_sha256: Sha256
    """sha256 over the names and sizes of the files, or over the names and sha256 of arrays."""
    files: tuple[str, ...] = ()
    """The files, if several were given."""


class Worker(TypedDict):
    """The process that served the adapter."""

    versions: Versions
    """Versions of Python, numpy and, if loaded, torch."""
    device: NotRequired[str]
    """The GPU's name if torch sees one, else CPU; absent if the model ran in segbench's own
    process."""


@dataclass(frozen=True)
class GitState:
    """State of the checkout."""

    commit: Annotated[str, Field(pattern="^[0-9a-f]{40,64}$")]
    """The commit."""
    changed: bool
    """Whether tracked files had changes."""


@dataclass(frozen=True)
class Call:
    """One call of segbench run on the folder."""

    command: str
    """The command line; empty when called from Python."""
    predictions: Predictions
    """Which label maps are kept."""
    policy: Policy
    jobs: Count
    """Cases at a time."""
    threads: Count | None
    """Threads of numerical libraries in each worker; null: as they choose."""
    step_timeout: Annotated[float, Field(gt=0)]
    """Seconds for loading, for set_image and for each step."""
    worker: Worker
    versions: Versions
    """Versions of Python, segbench and the packages that numbers depend on."""
    platform: str
    """Operating system and kind of processor."""
    processors: Count | None
    """Processors of the machine."""
    git: GitState | None
    """State of the checkout of segbench; null if it was installed."""
    written: str
    """When, in UTC, as ISO 8601."""


def _checked_settings(settings: Settings) -> Settings:
    """Refuse values that no protocol has; ``core`` cannot import pydantic to say so."""
    if settings.version < 1 or settings.n_clicks < 1:
        found = f"{settings.version} and {settings.n_clicks}"
        raise ValueError(f"expected a version and n_clicks of at least 1, found {found}")
    limits = (settings.nsd_tolerance_mm, settings.nsd_gate, settings.seconds_per_label)
    if min(limits) < 0:
        raise ValueError(f"expected no negative tolerance, gate or time limit, found {min(limits)}")
    return settings


@with_config(CONFIG)
@dataclass(frozen=True)
class Manifest:
    """How a run was, or is being, made. Every call that works on the folder writes it."""

    schema: Literal[2]
    """Version of this schema."""
    protocol: Protocol
    settings: Annotated[Settings, AfterValidator(_checked_settings)]
    adapter: AdapterInfo
    adapter_source_sha256: Sha256 | None
    """sha256 of the adapter's file, or of all Python files of its folder; null if the model was
    given as an object in Python. Part of the run's identity."""
    options: dict[str, str]
    """The values of --option. Part of the run's identity."""
    boxes: Boxes
    """Whether the boxes of the cases were given or withheld. Part of the run's identity."""
    exact_sum: bool
    """Whether NSD was summed in the official script's order. Part of the run's identity."""
    name: str
    """The name of the run in tables: --name, else the adapter's own name."""
    model: str
    """The value of --model; python:NAME for an object or a function of Python."""
    data: Data
    calls: Annotated[tuple[Call, ...], Field(min_length=1)]
    """Every call that worked on the folder, oldest first; these facts may differ between them."""
    adapter_modules_sha256: Sha256 | None = None
    """sha256 of the modules of the adapter's author that it loaded and that are not its source, by
    names and contents; null if there are none. Part of the run's identity."""
