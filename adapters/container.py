"""Any challenge submission: an image, or any program that keeps the same contract.

``--model container:IMAGE`` runs ``sh predict.sh`` in docker, podman or apptainer, whichever is
there; ``--model 'command:PROGRAM {inputs} {outputs}'`` runs any program. One call a step: it finds
``inputs/CASE.npz`` and leaves ``outputs/CASE.npz`` with ``segs``. Each call has folders of its own,
so that an old answer is never taken for a new one, and never sees the reference or the network.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from segbench.core import AdapterInfo, Image, Interactions, LabelMap
from segbench.errors import AdapterError
from segbench.exchange import read_answer, write_input

ENGINES = ("docker", "podman", "apptainer")
CASE = "case.npz"
LINES = 12


class Submission:
    """Calls a program once a step; keeps nothing between steps but the image."""

    def __init__(self, info: AdapterInfo, command: Command) -> None:
        self.info, self._command = info, command

    def start(self, image: Image, labels: tuple[int, ...]) -> None:
        """Remember the image."""
        self._image, self._labels = image, labels

    def step(self, said: Interactions) -> LabelMap:
        """Write the input, run the program, read its answer."""
        with tempfile.TemporaryDirectory(prefix="segbench-submission-") as folder:
            inputs, outputs = Path(folder, "inputs"), Path(folder, "outputs")
            inputs.mkdir()
            outputs.mkdir()
            write_input(inputs / CASE, self._image, self._labels, said)
            self._command.run(inputs, outputs)
            if not (outputs / CASE).exists():
                left = ", ".join(sorted(file.name for file in outputs.iterdir())) or "nothing"
                raise AdapterError(f"expected outputs/{CASE} from the submission, it left {left}")
            return read_answer(outputs / CASE)

    def close(self) -> None:
        """Nothing to release: each call ends with its step."""


class Command:
    """How the program is called; the arguments are made anew for each step's folders."""

    def __init__(self, words: list[str]) -> None:
        self._words = words

    def run(self, inputs: Path, outputs: Path) -> None:
        """Run the program; its exit status and last lines become the reason of a failure."""
        places = {"{inputs}": str(inputs), "{outputs}": str(outputs)}
        words = [fill(word, places) for word in self._words]
        try:
            done = subprocess.run(
                words, capture_output=True, text=True, errors="replace", check=False
            )
        except OSError as error:
            raise AdapterError(f"{words[0]} cannot be run: {error.strerror}") from None
        if done.returncode != 0:
            lines = (done.stdout + done.stderr).splitlines()[-LINES:]
            raise AdapterError(
                f"exit status {done.returncode}: " + "\n".join([shlex.join(words), *lines])
            )


def fill(word: str, places: dict[str, str]) -> str:
    """Put the step's folders into one word of the command."""
    for place, path in places.items():
        word = word.replace(place, path)
    return word


def container_words(engine: str, image: str, *, memory: str, gpus: str, predict: str) -> list[str]:
    """Return the engine's argument vector for one call, with places for the folders.

    No network, inputs read-only, a memory limit; the container is removed when it ends.
    """
    if engine == "apptainer":
        words = [
            "apptainer",
            "exec",
            "--containall",
            "--net",
            "--network",
            "none",
            "--writable-tmpfs",
        ]
        words += ["--memory", memory, *(["--nv"] if gpus else [])]
        words += [
            "--bind",
            "{inputs}:/workspace/inputs:ro",
            "--bind",
            "{outputs}:/workspace/outputs",
        ]
        return [*words, "--pwd", "/workspace", image, "/bin/sh", "-c", predict]
    words = [engine, "run", "--rm", "--network", "none", "--memory", memory]
    words += [] if not gpus else ["--gpus", gpus] if engine == "docker" else ["--device", gpus]
    words += [
        "--volume",
        "{inputs}:/workspace/inputs:ro",
        "--volume",
        "{outputs}:/workspace/outputs",
    ]
    return [*words, image, "/bin/sh", "-c", predict]


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
            f"`{shlex.join(asked(installed[0]))}` says why"
        )
    return found


def answers(engine: str) -> bool:
    """Whether an engine can be spoken to."""
    try:
        done = subprocess.run(asked(engine), capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def asked(engine: str) -> list[str]:
    """Return the question that shows whether an engine works; apptainer has no service."""
    return [engine, "version" if engine == "apptainer" else "info"]


def make_adapter(
    image: str = "",
    command: str = "",
    engine: str = "auto",
    memory: str = "32g",
    gpus: str = "",
    predict: str = "sh predict.sh",
) -> Submission:
    """Make the adapter from ``container:IMAGE`` or ``command:TEMPLATE``."""
    if bool(image) == bool(command):
        raise AdapterError(
            "container: expected container:IMAGE or command:'PROGRAM {inputs} {outputs}'"
        )
    if command and not all(place in command for place in ("{inputs}", "{outputs}")):
        raise AdapterError(f"command: expected {{inputs}} and {{outputs}} in it, found {command!r}")
    if image:
        words = container_words(
            engine_here(engine), image, memory=memory, gpus=gpus, predict=predict
        )
    else:
        words = shlex.split(command)
    name = image or Path(words[0]).name
    info = AdapterInfo(name, licence="not known", deterministic=False, note=image or command)
    return Submission(info, Command(words))
