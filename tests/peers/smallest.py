"""The smallest version of each adapter that can run here, with random weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from segbench.models.environments import readiness
from segbench.models.registry import find_adapter, has_own_environment
from segbench.models.weights import find_model_entry
from tests import ours_checkpoint, segvol_checkpoint
from tests.peers import random_nninteractive
from tests.peers.running import python_of, run


def smallest(name: str, references: Path, folder: Path) -> tuple[Path, dict[str, str], Path | None]:
    """Return file, options and interpreter of an adapter; skip the test if it cannot run here.

    Its weights are written to ``folder``; ``references`` contains the cases that it may get.
    """
    if has_own_environment(find_adapter(name)):
        return with_own_environment(name, folder)
    options = options_for(name, references, folder)
    if lacks := why_not(name, options):
        pytest.skip(lacks)
    return find_adapter(name), options, None


def options_for(name: str, references: Path, folder: Path) -> dict[str, str]:
    """Return the required options of an adapter with segbench's interpreter, and small weights."""
    program = Path(__file__).parents[1] / "submissions" / "boxes.py"
    needed = {
        "oracle": {"references": str(references)},
        "container": {"command": f"{sys.executable} {program} {{inputs}} {{outputs}}"},
    }
    if name == "segvol":
        needed[name] = {"weights": str(segvol_checkpoint.write_checkpoint(folder / "random.pth"))}
    if name == "ours":
        file = ours_checkpoint.write_checkpoint(folder / "random.safetensors")
        needed[name] = {"weights": str(file)}
    return needed.get(name, {})


def why_not(name: str, options: dict[str, str]) -> str | None:
    """Return what an adapter lacks here; None if it can run."""
    found = find_model_entry(name)
    state = readiness(found.file, found.needs)
    if state != "ready":
        return f"{name} {state}"
    if found.weights and not options and not any(each.bundled for each in found.weights):
        return f"{name} needs weights that are not bundled"
    return None


def with_own_environment(name: str, folder: Path) -> tuple[Path, dict[str, str], Path]:
    """Return a small version of an adapter with random weights, where its packages are."""
    python = python_of(name)  # or skips
    if name.startswith("nninteractive"):
        model_folder = random_nninteractive.write_folder(folder / "random")
        return find_adapter(name), {"model": str(model_folder)}, python
    small = Path(__file__).with_name(f"{name}.py")
    if not small.is_file():
        pytest.skip(f"{name}: no small version with random weights")
    weights = folder / "random.pth"
    run(name, small.name, weights)
    return small, {"weights": str(weights)}, python
