"""How the values of an image become 0..255, by the rules of the challenge's paper.

==========  ======================================================================================
rule        what it does
==========  ======================================================================================
window      CT: clip to level - width / 2 .. level + width / 2, map to 0..255
percentile  others: clip to the 0.5 and 99.5 percentiles of all finite voxels, map to 0..255
kept        whole numbers within 0..255 stay as they are
raw         type and values stay as they are stored
==========  ======================================================================================

By itself segbench keeps only an image of whole numbers within 0..255 whose largest is above 100:
anything else in that range is more likely PET in SUV, or MR scaled to 0..1. A window that is asked
for counts more than this guess. Values are rounded to
the nearest whole number. NaN and -inf become 0, +inf becomes 255.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segbench.data.convert.percentiles import percentiles
from segbench.data.convert.slabs import slabs, value_range
from segbench.errors import CaseError
from segbench.messages import are, counted

Policy = Literal["auto", "keep", "scale", "raw"]
WINDOWS = {  # width and level, in Hounsfield units
    "soft-tissue": (400.0, 40.0),
    "lung": (1500.0, -160.0),
    "brain": (80.0, 40.0),
    "bone": (1800.0, 400.0),
}
PERCENTILES = (0.5, 99.5)
BRIGHT = 100  # an image of whole numbers within 0..255 is kept if its largest is above this
WHITE = 255


@dataclass(frozen=True)
class IntensityRule:
    """What is asked for."""

    policy: Policy = "auto"
    window: tuple[float, float] | None = None  # of CT: width and level; None: soft tissue


@dataclass(frozen=True, eq=False)
class Mapped:
    """An image with its values mapped, and how."""

    voxels: NDArray[Any]
    facts: dict[str, Any]  # the rule by name and its numbers
    guessed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Values:
    """What decides between the rules."""

    low: float
    high: float
    whole: bool
    n_not_finite: int = 0
    warnings: tuple[str, ...] = field(default=())

    @property
    def said(self) -> str:
        """The range with all its digits: 255.001 is not 255."""
        others = f" and {self.n_not_finite} NaN or infinite" if self.n_not_finite else ""
        return f"{self.low!r} to {self.high!r}{others}".replace(".0 ", " ").removesuffix(".0")

    @property
    def fits(self) -> bool:
        """Whether all values are within 0..255."""
        return self.low >= 0 and self.high <= WHITE and not self.n_not_finite

    @property
    def looks_mapped(self) -> bool:
        """Whether all are whole numbers within 0..255, with a bright one."""
        return self.fits and self.whole and self.high > BRIGHT


def map_intensities(
    voxels: NDArray[Any], *, modality: str, rule: IntensityRule, name: str
) -> Mapped:
    """Map the values of an image.

    Parameters
    ----------
    voxels : array of numbers
    modality : str
        Only CT has a window.
    rule : IntensityRule
    name : str
        Begins the message of an error.

    Raises
    ------
    CaseError
        If no value is finite, or values that are to be kept are not within 0..255.
    """
    if rule.policy == "raw":
        return Mapped(voxels, {"rule": "raw"})
    values = _look(voxels, name)
    if rule.policy == "keep":
        if not values.fits:
            raise CaseError(
                f"{name}: expected values within 0..255 to keep, found {values.said}; --intensity "
                "scale maps them, --raw stores them as they are"
            )
        return _kept(voxels, values)
    window = rule.window if modality == "CT" else None
    if rule.policy == "auto" and not window and values.looks_mapped:
        return _kept(
            voxels, values, "values are whole numbers within 0..255 and were taken as mapped"
        )
    if modality == "CT" and (window or rule.policy == "scale" or not values.fits):
        return _by_window(voxels, window or WINDOWS["soft-tissue"], values)
    return _by_percentiles(voxels, values, modality)


def _look(voxels: NDArray[Any], name: str) -> _Values:
    low, high = (float(value) for value in value_range(voxels))
    if math.isnan(low):
        raise CaseError(f"{name}: expected values, found no finite one")
    warnings = []
    whole, n_not_finite = True, 0
    if voxels.dtype.kind == "f":
        for at in slabs(voxels.shape):
            finite = np.isfinite(voxels[at])
            n_not_finite += int(finite.size - np.count_nonzero(finite))
            whole = whole and bool((voxels[at] == np.floor(voxels[at]))[finite].all())
    if n_not_finite:
        n_voxels = f"{counted(n_not_finite, 'voxel')} {are(n_not_finite)}"
        warnings.append(f"{n_voxels} NaN or infinite")
    if low == high:
        warnings.append(f"the image is constant: {low:g}")
    return _Values(low, high, whole, n_not_finite, tuple(warnings))


def _kept(voxels: NDArray[Any], values: _Values, guess: str = "") -> Mapped:
    kept = voxels.astype(np.uint8, copy=False) if values.whole else voxels
    return Mapped(kept, {"rule": "kept"}, (guess,) if guess else (), values.warnings)


def _by_window(voxels: NDArray[Any], window: tuple[float, float], values: _Values) -> Mapped:
    width, level = window
    low, high = level - width / 2, level + width / 2
    warnings = list(values.warnings)
    if values.low >= 0:
        warnings.append(
            f"no value is below 0 (smallest {values.low:g}): are these Hounsfield units?"
        )
    facts = {"rule": "window", "width": width, "level": level, "low": low, "high": high}
    return Mapped(_to_white(voxels, low, high), facts, (), tuple(warnings))


def _by_percentiles(voxels: NDArray[Any], values: _Values, modality: str) -> Mapped:
    low, high = percentiles(voxels, PERCENTILES)
    guessed = []
    facts = {"rule": "percentile", "percentiles": list(PERCENTILES)}
    if modality == "CT":
        guessed.append(
            f"values are within 0..255 ({values.low:g} to {values.high:g}), too few for Hounsfield "
            "units; percentiles were taken, --window takes a window"
        )
    if low == high:
        low, high = values.low, values.high
        facts = {"rule": "range"}
        guessed.append("the 0.5 and 99.5 percentiles are equal; the whole range was taken")
    return Mapped(
        _to_white(voxels, low, high),
        {**facts, "low": low, "high": high},
        tuple(guessed),
        values.warnings,
    )


def _to_white(voxels: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map a range to 0..255, in parts."""
    mapped = np.empty_like(voxels, np.uint8)
    factor = WHITE / (high - low) if high > low else 0.0
    for at in slabs(voxels.shape):
        slab = np.clip(voxels[at].astype(np.float64), low, high)
        np.nan_to_num(slab, copy=False, nan=low)
        mapped[at] = np.rint((slab - low) * factor)
    return mapped
