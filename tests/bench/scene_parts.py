"""What scenes made by seed share: how levels become an image, and the command that writes them."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from segbench.core import Case, Image, Spacing
from segbench.data.case_folder import find_cases
from segbench.data.challenge_npz import write_case
from segbench.data.dataset import CaseFile
from segbench.phantoms.scene import MODALITIES, Field

TISSUE = 0.45  # levels: 1 is the brightest


def imaged(levels: Field, modality: str, spacing: Spacing, rng: np.random.Generator) -> Image:
    """Return the image of levels, already blurred, as a modality shows them."""
    image = MODALITIES[modality](levels, rng)
    voxels = np.clip(image * 255 / np.percentile(image, 99.5), 0, 255).astype(np.uint8)
    return Image(voxels, spacing)


def write_scenes(
    scenes: Callable[[Sequence[CaseFile], int], Iterable[Case]], description: str | None
) -> None:
    """Write scenes as files, as the arguments of the command say."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scans", type=Path, help="folder of real scans")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for case in scenes(find_cases(options.scans) if options.scans else [], options.seed):
        write_case(options.out / f"{case.name}.npz", case)
