"""From ``--model`` and ``--option`` to an adapter's file and its options, weights included.

Everything that can be known without the adapter's environment is checked here: the names and types
of options, and whether the weights are in place. Nothing is built, loaded or downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from segbench.errors import AdapterError
from segbench.models.adapter_source import parse_options, refuse_unknown_options
from segbench.models.registry import SCHEMES, find_adapter
from segbench.models.weights import (
    ModelEntry,
    Weights,
    default_weights_folder,
    entry_of,
    state_of,
)

Say = Callable[[str], None]


def say_nothing(line: str) -> None:
    """Say nothing."""


def resolve_model(
    model: str,
    option: Mapping[str, str] | None = None,
    *,
    folder: Path | None = None,
    say: Say = say_nothing,
) -> tuple[Path, dict[str, str]]:
    """Return the adapter file for a value of ``--model``, and all options, as text.

    ``container:IMAGE`` and ``command:TEMPLATE`` are options of the adapter ``container``. The
    option that takes the weights gets the path of a declared set: of the one that it names, or
    without a value of the first one that is in place.

    Parameters
    ----------
    folder : Path, optional
        The folder of the weights; by default `default_weights_folder`.
    say : callable
        Called with a line for each set of weights that was not given by its path.

    Raises
    ------
    AdapterNotFound
        There is no such adapter.
    AdapterError
        It does not have one of the options, a value has another type, or weights are missing.
    """
    scheme, colon, value = model.partition(":")
    implied = {SCHEMES[scheme]: value} if colon and scheme in SCHEMES else {}
    file = find_adapter("container" if implied else model)
    options = {**implied, **(option or {})}
    refuse_unknown_options(file, options)
    entry, folder = entry_of(file), folder or default_weights_folder()
    for weights in _chosen_weights(entry, options, folder):
        options[weights.option] = str(entry.weights_path(weights, folder))
        say(f"{entry.name}: weights {weights.name!r}, {options[weights.option]}")
    parse_options(file, options)
    return file, options


def _chosen_weights(
    entry: ModelEntry, options: Mapping[str, str], folder: Path
) -> Iterator[Weights]:
    """Yield the sets of weights whose paths become options: those that options name, or one.

    A path that is given must exist. Without any, the adapter uses its bundled weights, or the
    first set that is in place: the sets of a declaration are alternatives.
    """
    given = {
        each.option: options[each.option] for each in entry.weights if options.get(each.option)
    }
    for option, value in given.items():
        sets = [weights for weights in entry.weights if weights.option == option]
        named = [weights for weights in sets if weights.name == value]
        if named:
            yield _in_place(entry, named, folder)
        else:
            _check_path(entry, sets, value)
    if not given and entry.weights and not any(weights.bundled for weights in entry.weights):
        yield _in_place(entry, entry.weights, folder)


def _in_place(entry: ModelEntry, sets: Sequence[Weights], folder: Path) -> Weights:
    """Return the first set of weights that is in place.

    Raises
    ------
    AdapterError
        None is; the message says where to get them, or what is wrong with them.
    """
    states = [(weights, state_of(entry, weights, folder)) for weights in sets]
    for weights, state in states:
        if state.startswith("in place"):
            return weights
    # weights that are there in part say more than those that nobody wanted
    weights, state = next((pair for pair in states if pair[1] != "not there"), states[0])
    target = entry.folder(weights, folder)
    found = "none" if state == "not there" else f"weights {weights.name!r}: {state}"
    raise AdapterError(
        f"{entry.name}: expected weights in {target}, found {found}; "
        f"{how_to_get(entry, weights, target)}, or give a path: "
        f"--option {weights.option}={'FOLDER' if entry.takes_folder(weights) else 'FILE'}"
    )


def how_to_get(entry: ModelEntry, weights: Weights, target: Path) -> str:
    """Return what a user does to get a set of weights."""
    if weights.repo is None:
        files = ", ".join(item.path for item in weights.files)
        return f"get {files} from {weights.page or 'its authors'} and put it into {target}"
    default = next(item for item in entry.weights if item.repo)
    words = "" if weights is default else f" --weights {weights.name}"
    return f"run: segbench models fetch {entry.name}{words}"


def _check_path(entry: ModelEntry, sets: Sequence[Weights], given: str) -> None:
    """Refuse a path at which there is not what the adapter's weights are."""
    path, takes_folder = Path(given).expanduser(), entry.takes_folder(sets[0])
    if path.is_dir() if takes_folder else path.is_file():
        return
    kind, other = ("folder", "file") if takes_folder else ("file", "folder")
    found = f"a {other}" if path.exists() else "nothing there"
    names = " or ".join(weights.name for weights in sets)
    raise AdapterError(
        f"{entry.name}: {sets[0].option} {given!r}: expected a {kind} with weights, found {found}; "
        f"give its path, or the name of weights that are in place: {names}"
    )
