"""The device to compute on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segbench.errors import AdapterError

if TYPE_CHECKING:
    import torch


def select_device(name: str) -> torch.device:
    """Return the device of the option ``device``; ``auto`` is a CUDA device if there is one.

    Raises
    ------
    AdapterError
        The device is unknown or not available.
    """
    import torch

    available = torch.cuda.is_available()
    kind, colon, number = name.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (colon and not (kind == "cuda" and number.isdigit())):
        raise AdapterError(f"device: expected auto, cpu, cuda or cuda:N, found {name!r}")
    if kind == "cuda" and not available:
        raise AdapterError(
            f"device {name!r}: expected a CUDA device, found that torch sees none here; "
            "device=cpu needs none"
        )
    count = torch.cuda.device_count()
    if number and int(number) >= count:
        raise AdapterError(f"device {name!r}: expected a number below {count}, found {number}")
    return torch.device(("cuda" if available else "cpu") if kind == "auto" else name)
