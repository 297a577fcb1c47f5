"""Models that a Python caller gives as they are: an adapter, a function, a class, a factory.

An object or a function stays in this process. A class or a factory is called in the worker process,
so that each job has a model of its own; it gets there as a pickle.
"""

from __future__ import annotations

import functools
import inspect
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import cloudpickle

from segbench.contract import Adapter
from segbench.core import AdapterInfo, Image, Interactions, LabelMap
from segbench.errors import AdapterError
from segbench.messages import and_hint
from segbench.models.adapter_contract import checked_adapter
from segbench.models.adapter_failure import load_failure
from segbench.models.loading import FACTORY_SUFFIX

PREFIX = "python:"  # of the model of a run, in run.json
Predict = Callable[[Image, Interactions], LabelMap]
Factory = Callable[..., Adapter]


@dataclass(frozen=True, eq=False)
class GivenModel:
    """A model of the caller, and how it is made."""

    title: str  # the name of its function or class
    make: Callable[[], Adapter]
    in_process: bool
    options: tuple[tuple[str, str], ...] = ()  # of a class or factory, as text
    name: str | None = None
    version: str | None = None

    @property
    def model(self) -> str:
        """What stands for ``--model`` in run.json."""
        return f"{PREFIX}{self.title}"

    @property
    def can_continue(self) -> bool:
        """Whether the caller tells one model from another, by a name and a version."""
        return self.name is not None and self.version is not None

    def identify(self, info: AdapterInfo) -> AdapterInfo:
        """Return what the adapter says of itself, under the name and version of the caller."""
        return replace(info, name=self.name or info.name, version=self.version or info.version)


class FunctionAdapter:
    """A plain function ``predict(image, interactions) -> label map`` as an adapter."""

    def __init__(self, function: Predict, name: str) -> None:
        self._function = function
        self.info = AdapterInfo(name)
        self._image: Image | None = None

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Keep the image."""
        self._image = image

    def predict(self, interactions: Interactions) -> LabelMap:
        """Call the function."""
        assert self._image is not None  # it is set first
        return self._function(self._image, interactions)


def given_model(
    model: object,
    option: Mapping[str, object],
    name: str | None = None,
    version: str | None = None,
) -> GivenModel:
    """Return a model that was given as an object.

    Parameters
    ----------
    model : object
        An adapter; a function of an image and the interactions; or a class or function without
        required arguments, or with those in ``option``, that returns an adapter.
    option : mapping
        Keywords of a class or factory.
    name, version : str, optional
        Of the run, given by the caller.

    Raises
    ------
    AdapterError
        If it is none of these.
    """
    if version is not None and not isinstance(version, str):
        raise AdapterError(f"version: expected text, found {version!r}")
    title = getattr(model, "__name__", type(model).__name__).strip("<>")
    text = tuple(sorted((key, str(value)) for key, value in option.items()))
    if isinstance(model, type) or (option and _is_callable(model)):
        _refuse_options(title, cast(Factory, model), option)
    if _is_factory(model, option):
        factory = functools.partial(cast(Factory, model), **option)
        return GivenModel(
            title, factory, in_process=False, options=text, name=name, version=version
        )
    if option:
        raise AdapterError(
            f"{title}: option: expected none for a model that is already made (give its class, or "
            f"a function that makes it), found {', '.join(option)}"
        )
    if hasattr(model, "predict") or hasattr(model, "set_image"):
        adapter = checked_adapter(cast(Adapter, model), title)
    elif _required_arguments(model) == 2:
        adapter = FunctionAdapter(cast(Predict, model), name or title)
    else:
        raise AdapterError(
            "model: expected a name, a path, an adapter with set_image and predict, a class or "
            "function that makes one, or a function predict(image, interactions), found "
            f"{_shown(model)}"
        )
    return GivenModel(title, lambda: adapter, in_process=True, name=name, version=version)


def _is_factory(model: object, option: Mapping[str, object]) -> bool:
    """Whether a model is a class, or a function that can be called with the options alone."""
    if isinstance(model, type):
        return True
    if not _is_callable(model) or _required_arguments(model) is None:
        return False
    try:
        inspect.signature(cast(Factory, model)).bind(**option)
    except TypeError:
        return False
    return True


def _is_callable(model: object) -> bool:
    """Whether a model is called to make the adapter, and is none itself."""
    return callable(model) and not hasattr(model, "predict")


def _refuse_options(title: str, factory: Factory, option: Mapping[str, object]) -> None:
    """Refuse options that a class or a function does not take, and a lack of those that it needs.

    Raises
    ------
    AdapterError
        With the name of one of them.
    """
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # of a compiled one: it says so itself when it is called
        return
    named = [
        each for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    names = [each.name for each in named]
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters)
    unknown = [] if takes_any else [key for key in option if key not in names]
    if unknown:
        expected = f"those of {', '.join(names)}" if names else "none"
        hint = and_hint(unknown[0], names)
        raise AdapterError(f"{title}: option: expected {expected}, found {unknown[0]!r}{hint}")
    missing = [each.name for each in named if each.default is each.empty]
    missing = [name for name in missing if name not in option]
    if missing:
        found = f"only {', '.join(option)}" if option else "none"
        raise AdapterError(
            f"{title}: option: expected a value for {', '.join(missing)}, found {found}; "
            f"option={{{missing[0]!r}: ...}}"
        )


def _required_arguments(model: object) -> int | None:
    """Return how many arguments a call needs; None if that is unknown or it takes any number."""
    try:
        parameters = inspect.signature(cast(Predict, model)).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return None
    required = [each for each in parameters if each.default is each.empty]
    if any(each.kind is each.KEYWORD_ONLY for each in required):
        return None
    return sum(each.kind is not each.VAR_KEYWORD for each in required)


def _shown(model: object) -> str:
    text = " ".join(repr(model).split())
    return text if len(text) <= 60 else f"{text[:59]}…"


def made_here(given: GivenModel) -> Adapter:
    """Make the adapter of a caller in this process.

    Raises
    ------
    AdapterError
        Its class or factory fails, or what it makes is no adapter.
    """
    try:
        return checked_adapter(given.make(), maker=given.title)
    except Exception as error:  # of any kind: it is a fault of the caller's code
        raise AdapterError(load_failure(error, Path(given.title))) from error


@contextmanager
def factory_file(given: GivenModel) -> Iterator[Path]:
    """Yield a file from which a worker process makes the model; it exists inside the context.

    Raises
    ------
    AdapterError
        If the class or factory cannot be pickled.
    """
    try:
        pickled = cloudpickle.dumps(given.make)
    except Exception as error:  # of any kind: it depends on what the caller's objects do
        reason = " ".join(str(error).split())
        raise AdapterError(
            f"{given.title}: expected a class or factory that can be sent to a worker process, "
            f"found {type(error).__name__}: {reason}; in_process=True runs it in this process"
        ) from error
    with TemporaryDirectory(prefix="segbench-factory-") as folder:
        file = Path(folder) / f"{given.title}{FACTORY_SUFFIX}"
        paths = [os.path.abspath(path) for path in sys.path]
        file.write_bytes(pickle.dumps((paths, pickled)))
        yield file
