"""What Python users call: `segbench.convert`, the same as ``segbench convert``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from segbench.errors import CaseError
from segbench.keywords import suggest_keywords
from segbench.messages import and_hint

if TYPE_CHECKING:
    from segbench.data.convert.convert_data import ConvertedData

CHOICES = {
    "intensity": ("auto", "keep", "scale"),
    "box_rule": ("challenge", "exact", "none"),
    "resample_labels": ("nearest", None),
}


@suggest_keywords
def convert(  # noqa: PLR0913
    *sources: str | Path,
    out: str | Path,
    modality: str | None = None,
    name: str | None = None,
    patient: str | None = None,
    dataset: str | None = None,
    channel: int | None = None,
    label_channel: int | None = None,
    bids_suffix: str | None = None,
    series: str | None = None,
    axes: str | None = None,
    labels: str = "all",
    label_names: str | Path | Mapping[Any, Any] | None = None,
    keep_values: bool = False,
    split: bool = False,
    intensity: Literal["auto", "keep", "scale"] = "auto",
    window: str | tuple[float, float] | None = None,
    raw: bool = False,
    box_rule: Literal["challenge", "exact", "none"] = "challenge",
    no_box: str | Sequence[str] = (),
    seed: int = 0,
    resample_labels: Literal["nearest"] | None = None,
    jobs: int = 1,
    replace: bool = False,
    dry_run: bool = False,
    progress: bool = True,
) -> ConvertedData:
    """Make cases of scans and their labels, as ``segbench convert`` does with these options.

    Parameters
    ----------
    sources : one or two paths
        An image and its labels, two folders, a list, or the folder of a data set.
    out : path
        The folder for the cases.
    modality, name, patient, dataset : str, optional
        What is stated of the scans, where the data do not say it.
    channel, label_channel : int, optional
        Which channel of images and of label files with several.
    bids_suffix, series, axes : str, optional
        Which images of a BIDS data set, which DICOM series, and the axes of files that state none.
    labels : str
        Which labels, such as ``"liver,tumor=2+3"``.
    label_names : path or mapping, optional
        The names of values, as a file or as ``{"liver": 1}``.
    keep_values, split : bool
        Keep the values of the source; make each component a label.
    intensity : {"auto", "keep", "scale"}
    window : str or (width, level), optional
        Of CT, such as ``"lung"``.
    raw : bool
        Keep type and values of the image.
    box_rule : {"challenge", "exact", "none"}
    no_box : str or sequence of str
        Labels that no box can stand for.
    seed : int
        Of the widening of boxes.
    resample_labels : {"nearest"}, optional
    jobs : int
        Scans at a time; above 1, call this under ``if __name__ == "__main__":``.
    replace, dry_run : bool
        Convert changed cases again; write nothing.
    progress : bool
        Show the progress on stderr.

    Returns
    -------
    ConvertedData
        A scan that is refused is a result, not an error.

    Raises
    ------
    CaseError
        If a library is missing, an argument is wrong, or no scan is found.
    TypeError
        If a keyword is unknown; the message names the right one.
    """
    given = dict(locals())
    _require_libraries()
    _require_choices(given)
    from segbench.data.convert.batch import Batch
    from segbench.data.convert.convert_data import convert_found, planned, silent
    from segbench.data.convert.option_values import axes_of, modality_to_state, window_of
    from segbench.data.convert.request import request_of
    from segbench.runs.progress_count import shown_count

    given |= {
        "modality": modality_to_state(modality),
        "window": window_of(window),
        "axes": axes_of(axes),
        "no_box": (no_box,) if isinstance(no_box, str) else tuple(no_box),
    }
    rules, found = request_of([Path(source) for source in sources], given)
    if dry_run:
        return planned(found, Path(out))
    batch = Batch(rules, Path(out), replace)
    if not progress:
        return convert_found(found, batch, jobs=jobs, on_case=silent)
    with shown_count("convert", line_seconds=0) as show:
        return convert_found(found, batch, jobs=jobs, on_case=show)


def _require_libraries() -> None:
    for library in ("nibabel", "SimpleITK", "pydicom"):
        if find_spec(library) is None:
            raise CaseError(
                f"convert: expected the library {library}, found none; install it by pip install "
                "'segbench[convert]'"
            )


def _require_choices(given: Mapping[str, Any]) -> None:
    for keyword, choices in CHOICES.items():
        value = given[keyword]
        if value not in choices:
            listed = ", ".join(map(repr, choices))
            hint = and_hint(str(value), [str(choice) for choice in choices])
            raise CaseError(f"{keyword}: expected one of {listed}, found {value!r}{hint}")
    for keyword, least in (("jobs", 1), ("seed", 0), ("channel", 0), ("label_channel", 0)):
        value = given[keyword]
        optional = value is None and keyword.endswith("channel")
        if not optional and (not isinstance(value, int) or value < least):
            raise CaseError(f"{keyword}: expected a number of at least {least}, found {value!r}")
