"""Run the authors' code: in an environment and from a checkout that the tester names.

``SEGBENCH_TEST_PYTHON_<ADAPTER>`` is an interpreter that has what the adapter's header declares, or
``uv``, which builds it from header and lock, as for a user; ``SEGBENCH_TEST_PEER_<ADAPTER>`` is a
checkout of the authors' repository.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from segbench.models.environments import find_interpreter
from segbench.models.registry import find_adapter

ROOT = Path(__file__).parents[2]


def python_of(name: str) -> Path:
    """Return the interpreter for an adapter; skip the test if none is named."""
    python = _named(
        f"SEGBENCH_TEST_PYTHON_{name.upper()}", f"an interpreter with what {name} declares"
    )
    return find_interpreter(find_adapter(name), None) if python == Path("uv") else python


def checkout_of(name: str) -> Path:
    """Return the checkout of the authors' repository; skip the test if none is named."""
    return _named(
        f"SEGBENCH_TEST_PEER_{name.upper()}", f"a checkout of the authors' code of {name}"
    )


def _named(variable: str, what: str) -> Path:
    if not os.environ.get(variable):
        pytest.skip(f"{variable} does not name {what}")
    return Path(os.environ[variable])


def run(name: str, script: str, *arguments: str | Path) -> str:
    """Run a script of this folder in the adapter's environment; return what it printed."""
    command = [python_of(name), Path(__file__).with_name(script), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def steps(printed: str) -> list[dict[str, Any]]:
    """Return the steps that a comparison reported."""
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
