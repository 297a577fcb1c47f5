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

from typing import Any

from ._nninteractive import NnInteractive, Release, load_adapter


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


def make_adapter(**options: str) -> NnInteractive:
    """Load a trained model's folder: the option ``model``."""
    return load_adapter(RELEASE, options)
