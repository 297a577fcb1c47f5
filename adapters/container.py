"""Any challenge submission: a container image, or any program with the same interface.

``--model container:IMAGE`` runs ``sh predict.sh`` in docker, podman or apptainer, the first that
works; ``--model 'command:PROGRAM {inputs} {outputs}'`` runs any program. Each call is one step:
it reads ``inputs/CASE.npz`` and writes ``outputs/CASE.npz`` with ``segs``. Each call has its own
folders, so that an old output is never taken for a new one; a container has no network.
With ``persistent=yes`` one call serves many steps (docs/adapters.md).
"""

from __future__ import annotations

import shlex
import shutil
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segbench.core import AdapterInfo, Image, Interactions, LabelMap
from segbench.errors import AdapterError
from segbench.models.submission_npz import read_output, write_input

from ._engines import container_command, find_engine, image_id, kill_command
from ._programs import Program

CASE_FILE = "case.npz"


@dataclass(frozen=True)
class CommandTemplate:
    """The program's command and its kill command, with placeholders that each call fills."""

    words: Sequence[str]
    kill_words: Sequence[str] = ()

    def start(self, folder: CallFolder, *, persistent: bool) -> Program:
        """Start the program on a folder."""
        values = {
            "{inputs}": str(folder.inputs),
            "{outputs}": str(folder.outputs),
            "{name}": f"segbench-{uuid.uuid4().hex[:12]}",
        }
        words, kill_words = (
            [fill_placeholders(word, values) for word in each]
            for each in (self.words, self.kill_words)
        )
        return Program(words, kill_words, persistent=persistent)


def fill_placeholders(word: str, values: dict[str, str]) -> str:
    """Replace the placeholders in one word of a command."""
    for placeholder, value in values.items():
        word = word.replace(placeholder, value)
    return word


class CallFolder:
    """Input and output folder of a call; files that cannot be removed stay."""

    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="segbench-submission-"))
        self.inputs, self.outputs = (self._root / name for name in ("inputs", "outputs"))
        self.inputs.mkdir()
        self.outputs.mkdir()
        self.outputs.chmod(0o777)  # for a container's own user; the parent folder is private

    def clear_outputs(self) -> None:
        """Remove the output of an earlier step."""
        for old in self.outputs.iterdir():
            try:
                shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
            except OSError as error:
                raise AdapterError(
                    f"outputs/{old.name} of an earlier step cannot be removed: {error.strerror}"
                ) from None

    def read_segmentation(self) -> LabelMap:
        """Read the program's output."""
        file = self.outputs / CASE_FILE
        if not self.has_output():
            left = ", ".join(sorted(each.name for each in self.outputs.iterdir())) or "nothing"
            raise AdapterError(
                f"submission: expected it to write outputs/{CASE_FILE}, found {left}"
            )
        return read_output(file)

    def has_output(self) -> bool:
        """Whether there is an output: a file, not a link to one that may be old."""
        file = self.outputs / CASE_FILE
        return file.is_file() and not file.is_symlink()

    def remove(self) -> None:
        """Remove the folder; a container may leave files that only its own user can remove."""
        shutil.rmtree(self._root, ignore_errors=True)


class Submission:
    """Call a program once per step; only the image is kept between steps.

    Parameters
    ----------
    seconds : float, optional
        Time limit of a step.
    persistent : bool
        Whether one call of the program serves many steps.
    """

    outlives_worker = True  # the container: close it even if the worker is terminated

    def __init__(
        self,
        info: AdapterInfo,
        command: CommandTemplate,
        seconds: float | None,
        *,
        persistent: bool,
    ) -> None:
        self.info = info
        self._command, self._seconds, self._persistent = command, seconds, persistent
        self._folder: CallFolder | None = None
        self._program: Program | None = None

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Store the image."""
        self._image, self._labels = image, labels

    def predict(self, interactions: Interactions) -> LabelMap:
        """Write the input, run the program, read its output."""
        succeeded = False
        try:
            segmentation = self._run_step(interactions)
            succeeded = True
        finally:
            if not (succeeded and self._persistent):
                self._kill()
        return segmentation

    def _run_step(self, interactions: Interactions) -> LabelMap:
        if self._program is not None and not self._program.is_alive():
            self._kill()
        if self._folder is None:
            self._folder = CallFolder()
        self._folder.clear_outputs()
        write_input(self._folder.inputs / CASE_FILE, self._image, self._labels, interactions)
        if self._program is None:
            self._program = self._command.start(self._folder, persistent=self._persistent)
        if self._persistent:
            self._program.run_step(CASE_FILE, self._seconds, self._folder.has_output)
        else:
            self._program.wait(self._seconds)
        return self._folder.read_segmentation()

    def close(self) -> None:
        """Let a waiting program exit; kill it and its container if they do not."""
        if self._program is not None:
            self._program.stop()
        self._kill()

    def _kill(self) -> None:
        """Kill the program and its container, and remove the folder."""
        if self._program is not None:
            self._program.kill()
        if self._folder is not None:
            self._folder.remove()
        self._program = self._folder = None


def make_adapter(
    image: str = "",
    command: str = "",
    engine: Literal["auto", "docker", "podman", "apptainer"] = "auto",
    memory: str = "32g",
    gpus: str = "",
    predict: str = "sh predict.sh",
    seconds: float | None = None,
    persistent: bool = False,
    name: str = "",
) -> Submission:
    """Make the adapter from ``container:IMAGE`` or ``command:TEMPLATE``.

    Parameters
    ----------
    image
        The container image: what follows ``container:``.
    command
        The program with ``{inputs}`` and ``{outputs}``: what follows ``command:``.
    engine
        auto: the first of the others that works.
    memory
        Memory limit of the container.
    gpus
        docker: all or device=0; podman: a device; apptainer: any value means --nv.
    predict
        The command in the container.
    seconds
        Time limit of a step.
    persistent
        Whether one call serves many steps.
    name
        The model's name in tables; image or program by default.
    """
    if bool(image) == bool(command):
        raise AdapterError(
            "container: expected container:IMAGE or command:'PROGRAM {inputs} {outputs}', found "
            f"{'both' if image else 'neither'}"
        )
    if seconds is not None and seconds <= 0:
        raise AdapterError(f"container: seconds: expected a number above 0, found {seconds:g}")
    if image:
        found = find_engine(engine)
        version = image_id(found, image)
        words = container_command(
            found, image, memory=memory, gpus=gpus, predict=predict, persistent=persistent
        )
        call = CommandTemplate(words, kill_command(found))
    else:
        call, version = CommandTemplate(split_command(command)), "not known"
    info = AdapterInfo(
        name or image or Path(call.words[0]).name,
        version,
        licence="not known",
        deterministic=False,
        note=image or command,
    )
    return Submission(info, call, seconds, persistent=persistent)


def split_command(command: str) -> list[str]:
    """Split a command line as a shell does."""
    if not all(placeholder in command for placeholder in ("{inputs}", "{outputs}")):
        raise AdapterError(f"command: expected {{inputs}} and {{outputs}} in it, found {command!r}")
    try:
        return shlex.split(command)
    except ValueError as error:
        raise AdapterError(
            f"command: expected words as of a shell, found {command!r}: {error}"
        ) from None
