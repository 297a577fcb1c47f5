# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "torch==2.13.0", "monai==1.6.1"]
# ///
"""VISTA3D as submitted to the challenge: one window at each click, from MONAI.

He et al., *VISTA3D: A Unified Segmentation Foundation Model For 3D Medical Imaging*,
arXiv:2406.05285. Network and inference are MONAI's own `vista3d132` and
`point_based_window_inferer`; this file selects the points that they get, as the submission does.
It uses neither boxes nor the previous segmentation. Options and sources of the weights:
docs/baselines.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from segbench.core import AdapterInfo, Image, Interactions, LabelMap, Mask
from segbench.errors import AdapterError
from segbench_adapters import kit

if TYPE_CHECKING:
    import torch

REVISION = "2"  # increase it when outputs may change
NETWORK: dict[str, int] = {}  # arguments of vista3d132 that differ from the published ones
ROI_SIZE = (128, 128, 128)
PADDING_LABEL = -1  # MONAI's point label for "no point"
SUBMISSION_CLICK = ((418, 138, 136), 1)  # hard-coded in the submission for steps without clicks
SOURCE = (
    "the challenge's fine-tuned checkpoint is linked from vista3d/cvpr_workshop/README.md of "
    "github.com/Project-MONAI/VISTA; segbench includes none"
)
LICENCE = (
    "code Apache-2.0; weights contradictory: NVIDIA OneWay Noncommercial by the repository's "
    "licence section, NVIDIA Open Model by its table of models, none next to the challenge's file"
)
NOTES = {
    "empty": "reads clicks only: empty until the first click, so at every box step",
    "submission": "reads clicks only; without any, the submission's click at (418, 138, 136)",
}
# dtypes that torch can subtract and numpy can take percentiles of; others fail in the submission
INTEGER_DTYPES = ("uint8", "int8", "int16", "int32", "int64")
MAX_VOXELS_FOR_TORCH = 1_000_000  # above, MONAI computes percentiles with numpy, for any dtype

Point = tuple[tuple[int, int, int], int]  # (z, y, x) and 1 for positive, 0 for negative


@dataclass(frozen=True)
class Vista3DOptions:
    """Differences from the submission that the user chooses; docs/baselines.md describes them."""

    no_clicks: str = "empty"
    intensities: str = "stored"
    padding: str = "corner"


class Vista3D:
    """Segment each label from all of its clicks so far; only the normalised image is kept."""

    def __init__(
        self, network: torch.nn.Module, info: AdapterInfo, options: Vista3DOptions
    ) -> None:
        self.info, self._network, self._options = info, network, options
        self._device = next(network.parameters()).device
        self._image: Any = None

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Scale the image as the submission does."""
        as_stored = self._options.intensities == "stored"
        voxels = kit.finite_image(image.voxels)
        self._image = scale_intensity(voxels, as_stored=as_stored)[None, None].to(self._device)
        self._labels = labels

    def predict(self, interactions: Interactions) -> LabelMap:
        """Segment the labels in ascending order; later ones overwrite earlier ones."""
        points = [ordered_points(interactions, label) for label in self._labels]
        if not any(points) and self._options.no_clicks == "submission":
            points = [[SUBMISSION_CLICK], *([] for _ in self._labels[1:])]
        longest = max(map(len, points), default=0) if self._options.padding == "corner" else 0
        segmentation = np.zeros(
            interactions.previous_segmentation.shape, kit.label_map_dtype(self._labels)
        )
        for label, own in zip(self._labels, points):
            if own:  # windows of padding points alone are empty
                segmentation[self._segment(pad_points(own, longest))] = label
        return segmentation

    def _segment(self, points: Sequence[Point]) -> Mask:
        import torch
        from monai.apps.vista3d.inferer import point_based_window_inferer

        coordinates = torch.tensor([[at for at, _ in points]], device=self._device)
        signs = torch.tensor([[sign for _, sign in points]], device=self._device)
        with torch.no_grad():
            logits = point_based_window_inferer(
                inputs=self._image,
                roi_size=ROI_SIZE,
                predictor=self._network,
                point_coords=coordinates,
                point_labels=signs,
                center_only=True,
                transpose=True,
            )
        inside: Mask = (logits[0, 0] > 0).cpu().numpy()  # NaN outside all windows, so background
        return inside

    def close(self) -> None:
        """Release the image."""
        self._image = None


