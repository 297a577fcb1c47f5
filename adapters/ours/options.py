"""The options of the adapter other than device and weights, as one value.

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
VARIANTS: dict[str, tuple[str, frozenset[str]]] = {  # no_box, bugs
    "ours": ("follow", frozenset()),
    "paper": ("paper", frozenset({"fixed_crop"})),
    "submission": ("paper", frozenset(BUGS)),
}
NO_BOX = ("follow", "paper")
SWITCHES = ("no", "yes")
TTA_FLIPS = {  # axes of the network's input to flip, one tuple per forward pass
    "1": ((),),
    "2": ((), (2, 3, 4)),
    "8": ((), (2,), (3,), (4,), (2, 3), (2, 4), (3, 4), (2, 3, 4)),
}


@dataclass(frozen=True)
class OursOptions:
    """The mode without a box, the bugs to reproduce, and three experiments."""

    no_box: str = "follow"
    bugs: frozenset[str] = frozenset()
    zoom_in: bool = False
    enforce_clicks: bool = False
    tta_flips: tuple[tuple[int, ...], ...] = TTA_FLIPS["1"]


DEFAULTS = {
    "variant": "ours",
    "no_box": "",
    "bugs": "",
    "fix": "",
    "zoom_in": "no",
    "enforce_clicks": "no",
    "tta_flips": "1",
}


def parse_options(options: Mapping[str, str]) -> OursOptions:
    """Return the parsed values of a full set of options.

    Raises
    ------
    AdapterError
        A value is unknown; the message lists the known ones.
    """
    _check_choice("variant", options["variant"], tuple(VARIANTS))
    no_box, bugs = VARIANTS[options["variant"]]
    if options["no_box"]:
        no_box = _check_choice("no_box", options["no_box"], NO_BOX)
    bugs = (bugs | _bug_names("bugs", options["bugs"])) - _bug_names("fix", options["fix"])
    zoom_in, enforce = (
        _check_choice(name, options[name], SWITCHES) == "yes"
        for name in ("zoom_in", "enforce_clicks")
    )
    tta_flips = TTA_FLIPS[_check_choice("tta_flips", options["tta_flips"], tuple(TTA_FLIPS))]
    return OursOptions(no_box, bugs, zoom_in, enforce, tta_flips)


def _bug_names(option: str, value: str) -> frozenset[str]:
    names = frozenset(name for name in value.split(",") if name)
    for name in sorted(names):
        _check_choice(option, name, tuple(BUGS))
    return names


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise AdapterError(f"ours: {option} {value!r}: expected one of {', '.join(choices)}")
    return value
