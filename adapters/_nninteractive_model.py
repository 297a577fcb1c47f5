"""A trained nnInteractive model: a folder in nnU-Net's format, checked before it is loaded.

::

    nnInteractive_v1.0/
      plans.json  dataset.json      the network's architecture
      inference_session_class.json  the session's settings; inference_info.json in newer folders
      LICENSE
      fold_0/checkpoint_final.pth   the weights
"""

from __future__ import annotations

import json
import pydoc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segbench.errors import AdapterError

CHECKPOINT = "checkpoint_final.pth"
OFFICIAL_DATASET = "Dataset225_nnInteractiveV2"  # dataset_name in the authors' plans
OFFICIAL_LICENCE = "CC BY-NC-SA 4.0"
SOURCE = (
    "the authors publish theirs as MIC-DKFZ/nnInteractive on Hugging Face, folder "
    f"nnInteractive_v1.0, under {OFFICIAL_LICENCE} (non-commercial); segbench includes none"
)


@dataclass(frozen=True)
class TrainedModel:
    """The content of a trained model's folder."""

    folder: Path
    fold: str
    plans: Mapping[str, Any]
    licence: str
    records_decay: bool

    @property
    def checkpoint(self) -> Path:
        """The file with the weights."""
        return self.folder / f"fold_{self.fold}" / CHECKPOINT


def read_model(name: str, folder: str, fold: str, session_files: Sequence[str]) -> TrainedModel:
    """Read the folder; ``fold`` may be empty if there is only one.

    Raises
    ------
    AdapterError
        No folder is given, it is incomplete, or the fold is ambiguous.
    """
    path = Path(folder).expanduser()
    problem = folder_problem(path, session_files) if folder else "none"
    if problem:
        files = f"plans.json, dataset.json, {' or '.join(session_files)} and fold_0/{CHECKPOINT}"
        raise AdapterError(
            f"{name}: expected --option model=DIR, a trained model's folder with {files}, found "
            f"{problem}; {SOURCE}"
        )
    plans = read_json(path / "plans.json")
    session = read_json(next(path / file for file in session_files if (path / file).is_file()))
    return TrainedModel(
        folder=path,
        fold=choose_fold(name, path, fold),
        plans=plans,
        licence=read_licence(path, plans),
        records_decay=isinstance(session, dict) and "interaction_decay" in session,
    )


def folder_problem(path: Path, session_files: Sequence[str]) -> str:
    """Return what is missing in the folder, or an empty string."""
    if not path.is_dir():
        return f"no folder {path}"
    missing = [file for file in ("plans.json", "dataset.json") if not (path / file).is_file()]
    if not any((path / file).is_file() for file in session_files):
        missing.append(" or ".join(session_files))
    return f"no {missing[0]} in {path}" if missing else ""


def choose_fold(name: str, path: Path, fold: str) -> str:
    """Return the fold to load."""
    available = sorted(file.parent.name[5:] for file in path.glob(f"fold_*/{CHECKPOINT}"))
    if fold in available or (not fold and len(available) == 1):
        return fold or available[0]
    found = ", ".join(available) or "none"
    expected = f"fold {fold}" if fold else "--option fold, one of those available"
    raise AdapterError(f"{name}: {path}: expected {expected}, found {CHECKPOINT} of {found}")


def read_licence(path: Path, plans: Mapping[str, Any]) -> str:
    """Return the folder's licence: the first line of LICENSE, as the authors do.

    Folders of the authors' first release may lack the file: their plans identify them.
    """
    file = path / "LICENSE"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    licence = next((line.strip() for line in lines if line.strip()), "")
    if not licence and plans.get("dataset_name") == OFFICIAL_DATASET:
        return OFFICIAL_LICENCE
    return licence or "not stated in the model's folder"


def read_json(file: Path) -> Any:
    """Read a JSON file of the folder."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise AdapterError(f"{file}: expected JSON, found {error}") from error


def require_torch_modules(name: str, plans: Mapping[str, Any]) -> None:
    """Refuse plans that name anything but torch modules: nnU-Net calls what they name."""
    import torch

    for part in imported_names(plans):
        found = pydoc.locate(part)
        # nnU-Net searches its own library for a network class that has moved
        if found is not None and not (
            isinstance(found, type) and issubclass(found, torch.nn.Module)
        ):
            raise AdapterError(
                f"{name}: plans.json: expected torch modules in the network, found {part}; "
                "to allow the call, if you trust its source: --option trust=yes"
            )


def imported_names(plans: Mapping[str, Any]) -> Iterator[str]:
    """Yield every name in the plans that nnU-Net imports and calls."""
    for configuration in plans.get("configurations", {}).values():
        architecture = configuration.get("architecture", {})
        arguments = architecture.get("arch_kwargs", {})
        names = [architecture.get("network_class_name")]
        names += [arguments.get(key) for key in architecture.get("_kw_requires_import", ())]
        yield from (part for part in names if part)
