"""What a call of ``segbench convert`` asks for, by the names of its options.

An option that contradicts another, or that no scan can use, is refused: it would be ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segbench.data.convert.box_rule import BoxRule
from segbench.data.convert.intensity import IntensityRule
from segbench.data.convert.label_names import names_of_mapping, read_label_names
from segbench.data.convert.label_rule import LabelRule, parse_labels
from segbench.data.convert.layouts import find_scans
from segbench.data.convert.readers import ReadingOptions, is_dicom
from segbench.data.convert.rules import Rules
from segbench.data.convert.scan import Found, Stated
from segbench.errors import CaseError


def request_of(sources: Sequence[Path], given: Mapping[str, Any]) -> tuple[Rules, Found]:
    """Return how scans become cases, and the scans that are found.

    Raises
    ------
    CaseError
        If an option is wrong or has no effect, or no scan is found.
    """
    refuse_contradictions(given)
    rules = rules_of(given)
    found = found_of(sources, given)
    refuse_unused(given, found)
    return rules, found


def rules_of(given: Mapping[str, Any]) -> Rules:
    """Return how scans become cases."""
    names = given["label_names"]
    if isinstance(names, Mapping):
        names = names_of_mapping(names, "label_names")
    elif names:
        names = read_label_names(Path(names))
    return Rules(
        ReadingOptions(
            label_channel=given["label_channel"], axes=given["axes"], series=given["series"]
        ),
        IntensityRule("raw" if given["raw"] else given["intensity"], given["window"]),
        LabelRule(parse_labels(given["labels"]), names or {}, given["keep_values"]),
        BoxRule(given["box_rule"], given["no_box"], given["seed"]),
        given["split"],
        given["resample_labels"] is not None,
    )


def found_of(sources: Sequence[Path], given: Mapping[str, Any]) -> Found:
    """Return the scans in what is given."""
    stated = Stated(
        modality=given["modality"] or "",
        patient=given["patient"] or "",
        dataset=given["dataset"] or "",
        name=given["name"] or "",
        channel=given["channel"],
        bids_suffix=given["bids_suffix"] or "",
        series=given["series"],
    )
    return find_scans(sources, stated)


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
            raise CaseError(f"{thing}: expected {expected}, found both; leave out one of them")


def refuse_unused(given: Mapping[str, Any], found: Found) -> None:
    """Refuse options that concern none of the scans."""
    modalities = sorted({scan.modality for scan in found.scans})
    if given["window"] and not {"CT", ""} & set(modalities):
        listed = ", ".join(modalities)
        raise CaseError(f"--window: expected a scan of CT, found only {listed}; leave it out")
    dicom = (scan for scan in found.scans if scan.image.is_dir() or is_dicom(scan.image))
    if given["series"] and not any(dicom):
        raise CaseError("--series: expected a DICOM series, found only other files; leave it out")
