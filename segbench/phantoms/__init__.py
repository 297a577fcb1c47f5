"""Phantoms: small generated cases, for trying segbench without data.

They have several labels, varied shapes and spacings, and the same bytes for the same seed. They are
not scans, and scores on them do not predict scores on scans.
"""

from segbench.phantoms.cases import KINDS, MIN_VOXELS, annotate, contiguous, phantom
from segbench.phantoms.files import make_phantoms
from segbench.phantoms.orientations import ORIENTATIONS

__all__ = [
    "KINDS",
    "MIN_VOXELS",
    "ORIENTATIONS",
    "annotate",
    "contiguous",
    "make_phantoms",
    "phantom",
]
