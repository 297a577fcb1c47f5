"""``segvol``: SegVol with box prompts, as its authors submitted it to the challenge as a baseline.

Du et al., *SegVol: Universal and Interactive Volumetric Medical Image Segmentation*, NeurIPS 2024.
Network and inference are reimplemented; the weights are the authors'. Clicks have no effect, and
a label without a box stays empty: docs/baselines.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segbench.errors import AdapterError

if TYPE_CHECKING:
    from .predictor import SegVol


def make_adapter(weights: str = "", device: str = "auto") -> SegVol:
    """Load a checkpoint.

    Parameters
    ----------
    weights
        A published checkpoint.
    device
        auto (a CUDA device if there is one), cpu, cuda or cuda:N.

    Raises
    ------
    AdapterError
        torch is missing, the device is not available, or the weights are unusable.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise AdapterError(
            "segvol: expected the package torch, found none; pip install 'segbench[segvol]'"
        ) from error
    from .predictor import load_adapter

    return load_adapter(weights, device)
