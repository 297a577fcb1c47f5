# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "torch==2.13.0",
#   "torchvision==0.28.0",
#   "numpy==2.4.6",
#   "scipy==1.17.1",
#   "scikit-image==0.26.0",
#   "nnInteractive==2.6.0",
#   "nnunetv2==2.8.1",
#   "dynamic-network-architectures==0.4.4",
#   "acvl-utils==0.2.6",
#   "batchgenerators==0.25.5",
#   "batchgeneratorsv2==0.3.6",
#   "blosc2==4.14.1",
# ]
# ///
"""nnInteractive, the current release: boxes and clicks through its own inference session.

The release of the challenge behaves differently (docs/baselines.md); it is the adapter
``nninteractive_challenge``. Options: docs/baselines.md.
"""

from __future__ import annotations

from typing import Any, Literal

from ._nninteractive import NnInteractive, Options, Release, load_adapter


def allow_boxes(session: Any) -> None:
    """Allow 3D boxes in the session; it refuses them for models trained with 2D boxes."""
    session.supported_interactions["bbox3d"] = True


RELEASE = Release(
    name="nninteractive",
    packages={"nnInteractive": "2.6", "nnunetv2": "2"},
    session_files=("inference_info.json", "inference_session_class.json"),
    session_options={"enable_undo": False},  # undo would copy what each prompt overwrites
    prepare=allow_boxes,
)


def make_adapter(
    model: str = "",
    fold: str = "",
    device: str = "auto",
    autozoom: bool = True,
    decay: float | None = None,
    perfect: Literal["again", "keep", "fail"] = "again",
    seed: int = 0,
    trust: bool = False,
) -> NnInteractive:
    """Load a trained model's folder.

    Parameters
    ----------
    model
        The folder, in nnU-Net's format.
    fold
        Required if the folder has several.
    device
        auto (a CUDA device if there is one), cpu, cuda or cuda:N.
    autozoom
        Whether the patch is enlarged while the object reaches its border.
    decay
        Factor on all earlier prompts at each later one; that of the model by default.
    perfect
        A label without a new click: predict it again, keep its mask, or fail as the submission.
    seed
        Of the random patches.
    trust
        Load a checkpoint also if this may execute code in it.
    """
    return load_adapter(
        RELEASE, Options(model, fold, device, autozoom, decay, perfect, seed, trust)
    )
