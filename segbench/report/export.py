"""Results as files, for programs other than segbench and for publication."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from segbench.errors import RunError
from segbench.files import atomic_write
from segbench.report.card import card_files
from segbench.report.challenger import challenger_files
from segbench.report.frames import Results
from segbench.report.resampling import Resampling
from segbench.report.written_files import (
    EXPORT_LIST,
    exported_files,
    list_exported_files,
    refuse_others,
)


def write_export(
    results: Results,
    out: str | Path,
    *,
    format: str = "csv",
    resampling: Resampling = Resampling(),
) -> list[Path]:
    """Write results as files of one format and return them.

    Files of earlier exports are replaced, no others. ``segbench-export.json`` lists them.

    Parameters
    ----------
    results : Results
        From `segbench.load`.
    out : path
        The folder, created if it is missing.
    format : {"csv", "parquet", "challenger", "card"}
        csv and parquet: one file for each of the frames cases, steps, prompts, methods and, if it
        has rows, derived; parquet needs pyarrow. challenger: the scores of ranked methods for the
        R package challengeR.
        card: a page on each run, as Markdown and JSON.
    resampling : Resampling
        How the intervals of a card are computed.

    Raises
    ------
    RunError
        If there is no such format, pyarrow is missing, the folder is a run folder or has other
        files of these names, or no ranked run has a scored case (challenger). Then nothing is
        written.
    """
    if format not in FORMATS:
        raise RunError(f"format: expected one of {', '.join(FORMATS)}, found {format!r}")
    out = Path(out)
    if (out / "run.json").exists():
        raise RunError(f"{out}: expected a folder for exported files, found a run folder")
    files = FORMATS[format](results, resampling)
    refuse_others(out, (*files, EXPORT_LIST), exported_files(out))
    out.mkdir(parents=True, exist_ok=True)
    list_exported_files(out, files)
    for name, content in files.items():
        with atomic_write(out / name) as stream:
            stream.write(content)
    return [out / name for name in files]


def _csv_files(results: Results, _: Resampling) -> dict[str, bytes]:
    frames = _frames(results).items()
    return {
        f"{name}.csv": _csv(frame).encode("utf-8", "backslashreplace") for name, frame in frames
    }


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n")


def _parquet_files(results: Results, _: Resampling) -> dict[str, bytes]:
    if importlib.util.find_spec("pyarrow") is None:
        raise RunError(
            "format parquet: expected the package pyarrow, found none; "
            "pip install 'segbench[parquet]', or choose csv"
        )
    frames = _frames(results).items()
    return {f"{name}.parquet": frame.to_parquet(index=False) for name, frame in frames}


def _frames(results: Results) -> dict[str, pd.DataFrame]:
    frames = {name: getattr(results, name) for name in ("cases", "steps", "prompts", "methods")}
    return {**frames, "derived": results.derived} if len(results.derived) else frames


FORMATS: dict[str, Callable[[Results, Resampling], dict[str, bytes]]] = {
    "csv": _csv_files,
    "parquet": _parquet_files,
    "challenger": lambda results, _: challenger_files(results),
    "card": card_files,
}
