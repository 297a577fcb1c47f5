"""Weights made by others: find the file, read tensors and plain values from it, fit them strictly.

A ``.pth`` file is a pickle, and a pickle is a program: only what an adapter allows by name is
rebuilt. torch is imported where it is needed, so that a missing file is reported without it.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segbench.errors import AdapterError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda")
UNREADABLE = (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, LookupError)


def check_choice(option: str, given: str, known: Sequence[str]) -> str:
    """Return an option's value.

    Raises
    ------
    AdapterError
        If it does not exist, with those that do.
    """
    if given not in known:
        raise AdapterError(f"{option} {given!r}: expected one of {', '.join(known)}")
    return given


def find_weights(given: str, source: str) -> Path:
    """Return the file with the weights.

    Raises
    ------
    AdapterError
        If none is named or it is not there, with where such weights come from.
    """
    file = Path(given).expanduser()
    if given and file.is_file():
        return file
    found = f"no weights at {given}" if given else "no weights given"
    raise AdapterError(f"{found}. {source} Pass the file: --option weights=FILE")


def read_checkpoint(file: Path, allowed: Sequence[Any] = ()) -> dict[str, Any]:
    """Return the dictionary in a checkpoint, rebuilding nothing but tensors and ``allowed``.

    Raises
    ------
    AdapterError
        If it is no checkpoint, or rebuilding it would call anything else.
    """
    import torch

    with torch.serialization.safe_globals(list(allowed)):
        try:
            found = torch.load(file, map_location="cpu", weights_only=True)
        except UNREADABLE as error:
            unsafe, words = _unsafe_globals(file), str(error) or type(error).__name__
            reason = f"it names {', '.join(unsafe)}" if unsafe else words.splitlines()[0]
            raise AdapterError(
                f"{file.name}: not a checkpoint that can be read without executing it: {reason}"
            ) from error
    if not isinstance(found, dict):
        raise AdapterError(f"{file.name}: expected a dictionary, found {type(found).__name__}")
    return found


def _unsafe_globals(file: Path) -> list[str]:
    import torch

    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    except UNREADABLE:
        return []


def load_strictly(
    network: torch.nn.Module,
    state: Mapping[str, Any],
    *,
    file: Path,
    unused: frozenset[str] = frozenset(),
) -> None:
    """Load a state whose keys and shapes are the network's; ``unused`` keys may be there, too.

    Raises
    ------
    AdapterError
        With the first difference: weights of another network are never taken in part.
    """
    wanted = network.state_dict()
    given = {key: value for key, value in state.items() if key not in unused}
    unknown, missing = sorted(given.keys() - wanted.keys()), sorted(wanted.keys() - given.keys())
    if unknown or missing:
        raise AdapterError(
            f"{file.name}: not the weights of this network: {len(missing)} of {len(wanted)} "
            f"tensors are missing and {len(unknown)} unknown, first {(missing + unknown)[0]}"
        )
    for key, value in given.items():
        found, expected = tuple(getattr(value, "shape", ())), tuple(wanted[key].shape)
        if found != expected:
            raise AdapterError(f"{file.name}: {key}: expected shape {expected}, found {found}")
    network.load_state_dict(given)


def select_device(wanted: str) -> torch.device:
    """Return the device to compute on.

    Raises
    ------
    AdapterError
        If it is not there.
    """
    import torch

    available = torch.cuda.is_available()
    kind, colon, number = wanted.partition(":")
    if kind not in DEVICES or (colon and not (kind == "cuda" and number.isdigit())):
        raise AdapterError(f"device {wanted!r}: expected auto, cpu, cuda or cuda:N")
    if kind == "cuda" and not available:
        raise AdapterError(f"device {wanted!r}: torch sees no CUDA device here")
    return torch.device(("cuda" if available else "cpu") if kind == "auto" else wanted)
