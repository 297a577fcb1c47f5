"""Any challenge submission: an image, or any program that keeps the same contract.

``--model container:IMAGE`` runs ``sh predict.sh`` in docker, podman or apptainer, whichever is
there; ``--model 'command:PROGRAM {inputs} {outputs}'`` runs any program. One call a step: it finds
``inputs/CASE.npz`` and leaves ``outputs/CASE.npz`` with ``segs``. Each call has folders of its own,
so that an old answer is never taken for a new one, and never sees the reference or the network.
With ``persistent=yes`` one call lives through many steps (docs/adapters.md).
"""

from __future__ import annotations

import shlex
import shutil
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.core import AdapterInfo, Image, Interactions, LabelMap
from segbench.errors import AdapterError
from segbench.models.submission_npz import read_answer, write_input

from ._engines import container_command, find_engine, image_id, kill_command
from ._programs import Program

CASE_FILE = "case.npz"


@dataclass(frozen=True)
class CommandTemplate:
    """How the program is called and ended, with places that each call fills in."""

    template: Sequence[str]
    kill_template: Sequence[str] = ()

    def start(self, folder: CallFolder, *, persistent: bool) -> Program:
        """Start the program on a folder."""
        values = {
            "{inputs}": str(folder.inputs),
            "{outputs}": str(folder.outputs),
            "{name}": f"segbench-{uuid.uuid4().hex[:12]}",
        }
        command, kill = (
            [fill_placeholders(word, values) for word in each]
            for each in (self.template, self.kill_template)
        )
        return Program(command, kill, persistent=persistent)


def fill_placeholders(word: str, values: dict[str, str]) -> str:
    """Put a call's places into one word of the command."""
    for placeholder, value in values.items():
        word = word.replace(placeholder, value)
    return word


class CallFolder:
    """Inputs and outputs of a call; what cannot be removed when it ends is left to the system."""

    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="segbench-submission-"))
        self.inputs, self.outputs = (self._root / name for name in ("inputs", "outputs"))
        self.inputs.mkdir()
        self.outputs.mkdir()
        self.outputs.chmod(0o777)  # for an image with a user of its own; nobody else gets this far

    def clear_outputs(self) -> None:
        """Remove what an earlier step has left."""
        for left in self.outputs.iterdir():
            try:
                shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
            except OSError as error:
                raise AdapterError(
                    f"outputs/{left.name} of an earlier step cannot be removed: {error.strerror}"
                ) from None

    def read_segmentation(self) -> LabelMap:
        """Return what the program left: a file, not a link to one that may be old."""
        file = self.outputs / CASE_FILE
        if not file.is_file() or file.is_symlink():
            left = ", ".join(sorted(each.name for each in self.outputs.iterdir())) or "nothing"
            raise AdapterError(f"expected outputs/{CASE_FILE} from the submission, it left {left}")
        return read_answer(file)

    def remove(self) -> None:
        """Remove the folder; a container may leave what only its own user may remove."""
        shutil.rmtree(self._root, ignore_errors=True)


class Submission:
    """Asks a program once a step; keeps nothing between steps but the image.

    Parameters
    ----------
    seconds : float, optional
        How long an answer may take.
    persistent : bool
        Whether one call of the program answers many steps.
    """

    outlives_worker = True  # a container does: the worker closes this also when it is ended itself

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
        """Remember the image."""
        self._image, self._labels = image, labels

    def predict(self, interactions: Interactions) -> LabelMap:
        """Write the input, have it answered, read the answer."""
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
            self._program.run_step(CASE_FILE, self._seconds)
        else:
            self._program.wait(self._seconds)
        return self._folder.read_segmentation()

    def close(self) -> None:
        """Let a program that waits go; end it or its container if it stays."""
        if self._program is not None:
            self._program.stop()
        self._kill()

    def _kill(self) -> None:
        """End the program, or its container, and remove its folder."""
        if self._program is not None:
            self._program.kill()
        if self._folder is not None:
            self._folder.remove()
        self._program = self._folder = None


def make_adapter(
    image: str = "",
    command: str = "",
    engine: str = "auto",
    memory: str = "32g",
    gpus: str = "",
    predict: str = "sh predict.sh",
    seconds: str = "",
    persistent: str = "no",
    name: str = "",
) -> Submission:
    """Make the adapter from ``container:IMAGE`` or ``command:TEMPLATE``."""
    if bool(image) == bool(command):
        raise AdapterError(
            "container: expected container:IMAGE or command:'PROGRAM {inputs} {outputs}'"
        )
    if persistent not in ("yes", "no"):
        raise AdapterError(f"persistent {persistent!r}: expected yes or no")
    is_persistent = persistent == "yes"
    if image:
        engine = find_engine(engine)
        version = image_id(engine, image)
        template = container_command(
            engine, image, memory=memory, gpus=gpus, predict=predict, persistent=is_persistent
        )
        call = CommandTemplate(template, kill_command(engine))
    else:
        call, version = CommandTemplate(split_command(command)), "not known"
    info = AdapterInfo(
        name or image or Path(call.template[0]).name,
        version,
        licence="not known",
        deterministic=False,
        note=image or command,
    )
    return Submission(info, call, parse_seconds(seconds), persistent=is_persistent)


def split_command(command: str) -> list[str]:
    """Return the words of a command line as a shell would take them apart."""
    if not all(placeholder in command for placeholder in ("{inputs}", "{outputs}")):
        raise AdapterError(f"command: expected {{inputs}} and {{outputs}} in it, found {command!r}")
    try:
        return shlex.split(command)
    except ValueError as error:
        raise AdapterError(f"command: {command!r}: {error}") from None


def parse_seconds(seconds: str) -> float | None:
    """Return the option ``seconds`` as a number; none is no limit."""
    if not seconds:
        return None
    try:
        limit = float(seconds)
    except ValueError:
        limit = -1.0
    if not 0 < limit < float("inf"):
        raise AdapterError(f"seconds {seconds!r}: expected a positive number")
    return limit
