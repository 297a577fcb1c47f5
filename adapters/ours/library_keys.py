"""The names of the network's tensors in the library with which others trained it.

``dynamic_network_architectures`` stores every tensor of the Residual Encoder U-Net two to four
times, under aliases; the paper's configuration has 264 tensors and 956 keys there. Here each tensor
has one canonical key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

_ALIAS = re.compile(r"^decoder\.encoder\.|\.all_modules\.\d+\.")
_CONV_OR_NORM = re.compile(r"\.(conv|norm)\.(weight|bias)$")
Value = TypeVar("Value")


def canonical_state(state: Mapping[str, Value]) -> dict[str, Value]:
    """Drop the library's aliases: every tensor once, under its canonical key."""
    return {key: value for key, value in state.items() if not _ALIAS.search(key)}


def library_state(state: Mapping[str, Value]) -> dict[str, Value]:
    """Add the library's aliases to a canonical state; inverse of ``canonical_state``."""
    return {alias: value for key, value in state.items() for alias in _names(key)}


def _names(key: str) -> list[str]:
    """Return all names of one tensor in the library, the canonical one first."""
    names = [key]
    match = _CONV_OR_NORM.search(key)
    if match:
        position = 0 if match[1] == "conv" else 1
        names.append(f"{key[: match.start()]}.all_modules.{position}.{match[2]}")
    if key.startswith("encoder."):
        names += [f"decoder.{name}" for name in names]
    return names
