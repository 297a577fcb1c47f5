"""Third-party weights: found, read without executing anything, loaded completely or not at all.

A ``.pth`` file is a pickle, and a pickle is a program: only globals that an adapter allows are
loaded. torch is imported inside the functions, so that a missing file is reported without it.
"""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segbench.errors import AdapterError

if TYPE_CHECKING:
    import torch

FORCE_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # overrules weights_only=False
FORCE_NO_WEIGHTS_ONLY = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"  # the opposite
SAVE_STATE = "if it is a whole module, save its state_dict(): torch.save(net.state_dict(), FILE)"
MAX_KEYS = 8  # of a checkpoint, in a message
UNREADABLE = (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, LookupError)


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
    found = f"the folder {path}" if file.is_dir() else f"no file {path}"
    # a source may be a sentence, or a part of one with any ending
    origin = source.strip().rstrip(".,;:!?")
    raise AdapterError(
        f"weights: expected a file, found {found if path else 'none'}; "
        f"{origin + '; ' if origin else ''}pass the file: --option weights=FILE"
    )


def read_state(file: Path, key: str, allowed: Sequence[Any] = ()) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint by name: those under ``key``, or the checkpoint itself.

    Raises
    ------
    AdapterError
        As in `read_checkpoint`, or something in the place of a tensor is none.
    """
    import torch

    found = read_checkpoint(file, allowed)
    values = found.values()
    is_flat = any(isinstance(value, torch.Tensor) for value in values) or not found
    if key not in found and (not is_flat or any(isinstance(value, dict) for value in values)):
        raise AdapterError(
            f"{file.name}: expected tensors under {key!r}, found the keys {_listed(found)}; pass "
            "the right key to kit.read_state"
        )
    state = found.get(key, found)
    if not isinstance(state, dict):
        raise AdapterError(
            f"{file.name}: {key}: expected tensors by name, found {type(state).__name__}"
        )
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise AdapterError(
                f"{file.name}: {name!r}: expected a tensor, found {type(value).__name__}"
            )
    return state


def _listed(keys: Iterable[Any]) -> str:
    """Return the first keys in words."""
    shown = [str(key) for key in keys]
    more = f" and {len(shown) - MAX_KEYS} more" if len(shown) > MAX_KEYS else ""
    return ", ".join(shown[:MAX_KEYS]) + more


def _first_sentence(words: str) -> str:
    """Return the beginning of torch's message; the rest advises to execute the file."""
    return words.splitlines()[0].split(". ")[0].rstrip(".")


def read_checkpoint(file: Path, allowed: Sequence[Any] = ()) -> dict[str, Any]:
    """Return the dictionary in a checkpoint; only tensors and ``allowed`` globals are loaded.

    Raises
    ------
    AdapterError
        The file is not a checkpoint, or loading it needs any other global.
    """
    import torch

    # mapped: a file may also hold the optimiser; torch's older format does not allow it
    is_mapped = zipfile.is_zipfile(file)
    with torch.serialization.safe_globals(list(allowed)):
        try:
            found = torch.load(file, map_location="cpu", weights_only=True, mmap=is_mapped)
        except UNREADABLE as error:
            unsafe, words = _unsafe_globals(file), str(error) or type(error).__name__
            found = f"one that names {', '.join(unsafe)}" if unsafe else _first_sentence(words)
            advice = f"; {SAVE_STATE}" if any(map(_is_of_a_module, unsafe)) else ""
            raise AdapterError(
                f"{file.name}: expected a checkpoint that can be read without executing it, found "
                f"{found}{advice}"
            ) from error
    if not isinstance(found, dict):
        raise AdapterError(f"{file.name}: expected a dictionary, found {type(found).__name__}")
    return found


def _is_of_a_module(name: str) -> bool:
    """Whether a global is a torch module, or one of a script: a network that was saved whole."""
    return name.startswith(("torch.nn.modules.", "__main__."))


def _unsafe_globals(file: Path) -> list[str]:
    import torch

    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    except UNREADABLE:
        return []


