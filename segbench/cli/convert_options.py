"""The options of `segbench convert`, and how their values are read."""

from __future__ import annotations

from typing import Any

import click

from segbench.cli.misuse import Misuse
from segbench.cli.option_types import FILE, OneOf, WholeNumber
from segbench.cli.params import ADVANCED, HOW, WHAT, option
from segbench.messages import did_you_mean


def parse_modality(_: click.Context, __: click.Parameter, given: str | None) -> str:
    """Return a modality in the words of the challenge; others are taken as they are."""
    from segbench.data.convert.option_values import EXPECTED_MODALITY
    from segbench.data.convert.scan import stated_modality

    modality = stated_modality(given) if given else ""
    if "_" in modality:
        raise Misuse(EXPECTED_MODALITY, repr(given))
    return modality


def parse_window(
    _: click.Context, __: click.Parameter, given: str | None
) -> tuple[float, float] | None:
    """Return width and level of a window's name, or of two numbers."""
    from segbench.data.convert import option_values
    from segbench.data.convert.intensity import WINDOWS

    window = option_values.parse_window(given) if given is not None else None
    if given is not None and window is None:
        raise Misuse(option_values.EXPECTED_WINDOW, repr(given), did_you_mean(given, WINDOWS))
    return window


def parse_axes(_: click.Context, __: click.Parameter, given: str | None) -> str:
    """Return three letters, one of each axis of the body."""
    from segbench.data.convert.option_values import EXPECTED_AXES, is_axes

    axes = (given or "").upper()
    if axes and not is_axes(axes):
        raise Misuse(EXPECTED_AXES, repr(given))
    return axes


def source_options(command: Any) -> Any:
    """Add what a user says about the sources."""
    for add in reversed(
        (
            option(
                "--modality",
                heading=WHAT,
                callback=parse_modality,
                metavar="NAME",
                help="CT, MR, PET, US, Microscopy or another word. CT has a window; the name of a "
                "case begins with it.",
                show_default="what DICOM, dataset.json or the names in BIDS say",
            ),
            option(
                "--name",
                heading=WHAT,
                metavar="NAME",
                help="Name of the case, if it is only one.",
                show_default="modality, dataset and the name of the image",
            ),
            option(
                "--patient",
                heading=WHAT,
                metavar="NAME",
                help="The patient, for index.csv, where the data do not say it. Intervals count "
                "the scans of one patient as one draw.",
            ),
            option(
                "--dataset",
                heading=WHAT,
                metavar="NAME",
                help="The data set, for index.csv and the names of cases, where the data do not "
                "say it.",
            ),
            option(
                "--channel",
                heading=WHAT,
                type=WholeNumber(0),
                help="Which channel of images with several, from 0 on.",
            ),
            option(
                "--label-channel",
                heading=ADVANCED,
                type=WholeNumber(0),
                help="Which channel of label files with several, from 0 on.",
            ),
            option(
                "--bids-suffix",
                heading=ADVANCED,
                metavar="SUFFIX",
                help="Which images of a BIDS data set are taken, such as T1w.",
            ),
            option(
                "--series",
                heading=ADVANCED,
                metavar="UID",
                help="Which DICOM series, if a folder has several: its UID, or the code by which "
                "a message names it.",
            ),
            option(
                "--axes",
                heading=ADVANCED,
                callback=parse_axes,
                metavar="LETTERS",
                help="The axes of files that do not state them, such as LPS: where the indices "
                "grow to. Without it such files are refused.",
            ),
        )
    ):
        command = add(command)
    return command


def rule_options(command: Any) -> Any:
    """Add what decides how a scan becomes a case."""
    for add in reversed(
        (
            option(
                "--labels",
                heading=HOW,
                metavar="LIST",
                default="all",
                help="Which labels, by name or value, such as 'liver,tumor=2+3': 2 and 3 are "
                "merged. cells=all merges every value into one label.",
            ),
            option(
                "--label-names",
                heading=HOW,
                type=FILE,
                help="A file with the names of values: dataset.json, YAML, or CSV with the columns "
                "name and value.",
                show_default="those of the data set",
            ),
            option(
                "--keep-values",
                is_flag=True,
                heading=HOW,
                help="Keep the values of the source as numbers of labels, equal in all cases.",
                show_default="1 to N in each case",
            ),
            option(
                "--split",
                is_flag=True,
                heading=HOW,
                help="Make each connected component of a label a label of its own.",
            ),
            option(
                "--intensity",
                heading=HOW,
                type=OneOf(["auto", "keep", "scale"]),
                default="auto",
                help="Scale values to 0..255 (scale), or keep those that are within (keep). auto "
                "keeps whole numbers within 0..255 with a maximum above 100 and scales all others.",
            ),
            option(
                "--window",
                heading=HOW,
                callback=parse_window,
                metavar="NAME|W,L",
                help="Window of CT: soft-tissue, lung, brain, bone, or width and level in "
                "Hounsfield units.",
                show_default="soft-tissue, 400,40",
            ),
            option(
                "--raw",
                is_flag=True,
                heading=HOW,
                help="Keep type and values of the image as they are stored.",
            ),
            option(
                "--box-rule",
                heading=HOW,
                type=OneOf(["challenge", "exact", "none"]),
                default="challenge",
                help="Boxes as the challenge draws them, exact ones, or none. A case with a "
                "scattered label has none.",
            ),
            option(
                "--no-box",
                heading=HOW,
                multiple=True,
                metavar="LABEL",
                help="A label that no box can stand for, such as vessels, by name or by a value of "
                "the source: cases with it have no boxes; repeatable.",
            ),
            option(
                "--seed",
                heading=ADVANCED,
                type=WholeNumber(0),
                default=0,
                help="Seed of the random widening of boxes; the same seed makes the same boxes.",
            ),
            option(
                "--resample-labels",
                heading=ADVANCED,
                type=OneOf(["nearest"]),
                help="Labels on another grid than their image are resampled: each voxel gets the "
                "nearest label.",
                show_default="they are refused",
            ),
        )
    ):
        command = add(command)
    return command
