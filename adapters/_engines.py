"""Command lines of docker, podman and apptainer for one call of a submission."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

from segbench.errors import AdapterError
from segbench_adapters import kit

from ._programs import PERSISTENT

ENGINES = ("docker", "podman", "apptainer")
TIMEOUT_SECONDS = 60


def container_command(
    engine: str, image: str, *, memory: str, gpus: str, predict: str, persistent: bool = False
) -> list[str]:
    """Return the engine's arguments for one call, with placeholders for folders and name.

    No network, read-only inputs, a memory limit; the container is removed when it exits.
    """
    command = _apptainer(memory, gpus) if engine == "apptainer" else _docker(engine, memory, gpus)
    if persistent:
        command += ["--env", f"{PERSISTENT}=1"]
        command += [] if engine == "apptainer" else ["--interactive"]
    return [*command, image, "/bin/sh", "-c", predict]


def _docker(engine: str, memory: str, gpus: str) -> list[str]:
    command = [engine, "run", "--rm", "--name", "{name}", "--network", "none", "--memory", memory]
    command += [] if not gpus else ["--gpus", gpus] if engine == "docker" else ["--device", gpus]
    command += ["--volume", "{inputs}:/workspace/inputs:ro"]
    return [*command, "--volume", "{outputs}:/workspace/outputs"]


def _apptainer(memory: str, gpus: str) -> list[str]:
    command = [
        "apptainer",
        "exec",
        "--containall",
        "--net",
        "--network",
        "none",
        "--writable-tmpfs",
    ]
    command += ["--memory", memory, *(["--nv"] if gpus else [])]
    command += ["--bind", "{inputs}:/workspace/inputs:ro"]
    return [*command, "--bind", "{outputs}:/workspace/outputs", "--pwd", "/workspace"]


def kill_command(engine: str) -> list[str]:
    """Return the command that kills a container; with apptainer the client is the container."""
    return [] if engine == "apptainer" else [engine, "kill", "{name}"]


def image_id(engine: str, image: str) -> str:
    """Return the id of an image; the name alone may later refer to another image.

    Raises
    ------
    AdapterError
        The image is not available locally: it is never pulled during a timed step.
    """
    if engine == "apptainer":
        if not Path(image).is_file():
            raise AdapterError(f"container: expected an image file for apptainer, found {image!r}")
        return f"sha256:{kit.sha256_of(Path(image))}"
    result = _run([engine, "image", "inspect", "--format", "{{.Id}}", image])
    if result is None or result.returncode != 0:
        raise AdapterError(
            f"container: expected an image that {engine} has, found no {image!r}; "
            f"`{engine} pull` or load it"
        )
    return result.stdout.strip()


def find_engine(requested: str) -> str:
    """Return the engine to use: the first of docker, podman and apptainer that works.

    A client may be installed while its service does not run.
    """
    candidates = ENGINES if requested == "auto" else (requested,)
    installed = [engine for engine in candidates if shutil.which(engine)]
    if not installed:
        raise AdapterError(
            f"container: expected one of {', '.join(candidates)} on the path, found none"
        )
    found = next((engine for engine in installed if is_available(engine)), None)
    if found is None:
        raise AdapterError(
            f"container: expected an answer of {', '.join(installed)}, found none; "
            f"`{shlex.join(status_command(installed[0]))}` says why"
        )
    return found


def is_available(engine: str) -> bool:
    """Whether an engine works."""
    result = _run(status_command(engine))
    return result is not None and result.returncode == 0


def status_command(engine: str) -> list[str]:
    """Return a command that fails if the engine does not work; apptainer has no service."""
    return [engine, "version" if engine == "apptainer" else "info"]


def _run(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
