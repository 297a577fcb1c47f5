"""A user's metric: a function of two masks and the spacing, in a Python file."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from segbench.core import Mask, Spacing
from segbench.errors import RunError
from segbench.further_metrics.metric import Metric
from segbench.messages import named

Function = Callable[[Mask, Mask, Spacing], Any]


def load_function(metric: Metric) -> Function:
    """Import a user's function.

    Raises
    ------
    RunError
        If its file cannot be imported or has no such function.
    """
    assert metric.file is not None
    found = _imported(metric.file, metric.digest).get(metric.name)
    if not callable(found):
        raise RunError(f"{metric.file}: expected a function {metric.name} in it, found none")
    function: Function = found
    return function


@lru_cache(16)
def _imported(file: Path, digest: str) -> dict[str, Any]:
    """Return the names in a file; imported once, and again when it has changed."""
    spec = importlib.util.spec_from_file_location(f"segbench_metric_{file.stem}", file)
    assert spec is not None  # the suffix is .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # of any kind: it is a fault of the file
        raise RunError(f"{file}: expected a file to import, found {named(error)}") from None
    return vars(module)


def own_value(metric: Metric, prediction: Mask, reference: Mask, spacing: Spacing) -> float:
    """Return what a user's function says of two masks, which it may change.

    Raises
    ------
    RunError
        If it fails, or returns anything but a finite number or NaN.
    """
    function = load_function(metric)
    try:
        found = function(prediction, reference, spacing)
        value = float(found)
    except Exception as error:  # of any kind: it is a fault of the function
        raise RunError(f"{metric.name}: expected a number, found {named(error)}") from None
    if math.isinf(value):
        raise RunError(f"{metric.name}: expected a finite number or NaN, found {value}")
    return value
