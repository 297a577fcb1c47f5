"""Options of `segbench convert` that contradict each other, or that no scan can use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from segbench.cli.misuse import Fault, Refusal

if TYPE_CHECKING:
    from segbench.data.convert.scan import Found

LEAVE_OUT = "leave out one of them"


def refuse_contradictions(given: Mapping[str, Any]) -> None:
    """Refuse options of which one has no effect next to the other."""
    scaled = given["window"] or given["intensity"] != "auto"
    rule = given["box_rule"]
    for both, thing, expected in (
        (given["raw"] and scaled, "--raw", "neither --window nor --intensity next to it"),
        (
            given["window"] and given["intensity"] == "keep",
            "--window",
            "no --intensity keep next to it, which keeps values as they are",
        ),
        (
            given["split"] and given["keep_values"],
            "--split",
            "no --keep-values next to it, because components get numbers of their own",
        ),
        (
            given["no_box"] and rule == "none",
            "--no-box",
            "no --box-rule none next to it, which draws no box at all",
        ),
        (
            given["seed"] and rule != "challenge",
            "--seed",
            f"no --box-rule {rule} next to it, which draws nothing at random",
        ),
    ):
        if both:
            raise Refusal(str(Fault(thing, expected, "both", LEAVE_OUT)))


def refuse_unused(given: Mapping[str, Any], found: Found) -> None:
    """Refuse options that concern none of the scans."""
    from segbench.data.convert.readers import is_dicom

    modalities = sorted({scan.modality for scan in found.scans})
    if given["window"] and not {"CT", ""} & set(modalities):
        listed = ", ".join(modalities)
        raise Refusal(str(Fault("--window", "a scan of CT", f"only {listed}", "leave it out")))
    dicom = (scan for scan in found.scans if scan.image.is_dir() or is_dicom(scan.image))
    if given["series"] and not any(dicom):
        raise Refusal(str(Fault("--series", "a DICOM series", "only other files", "leave it out")))
