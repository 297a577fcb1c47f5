"""The variants of the adapter and the bugs of the authors' submission, by name.

``docs/ours.md`` describes each option and its effect on the scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from segbench.errors import AdapterError

# Where the authors' submission differs from the paper or from what was intended, one by one.
BUGS = {
    "one_default_box": "without boxes only the first label is segmented",
    "third_of_nonzero": "the default box is the middle third of the non-zero region",
    "nonzero_crop": "outside the non-zero region the image counts as padding",
    "closed_boxes": "boxes lose their last plane on each axis",
    "rounded_centre": "the crop's centre is rounded to even",
    "negative_slices": "a box that begins before the non-zero region becomes empty",
    "pasted_at_origin": "a crop wholly inside the region: output and clicks at the region's corner",
    "corner_clicks": "clicks are scaled by the corner of the voxel, not by its centre",
    "open_balls": "click balls lack the voxels at exactly the radius",
    "fixed_crop": "the crop does not move to include clicks outside it",
    "outside_clicks": "a click outside the crop is not drawn, even if its ball overlaps the crop",
    "mixed_merge": "the merge compares raw logits with log-probabilities",
    "failing_label_fills": "a label that fails fills the region, and the later ones are dropped",
    "silent_label_fails": "a label without a click in some round is an error",
    "empty_image_fails": "an image of zeros is an error",
}
VARIANTS: Mapping[str, tuple[str, frozenset[str]]] = {  # no_box, bugs
    "ours": ("follow", frozenset()),
    "paper": ("paper", frozenset({"fixed_crop"})),
    "submission": ("paper", frozenset(BUGS)),
}


@dataclass(frozen=True)
class OursOptions:
    """What to do for a label without a box, whether to refine, and two experiments."""

    no_box: str = "follow"  # its clicks; or "paper": the box of the paper, the central third
    refine: str = "walker"  # by a random walk; or "none"
    zoom_in: bool = False
    enforce_clicks: bool = False


def chosen_bugs(variant: str, added: str, fixed: str) -> frozenset[str]:
    """Return the bugs of a variant, with those added and without those fixed.

    Parameters
    ----------
    added, fixed : str
        Names with commas between them.

    Raises
    ------
    AdapterError
        A name is unknown; the message lists the known ones.
    """
    return (VARIANTS[variant][1] | _bug_names("bugs", added)) - _bug_names("fix", fixed)


def _bug_names(option: str, value: str) -> frozenset[str]:
    names = frozenset(name for name in value.split(",") if name)
    for name in sorted(names - BUGS.keys()):
        raise AdapterError(f"ours: {option}: expected one of {', '.join(BUGS)}, found {name!r}")
    return names
