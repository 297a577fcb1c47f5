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

from ._engines import container_words, ending_words, engine_here, identity_of
from ._programs import Program

CASE = "case.npz"


@dataclass(frozen=True)
class Command:
    """How the program is called and ended, with places that each call fills in."""

    words: Sequence[str]
    ending: Sequence[str] = ()

    def begin(self, folder: Folder, *, told: bool) -> Program:
        """Start the program on a folder."""
        places = {
            "{inputs}": str(folder.inputs),
            "{outputs}": str(folder.outputs),
            "{name}": f"segbench-{uuid.uuid4().hex[:12]}",
        }
        words, ending = (
            [fill(word, places) for word in each] for each in (self.words, self.ending)
        )
        return Program(words, ending, told=told)


def fill(word: str, places: dict[str, str]) -> str:
    """Put a call's places into one word of the command."""
    for place, value in places.items():
        word = word.replace(place, value)
    return word


class Folder:
    """Inputs and outputs of a call; what cannot be removed when it ends is left to the system."""

    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="segbench-submission-"))
        self.inputs, self.outputs = (self._root / name for name in ("inputs", "outputs"))
        self.inputs.mkdir()
        self.outputs.mkdir()
        self.outputs.chmod(0o777)  # for an image with a user of its own; nobody else gets this far

    def empty(self) -> None:
        """Remove what an earlier step has left."""
        for left in self.outputs.iterdir():
            try:
                shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
            except OSError as error:
                raise AdapterError(
                    f"outputs/{left.name} of an earlier step cannot be removed: {error.strerror}"
                ) from None

    def answer(self) -> LabelMap:
        """Return what the program left: a file, not a link to one that may be old."""
        file = self.outputs / CASE
        if not file.is_file() or file.is_symlink():
            left = ", ".join(sorted(each.name for each in self.outputs.iterdir())) or "nothing"
            raise AdapterError(f"expected outputs/{CASE} from the submission, it left {left}")
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
        self, info: AdapterInfo, command: Command, seconds: float | None, *, persistent: bool
    ) -> None:
        self.info = info
        self._command, self._seconds, self._persistent = command, seconds, persistent
        self._folder: Folder | None = None
        self._program: Program | None = None

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Remember the image."""
        self._image, self._labels = image, labels

    def predict(self, interactions: Interactions) -> LabelMap:
        """Write the input, have it answered, read the answer."""
        answered = False
        try:
            labels = self._answered(interactions)
            answered = True
        finally:
            if not (answered and self._persistent):
                self._end()
        return labels

    def _answered(self, interactions: Interactions) -> LabelMap:
        if self._program is not None and not self._program.is_alive():
            self._end()
        if self._folder is None:
            self._folder = Folder()
        self._folder.empty()
        write_input(self._folder.inputs / CASE, self._image, self._labels, interactions)
        if self._program is None:
            self._program = self._command.begin(self._folder, told=self._persistent)
        if self._persistent:
            self._program.answer(CASE, self._seconds)
        else:
            self._program.finish(self._seconds)
        return self._folder.answer()

    def close(self) -> None:
        """Let a program that waits go; end it or its container if it stays."""
        if self._program is not None:
            self._program.leave()
        self._end()

    def _end(self) -> None:
        """End the program, or its container, and remove its folder."""
        if self._program is not None:
            self._program.end()
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
    lives = persistent == "yes"
    if image:
        engine = engine_here(engine)
        version = identity_of(engine, image)
        words = container_words(
            engine, image, memory=memory, gpus=gpus, predict=predict, persistent=lives
        )
        called = Command(words, ending_words(engine))
    else:
        called, version = Command(words_of(command)), "not known"
    info = AdapterInfo(
        name or image or Path(called.words[0]).name,
        version,
        licence="not known",
        deterministic=False,
        note=image or command,
    )
    return Submission(info, called, limit(seconds), persistent=lives)


def words_of(command: str) -> list[str]:
    """Return the words of a command line as a shell would take them apart."""
    if not all(place in command for place in ("{inputs}", "{outputs}")):
        raise AdapterError(f"command: expected {{inputs}} and {{outputs}} in it, found {command!r}")
    try:
        return shlex.split(command)
    except ValueError as error:
        raise AdapterError(f"command: {command!r}: {error}") from None


def limit(seconds: str) -> float | None:
    """Return the option ``seconds`` as a number; none is no limit."""
    if not seconds:
        return None
    try:
        found = float(seconds)
    except ValueError:
        found = -1.0
    if not 0 < found < float("inf"):
        raise AdapterError(f"seconds {seconds!r}: expected a positive number")
    return found
