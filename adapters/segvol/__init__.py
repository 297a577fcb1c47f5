"""``segvol``: SegVol with box prompts, as its authors entered it in the challenge as a baseline.

Du et al., *SegVol: Universal and Interactive Volumetric Medical Image Segmentation*, NeurIPS 2024.
Network and inference are written anew; the weights are their authors'. Clicks change nothing, and
without a box there is no answer: see docs/baselines.md.

Options: ``weights`` is a checkpoint as published; ``device`` is ``auto`` (the default: a CUDA
device where there is one), ``cpu`` or ``cuda``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from segbench.errors import AdapterError

if TYPE_CHECKING:
    from .predictor import SegVol


def make_adapter(weights: str = "", device: str = "auto") -> SegVol:
    """Load a checkpoint.

    Raises
    ------
    AdapterError
        For a missing torch, a device that is not there, or unusable weights.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise AdapterError("segvol needs torch: pip install 'segbench[segvol]'") from error
    from .predictor import load_adapter

    return load_adapter(Path(weights).expanduser(), device)