def numpy_safe_globals() -> list[Any]:
    """Return the globals that numpy numbers and arrays need, by their numpy 1 and 2 names."""
    import numpy as np

    core: Any = getattr(np, "_core", None) or np.core
    names = [
        (reconstructor, f"numpy.{package}.multiarray.{reconstructor.__name__}")
        for reconstructor in (core.multiarray.scalar, core.multiarray._reconstruct)
        for package in ("core", "_core")
    ]
    dtypes = [type(np.dtype(kind)) for kind in ("f8", "f4", "i8", "i4", "bool")]
    return [*names, np.ndarray, np.dtype, *dtypes]


@contextmanager
def loading_safely(file: Path) -> Iterator[None]:
    """Restrict every ``torch.load`` inside to tensors, plain values and numpy numbers.

    This includes calls of other packages with ``weights_only=False``.

    Raises
    ------
    AdapterError
        ``file`` needs any other global, or is not a checkpoint.
    """
    import torch

    with torch.serialization.safe_globals(numpy_safe_globals()), _force_weights_only():
        refuse_unsafe(file)
        try:
            yield
        except pickle.UnpicklingError as error:
            raise AdapterError(
                f"{file.name}: expected a checkpoint of tensors, found "
                f"{_first_sentence(str(error))}"
            ) from error


def refuse_unsafe(file: Path) -> None:
    """Refuse a checkpoint that needs unsafe globals, without executing any of it."""
    import torch

    try:
        unsafe = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(file)))
    except UNREADABLE as error:
        raise AdapterError(
            f"{file.name}: expected a checkpoint that can be examined, found "
            f"{_first_sentence(str(error) or type(error).__name__)}; to load it all the same, "
            "which may execute code in it: --option trust=yes"
        ) from error
    if unsafe:
        raise AdapterError(
            f"{file.name}: expected a checkpoint of tensors, found one that calls "
            f"{', '.join(unsafe)}; to allow this, if you trust its source: --option trust=yes"
        )


@contextmanager
def _force_weights_only() -> Iterator[None]:
    before = {
        name: os.environ.pop(name, None) for name in (FORCE_WEIGHTS_ONLY, FORCE_NO_WEIGHTS_ONLY)
    }
    os.environ[FORCE_WEIGHTS_ONLY] = "1"
    try:
        yield
    finally:
        del os.environ[FORCE_WEIGHTS_ONLY]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def load_strictly(
    network: torch.nn.Module,
    state: Mapping[str, Any],
    *,
    name: str,
    unused: frozenset[str] = frozenset(),
) -> None:
    """Load a state dict with exactly the network's keys and shapes; ``unused`` keys may be present.

    Raises
    ------
    AdapterError
        A key or shape differs: weights of another network are never loaded in part. ``name``
        begins the message.
    """
    expected = network.state_dict()
    weights = {key: value for key, value in state.items() if key not in unused}
    unknown = sorted(weights.keys() - expected.keys())
    missing = sorted(expected.keys() - weights.keys())
    if unknown or missing:
        prefix = _prefix(weights, expected)
        if prefix:
            raise AdapterError(
                f"{name}: expected names such as {next(iter(expected))}, found all of them with "
                f"the prefix {prefix!r}; strip it: {{name.removeprefix({prefix!r}): tensor for "
                f"name, tensor in state.items() if name.startswith({prefix!r})}}"
            )
        raise AdapterError(
            f"{name}: expected the weights of this network, found that {len(missing)} of "
            f"{len(expected)} tensors are missing and {len(unknown)} unknown, first "
            f"{(missing + unknown)[0]}"
        )
    for key, value in weights.items():
        found, shape = tuple(getattr(value, "shape", ())), tuple(expected[key].shape)
        if found != shape:
            raise AdapterError(f"{name}: {key}: expected shape {shape}, found {found}")
    network.load_state_dict(weights)


def _prefix(weights: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Return what weights have before each name of the network; "" if there is no such prefix."""
    name = max(expected, key=len, default="")
    prefixes = [key[: -len(name)] for key in weights if name and key.endswith(name)]
    return next((each for each in prefixes if {each + key for key in expected} <= set(weights)), "")
