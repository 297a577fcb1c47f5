"""Which further metrics there are, and how a user names one.

``nsd@1mm`` is a kind of metric with its tolerance, ``hd95`` a kind without; a user's own metric is
``path/to/file.py:function`` (docs/rescore.md).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from segbench.core import Settings
from segbench.errors import RunError
from segbench.files import sha256_of
from segbench.messages import and_hint, named

DependsOn = Literal["prediction", "clicks", "reference"]


@dataclass(frozen=True)
class Kind:
    """What all metrics of a kind have in common.

    ``worst`` is the value of a step without a prediction; NaN where none is the worst.
    """

    worst: float = math.nan
    has_tolerance: bool = False
    has_gate: bool = False  # its values depend on the gate of the protocol, too
    depends_on: DependsOn = "prediction"
    version: int = 1  # raise it when values may differ


KINDS = {
    "nsd": Kind(0.0, has_tolerance=True, has_gate=True),
    "nsd-ungated": Kind(0.0, has_tolerance=True),
    "nsd-voxels": Kind(0.0, has_tolerance=True),
    "hd95": Kind(),
    "assd": Kind(),
    "volume-error": Kind(),
    "lesion-f1": Kind(0.0),
    "obeyed": Kind(0.0, depends_on="clicks"),
    "nsd-eroded": Kind(has_tolerance=True, depends_on="reference"),
    "nsd-box": Kind(has_tolerance=True, depends_on="reference"),
}
OWN = Kind()  # a user's function: nothing is known of it


@dataclass(frozen=True)
class Metric:
    """A metric with its parameters.

    Attributes
    ----------
    name : str
        As in the frame: ``nsd@1mm``, ``hd95``, the name of a user's function.
    tolerance_mm : float
        NaN if it has none.
    file : Path or None
        The file of a user's function.
    digest : str
        sha256 of that file.
    """

    name: str
    tolerance_mm: float = math.nan
    file: Path | None = None
    digest: str = ""

    @property
    def kind(self) -> str:
        """The name without its tolerance."""
        return self.name.partition("@")[0]

    def definition(self, gate: float) -> str:
        """Return what decides its values beyond name, prediction and reference."""
        return f"sha256 {self.digest}" if self.file else built_in_definition(self.name, gate)


def kind_of(name: str) -> Kind:
    """Return the kind of a metric by its name in the frame."""
    return KINDS.get(name.partition("@")[0], OWN)


def built_in_definition(name: str, gate: float) -> str:
    """Return what decides the values of a metric of segbench."""
    kind = kind_of(name)
    return f"version {kind.version}" + (f", gate {gate}" if kind.has_gate else "")


def is_current(name: str, definition: str, gate: float) -> bool:
    """Whether values of a definition are those of this segbench; a user's own always are."""
    return kind_of(name) is OWN or definition == built_in_definition(name, gate)


def parse_metrics(texts: Sequence[str]) -> tuple[Metric, ...]:
    """Return the metrics of some texts, each once, in the order given.

    Raises
    ------
    RunError
        If there is none, a text names no metric, or two functions have one name.
    """
    if not texts:
        raise RunError(f"metric: expected at least one of {', '.join(KINDS)}, found none")
    metrics = list(dict.fromkeys(map(parse_metric, texts)))
    names = [metric.name for metric in metrics]
    for name in names:
        if names.count(name) > 1:
            raise RunError(
                f"metric: expected one metric of the name {name}, found {names.count(name)}; "
                "rename a function"
            )
    return tuple(metrics)


def parse_metric(text: str) -> Metric:
    """Return the metric that a text names; a tolerance left out is that of the challenge.

    Raises
    ------
    RunError
        If there is no such metric, it takes no value, or the value is no distance.
    """
    if ":" in text or text.endswith(".py"):
        return _own_metric(text)
    kind, at, value = text.strip().partition("@")
    if kind not in KINDS:
        raise RunError(
            f"metric: expected one of {', '.join(KINDS)}, or path/to/file.py:function, found "
            f"{text!r}{and_hint(kind, KINDS)}"
        )
    if not KINDS[kind].has_tolerance:
        if at:
            raise RunError(f"metric {kind}: expected no value, found {text!r}")
        return Metric(kind)
    tolerance_mm = _tolerance(text, value) if at else Settings().nsd_tolerance_mm
    return Metric(f"{kind}@{np.format_float_positional(tolerance_mm, trim='-')}mm", tolerance_mm)


def _tolerance(text: str, value: str) -> float:
    number = re.fullmatch(r"([0-9.]+(?:e-?[0-9]+)?)\s*(?:mm)?", value)
    try:
        tolerance_mm = float(number[1]) if number else math.nan
    except ValueError:
        tolerance_mm = math.nan
    if not 0 < tolerance_mm < math.inf:
        raise RunError(f"metric: expected a tolerance above 0 mm, as in nsd@1mm, found {text!r}")
    return tolerance_mm


def _own_metric(text: str) -> Metric:
    path, colon, function = text.rpartition(":")
    if not colon or not path.endswith(".py") or not function.isidentifier():
        raise RunError(f"metric: expected path/to/file.py:function, found {text!r}")
    if function in KINDS:
        raise RunError(
            f"metric {text}: expected another name than that of a metric of segbench, found "
            f"{function!r}; rename the function"
        )
    file = Path(path).absolute()
    try:
        return Metric(function, file=file, digest=sha256_of(file))
    except OSError as error:
        raise RunError(f"metric {text}: expected a file, found {named(error)}") from None
