"""The grid of a case's source, as further arrays of its ``.npz``.

The official script reads the keys that it knows and ignores others, so these change nothing there.

============  ==========================================================================
key           content
============  ==========================================================================
grid_affine   float64 (4, 4), from voxel index of the source to mm in RAS
grid_shape    int64 (3,), voxels of the source along its axes
grid_axes     text, the direction that each of its axes is nearest to, such as ``RAS``
grid_json     uint8, UTF-8 text: sha256 of the source, and how its values were changed
============  ==========================================================================

The path of the source is never stored.

Standard library and numpy only, syntax of Python 3.9.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from segbench.core import Grid
from segbench.errors import CaseError
from segbench.messages import named

KEYS = ("grid_affine", "grid_shape", "grid_axes", "grid_json")


class ArrayFile(Protocol):
    """A file of named arrays, such as `segbench.data.challenge_npz.ChallengeFile`."""

    name: str
    keys: tuple[str, ...]

    def read(self, key: str) -> NDArray[Any]:
        """Return one array."""


def grid_arrays(grid: Grid) -> dict[str, NDArray[Any]]:
    """Return a grid as the arrays of a file."""
    facts = {"source_sha256": grid.source_sha256, **grid.facts}
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    return {
        "grid_affine": np.array(grid.affine, np.float64),
        "grid_shape": np.array(grid.shape, np.int64),
        "grid_axes": np.array(grid.axes),
        "grid_json": np.frombuffer(text.encode("utf-8", "backslashreplace"), np.uint8),
    }


def read_grid(file: ArrayFile) -> Grid | None:
    """Return the grid in a case's file; None if it has none.

    Raises
    ------
    CaseError
        If only a part of it is there, or a part is not what it should be.
    """
    found = [key for key in KEYS if key in file.keys]
    if not found:
        return None
    if len(found) < len(KEYS):
        missing = ", ".join(key for key in KEYS if key not in file.keys)
        raise CaseError(f"{file.name}: expected all of {', '.join(KEYS)}, found no {missing}")
    affine, shape, axes, raw = (file.read(key) for key in KEYS)
    _expect(file, "grid_affine", affine, (4, 4), "f")
    _expect(file, "grid_shape", shape, (3,), "iu")
    _expect(file, "grid_axes", axes, (), "U")
    _expect(file, "grid_json", raw, (raw.size,), "u")
    if not np.isfinite(affine).all() or shape.min() < 1:
        raise CaseError(
            f"{file.name}: grid: expected finite numbers and a shape of at least 1, found "
            f"{affine.tolist()} and {shape.tolist()}"
        )
    facts = _facts(file, raw)
    digest = facts.pop("source_sha256", "")
    rows = tuple(tuple(float(value) for value in row) for row in affine)
    i, j, k = (int(length) for length in shape)
    return Grid(rows, str(axes), (i, j, k), str(digest), facts)


def _expect(
    file: ArrayFile, key: str, array: NDArray[Any], shape: tuple[int, ...], kinds: str
) -> None:
    if array.shape != shape or array.dtype.kind not in kinds:
        raise CaseError(
            f"{file.name}: {key}: expected shape {shape}, found {array.dtype} {array.shape}"
        )


def _facts(file: ArrayFile, raw: NDArray[Any]) -> dict[str, Any]:
    try:
        facts = json.loads(raw.tobytes().decode())
    except (ValueError, RecursionError) as error:
        raise CaseError(f"{file.name}: grid_json: expected JSON, found {named(error)}") from None
    if not isinstance(facts, Mapping):
        raise CaseError(f"{file.name}: grid_json: expected an object, found {type(facts).__name__}")
    return dict(facts)
