"""How an adapter failed, in words: the same in this process and in a worker.

A failure is one line. A step that raised an exception has the traceback below it, from the first
frame of the adapter on; a model that cannot be loaded has the file and the line where it failed.

Standard library only, syntax of Python 3.9: the worker uses this.
"""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from types import FrameType, TracebackType

from segbench.errors import SegbenchError
from segbench.messages import named, one_line
from segbench.models.adapter_source import adapter_name, adapter_package, has_own_environment

HERE = Path(__file__).parent
TRACEBACK = "\ntraceback:\n"  # between the reason of a failed step and what its author needs
MAX_REASON_CHARACTERS = 2000
MAX_LINES, MAX_LINE_CHARACTERS = 24, 300  # of a traceback


class NoLabelMapError(SegbenchError):
    """``predict`` returned something that is no array of numbers; the message says what."""


def step_failure(error: BaseException) -> str:
    """Return how a step failed; below it the traceback of an exception that nobody expected."""
    if isinstance(error, NoLabelMapError):
        return bounded(str(error))
    if isinstance(error, SegbenchError):
        return bounded(f"failed: {error}")
    lines = _traceback_lines(error)
    return bounded(f"raised {named(error)}") + (TRACEBACK + "\n".join(lines) if lines else "")


def load_failure(error: BaseException, file: Path) -> str:
    """Return in one line why an adapter cannot be loaded, and where in its source.

    Parameters
    ----------
    error : BaseException
        Raised on import or by ``make_adapter``.
    file : Path
        The adapter.
    """
    name = adapter_name(file)
    if isinstance(error, SegbenchError):
        reason = str(error).removeprefix(f"{name}: ")
    else:
        place = _place(error, file)
        reason = f"{place + ': ' if place else ''}{named(error)}{_advice(error, file)}"
    return bounded(one_line(f"{name}: cannot be loaded: {reason}"))


def bounded(text: str) -> str:
    """Return a model's message with a bounded length, as text that UTF-8 can encode."""
    if len(text) > MAX_REASON_CHARACTERS:
        text = text[:MAX_REASON_CHARACTERS] + " ..."
    return encodable(text)


def encodable(text: str) -> str:
    """Return a text without what UTF-8 cannot encode."""
    return text.encode("utf-8", "backslashreplace").decode()


def _place(error: BaseException, file: Path) -> str:
    """Return the file and line of the adapter where an error happened; "" if nothing tells."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file():
        return _line_of(error.filename, error.lineno, file)
    frames = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if _is_of_adapter(frame, file)
    ]
    if frames:
        return _line_of(*frames[-1], file)
    return file.name if file.suffix == ".py" else ""


def _is_of_adapter(frame: FrameType, file: Path) -> bool:
    """Whether a frame is in the adapter's modules; of a caller's object any source file is."""
    if file.suffix == ".py":
        return str(frame.f_globals.get("__name__")).startswith(f"{adapter_package(file)}.")
    source = Path(frame.f_code.co_filename)
    return source.is_file() and source.parent != HERE


def _line_of(source: str, line: int | None, file: Path) -> str:
    folder = file.parent.parent if file.name == "__init__.py" else file.parent
    shown = os.path.relpath(source, folder)
    shown = source if shown.startswith(os.pardir) else shown
    return f"{shown}, line {line}" if line else shown


def _advice(error: BaseException, file: Path) -> str:
    """Return what to do about a module that is missing."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if not missing or file.suffix != ".py" or missing.startswith(("segbench.", "segbench_")):
        return ""
    top = missing.partition(".")[0]
    if (file.parent / f"{top}.py").is_file() or (file.parent / top / "__init__.py").is_file():
        return (
            f"; it is next to the adapter: import it with a dot, from .{top} import ..., or name "
            f"its folder in PYTHONPATH: {file.parent}"
        )
    if has_own_environment(file):
        return "; add it to the dependencies in the header, or name an interpreter with --python"
    return "; install it, or name an interpreter that has it with --python"


def _traceback_lines(error: BaseException) -> list[str]:
    """Return the traceback without the frames of segbench before those of the adapter."""
    trimmed = _from_adapter(error.__traceback__)
    if trimmed is None:
        return []
    parts = traceback.format_exception(type(error), error, trimmed)
    is_chained = error.__cause__ is not None or error.__context__ is not None
    lines = "".join(parts if is_chained else parts[1:-1]).rstrip().splitlines()
    if len(lines) > MAX_LINES:  # the adapter is at the beginning, the error at the end
        lines = [*lines[: MAX_LINES // 2], "  ...", *lines[-MAX_LINES // 2 :]]
    return [encodable(line[:MAX_LINE_CHARACTERS]) for line in lines]


def _from_adapter(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and Path(frames.tb_frame.f_code.co_filename).parent == HERE:
        frames = frames.tb_next
    return frames
