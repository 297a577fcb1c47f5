"""``ours``: the paper's Residual Encoder U-Net, prompted by boxes, clicks and its last output.

Camaret Ndir, Pfefferle and Schirrmeister, *Dynamic Prompt Generation for Interactive 3D Medical
Image Segmentation Training*, CVPR 2025 workshop on foundation models for 3D biomedical image
segmentation. Training data and scores: docs/model.md.

Options: ``device`` is ``auto`` (default: a CUDA device if one is available), ``cpu`` or ``cuda``.
``weights`` is a checkpoint (default: the bundled one); its metadata choose the network. The other
options, for labels without a box and for reproducing the authors' submission, are in ``options``
and docs/ours.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from segbench.errors import AdapterError

from .options import DEFAULTS, parse_options

if TYPE_CHECKING:
    from .predictor import Ours

BUNDLED_WEIGHTS = Path(__file__).resolve().parent / "weights" / "small.safetensors"
OPTIONS = {"device": "auto", "weights": str(BUNDLED_WEIGHTS), **DEFAULTS}


def make_adapter(**options: str) -> Ours:
    """Load a checkpoint.

    Raises
    ------
    AdapterError
        An option or value is unknown, the device or torch is not available, or the weights are
        unusable.
    """
    unknown = sorted(options.keys() - OPTIONS.keys())
    if unknown:
        raise AdapterError(f"ours: no option {unknown[0]!r}; known are {', '.join(OPTIONS)}")
    values = {**OPTIONS, **options}
    parsed = parse_options(values)
    try:
        import safetensors  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise AdapterError(f"ours needs {error.name}: pip install 'segbench[ours]'") from error
    from .predictor import Ours

    return Ours(Path(values["weights"]), device=values["device"], options=parsed)
