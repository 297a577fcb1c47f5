"""The precision of the network's arithmetic."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch


def mixed_precision(device: torch.device, *, allowed: bool = True) -> AbstractContextManager[Any]:
    """Compute in bfloat16 where the hardware multiplies it natively; elsewhere it is slow."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        flags = Path("/proc/cpuinfo")
        fast = flags.is_file() and "avx512_bf16" in flags.read_text()
    return torch.autocast(device.type, torch.bfloat16, enabled=fast and allowed)
