"""What several adapters need: ``from segbench_adapters import kit``.

Standard library and numpy only, syntax of Python 3.9; torch is imported inside the functions.
"""

from segbench.arrays import bounding_box, label_map_dtype
from segbench.files import atomic_write, sha256_of

from .checkpoints import (
    find_weights,
    load_strictly,
    loading_safely,
    numpy_safe_globals,
    read_checkpoint,
    read_state,
    refuse_unsafe,
)
from .device import select_device
from .finite_image import finite_image

__all__ = [
    "atomic_write",
    "bounding_box",
    "find_weights",
    "finite_image",
    "label_map_dtype",
    "load_strictly",
    "loading_safely",
    "numpy_safe_globals",
    "read_checkpoint",
    "read_state",
    "refuse_unsafe",
    "select_device",
    "sha256_of",
]
