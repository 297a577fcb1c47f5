"""``ours``: the paper's Residual Encoder U-Net, prompted by boxes, clicks and its last output.

Camaret Ndir, Pfefferle and Schirrmeister, *Dynamic Prompt Generation for Interactive 3D Medical
Image Segmentation Training*, CVPR 2025 workshop on foundation models for 3D biomedical image
segmentation. Training data and scores: docs/model.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from segbench.errors import AdapterError

from .options import VARIANTS, OursOptions, chosen_bugs

if TYPE_CHECKING:
    from .predictor import Ours
    from .submission_predictor import OursAsSubmitted

BUNDLED_WEIGHTS = Path(__file__).resolve().parent / "weights" / "small.safetensors"


def make_adapter(
    *,
    device: str = "auto",
    weights: str = "",
    variant: Literal["ours", "paper", "submission"] = "ours",
    no_box: Literal["follow", "paper"] | None = None,
    refine: Literal["walker", "none"] | None = None,
    bugs: str = "",
    fix: str = "",
    zoom_in: bool = False,
    enforce_clicks: bool = False,
    tta_flips: Literal[1, 2, 8] = 1,
) -> Ours | OursAsSubmitted:
    """Load a checkpoint.

    Parameters
    ----------
    device
        auto (a CUDA device if there is one), cpu, cuda or cuda:N.
    weights
        A checkpoint, whose metadata choose the network; by default the bundled one.
    variant
        This implementation, the paper's choices, or the authors' submission with its bugs.
    no_box
        The crop of a label without a box: around its clicks, or the paper's central third.
    refine
        Refine the network's answer by a random walk; by default with variant=ours and no bugs.
    bugs
        Bugs of the submission to add, with commas between their names.
    fix
        Bugs of the variant to leave out.
    zoom_in
        Enlarge small objects to the patch.
    enforce_clicks
        Make the segmentation agree with every click.
    tta_flips
        Forward passes over flipped inputs, whose mean is taken.

    Raises
    ------
    AdapterError
        The name of a bug is unknown, the device or torch is not available, or the weights are
        unusable.
    """
    chosen = chosen_bugs(variant, bugs, fix)
    if chosen and refine == "walker":
        raise AdapterError(
            "ours: refine=walker: expected no bugs, as in variant=ours, found "
            f"{', '.join(sorted(chosen))}"
        )
    try:
        import safetensors  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise AdapterError(
            f"ours: expected the package {error.name}, found none; pip install 'segbench[ours]'"
        ) from error
    from .forward import NetworkOnImage
    from .predictor import Ours
    from .submission_predictor import OursAsSubmitted

    file = Path(weights) if weights else BUNDLED_WEIGHTS
    model = NetworkOnImage(file, device=device, tta_flips=tta_flips)
    refine = refine or ("walker" if variant == "ours" and not chosen else "none")
    options = OursOptions(no_box or VARIANTS[variant][0], refine, zoom_in, enforce_clicks)
    return OursAsSubmitted(model, options, chosen) if chosen else Ours(model, options)
