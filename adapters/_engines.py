"""The command lines of docker, podman and apptainer for one call of a submission."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

from segbench.errors import AdapterError

from ._checkpoint import sha256_of
from ._programs import PERSISTENT

ENGINES = ("docker", "podman", "apptainer")
SECONDS_TO_ANSWER = 60


def container_words(
    engine: str, image: str, *, memory: str, gpus: str, predict: str, persistent: bool = False
) -> list[str]:
    """Return the engine's argument vector for one call, with places for the folders and a name.

    No network, inputs read-only, a memory limit; the container is removed when it ends.
    """
    words = _apptainer(memory, gpus) if engine == "apptainer" else _docker(engine, memory, gpus)
    if persistent:
        words += ["--env", f"{PERSISTENT}=1"]
        words += [] if engine == "apptainer" else ["--interactive"]
    return [*words, image, "/bin/sh", "-c", predict]


def _docker(engine: str, memory: str, gpus: str) -> list[str]:
    words = [engine, "run", "--rm", "--name", "{name}", "--network", "none", "--memory", memory]
    words += [] if not gpus else ["--gpus", gpus] if engine == "docker" else ["--device", gpus]
    words += ["--volume", "{inputs}:/workspace/inputs:ro"]
    return [*words, "--volume", "{outputs}:/workspace/outputs"]


def _apptainer(memory: str, gpus: str) -> list[str]:
    words = ["apptainer", "exec", "--containall", "--net", "--network", "none", "--writable-tmpfs"]
    words += ["--memory", memory, *(["--nv"] if gpus else [])]
    words += ["--bind", "{inputs}:/workspace/inputs:ro"]
    return [*words, "--bind", "{outputs}:/workspace/outputs", "--pwd", "/workspace"]


def ending_words(engine: str) -> list[str]:
    """Return what ends a container that outlives its client; apptainer's is the client."""
    return [] if engine == "apptainer" else [engine, "kill", "{name}"]


def identity_of(engine: str, image: str) -> str:
    """Return the id of an image: an image of the same name may be another one tomorrow.

    Raises
    ------
    AdapterError
        If it is not there: nothing is fetched while a step's time runs.
    """
    if engine == "apptainer":
        if not Path(image).is_file():
            raise AdapterError(f"container: expected an image file for apptainer, found {image!r}")
        return f"sha256:{sha256_of(Path(image))}"
    done = _asked([engine, "image", "inspect", "--format", "{{.Id}}", image])
    if done is None or done.returncode != 0:
        raise AdapterError(
            f"container: {engine} has no image {image!r}: `{engine} pull` or load it"
        )
    return done.stdout.strip()


def engine_here(wanted: str) -> str:
    """Return the engine to use: of docker, podman, apptainer the first that answers.

    A client may be there without the service that it speaks to.
    """
    candidates = ENGINES if wanted == "auto" else (wanted,)
    installed = [engine for engine in candidates if shutil.which(engine)]
    if not installed:
        raise AdapterError(
            f"container: expected one of {', '.join(candidates)} on the path, found none"
        )
    found = next((engine for engine in installed if answers(engine)), None)
    if found is None:
        raise AdapterError(
            f"container: {', '.join(installed)} is installed but does not answer; "
            f"`{shlex.join(question(installed[0]))}` says why"
        )
    return found


def answers(engine: str) -> bool:
    """Whether an engine can be spoken to."""
    done = _asked(question(engine))
    return done is not None and done.returncode == 0


def question(engine: str) -> list[str]:
    """Return the question that shows whether an engine works; apptainer has no service."""
    return [engine, "version" if engine == "apptainer" else "info"]


def _asked(words: list[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            words, capture_output=True, text=True, timeout=SECONDS_TO_ANSWER, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