def ordered_points(interactions: Interactions, label: int) -> list[Point]:
    """Return a label's clicks so far: positive ones first, each kind oldest first."""
    own = [click for click in interactions.clicks if click.label == label]
    ordered = sorted(own, key=lambda click: not click.positive)  # stable
    return [(click.voxel, int(click.positive)) for click in ordered]


def pad_points(points: Sequence[Point], length: int) -> list[Point]:
    """Pad the points to ``length`` as the submission does.

    A padding point is in the corner and gets a window, too: where no click is inside it,
    nothing can be segmented there.
    """
    return [*points, *([((0, 0, 0), PADDING_LABEL)] * (length - len(points)))]


def scale_intensity(voxels: NDArray[Any], *, as_stored: bool) -> torch.Tensor:
    """Return an image as float32: its 1st to 99th percentile scaled to [0, 1], clipped.

    Parameters
    ----------
    voxels : array, shape (z, y, x)
    as_stored : bool
        Compute in the stored dtype as the submission does: percentiles of an integer image are
        truncated, and unsigned voxels below the 1st percentile wrap around to bright values.
        float32 where the submission fails.
    """
    import torch
    from monai.transforms import ScaleIntensityRangePercentiles

    if not (as_stored and submission_can_scale(voxels)):
        voxels = voxels.astype(np.float32)
    scale = ScaleIntensityRangePercentiles(lower=1, upper=99, b_min=0, b_max=1, clip=True)
    scaled: torch.Tensor = scale(torch.from_numpy(np.array(voxels))[None])[0]
    return scaled.float()


def submission_can_scale(voxels: NDArray[Any]) -> bool:
    """Whether the submission's normalisation supports this dtype and size."""
    if not voxels.dtype.isnative:
        return False
    if voxels.dtype.name in ("float32", "float64"):
        return True
    return voxels.dtype.name in INTEGER_DTYPES and voxels.size > MAX_VOXELS_FOR_TORCH


def read_state(file: Path) -> dict[str, Any]:
    """Return a checkpoint's tensors, as published or as the training script saves them."""
    state = kit.read_state(file, "model")
    return {key.removeprefix("module."): value for key, value in state.items()}


def make_adapter(
    weights: str = "",
    device: str = "auto",
    no_clicks: Literal["empty", "submission"] = "empty",
    intensities: Literal["stored", "float"] = "stored",
    padding: Literal["corner", "none"] = "corner",
) -> Vista3D:
    """Load a checkpoint.

    Parameters
    ----------
    weights
        The checkpoint, a ``.pth`` file.
    device
        auto (a CUDA device if there is one), cpu, cuda or cuda:N.
    no_clicks
        Without any click: an empty segmentation, or the submission's click at a fixed voxel.
    intensities
        Scale them in the stored dtype, as the submission does, or as floats.
    padding
        Fewer clicks than another label's: points in the corner, as in the submission, or none.

    Raises
    ------
    AdapterError
        A value is unknown, a device or a package is missing, or the weights are unusable.
    """
    file = kit.find_weights(weights, SOURCE)
    try:
        import monai
        from monai.networks.nets.vista3d import vista3d132
    except ImportError as error:
        raise AdapterError(
            f"vista3d: expected the package {error.name}, found none; docs/baselines.md says how "
            "to install it"
        ) from error
    torch_device = kit.select_device(device)
    network = vista3d132(in_channels=1, **NETWORK)
    kit.load_strictly(network, read_state(file), name=file.name)
    info = AdapterInfo(
        "VISTA3D",
        version=f"{REVISION}, monai {monai.__version__}",
        licence=LICENCE,
        weights_sha256=kit.sha256_of(file),
        prompts=("click",),
        deterministic=torch_device.type == "cpu",
        note=NOTES[no_clicks],
    )
    return Vista3D(
        network.eval().to(torch_device), info, Vista3DOptions(no_clicks, intensities, padding)
    )
