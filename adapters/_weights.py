"""Third-party weights: find the file, read tensors and plain values, load them strictly.

A ``.pth`` file is a pickle, and a pickle is a program: only globals that an adapter allows are
loaded. torch is imported inside the functions, so that a missing file is reported without it.
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


def check_choice(option: str, value: str, choices: Sequence[str]) -> str:
    """Return an option's value if it is known.

    Raises
    ------
    AdapterError
        The value is unknown; the message lists the known ones.
    """
    if value not in choices:
        raise AdapterError(f"{option} {value!r}: expected one of {', '.join(choices)}")
    return value


def find_weights(path: str, source: str) -> Path:
    """Return the file with the weights.

    Raises
    ------
    AdapterError
        No file is given or it does not exist; the message states where the weights come from.
    """
    file = Path(path).expanduser()
    if path and file.is_file():
        return file
    found = f"no weights at {path}" if path else "no weights given"
    raise AdapterError(f"{found}. {source} Pass the file: --option weights=FILE")


def read_checkpoint(file: Path, allowed: Sequence[Any] = ()) -> dict[str, Any]:
    """Return the dictionary in a checkpoint; only tensors and ``allowed`` globals are loaded.

    Raises
    ------
    AdapterError
        The file is not a checkpoint, or loading it needs any other global.
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
    """Load a state dict with exactly the network's keys and shapes; ``unused`` keys may be present.

    Raises
    ------
    AdapterError
        A key or shape differs: weights of another network are never loaded in part.
    """
    expected = network.state_dict()
    weights = {key: value for key, value in state.items() if key not in unused}
    unknown, missing = (
        sorted(weights.keys() - expected.keys()),
        sorted(expected.keys() - weights.keys()),
    )
    if unknown or missing:
        raise AdapterError(
            f"{file.name}: not the weights of this network: {len(missing)} of {len(expected)} "
            f"tensors are missing and {len(unknown)} unknown, first {(missing + unknown)[0]}"
        )
    for key, value in weights.items():
        found, shape = tuple(getattr(value, "shape", ())), tuple(expected[key].shape)
        if found != shape:
            raise AdapterError(f"{file.name}: {key}: expected shape {shape}, found {found}")
    network.load_state_dict(weights)


def select_device(name: str) -> torch.device:
    """Return the device to compute on.

    Raises
    ------
    AdapterError
        The device is unknown or not available.
    """
    import torch

    available = torch.cuda.is_available()
    kind, colon, number = name.partition(":")
    if kind not in DEVICES or (colon and not (kind == "cuda" and number.isdigit())):
        raise AdapterError(f"device {name!r}: expected auto, cpu, cuda or cuda:N")
    if kind == "cuda" and not available:
        raise AdapterError(f"device {name!r}: torch sees no CUDA device here")
    return torch.device(("cuda" if available else "cpu") if kind == "auto" else name)
