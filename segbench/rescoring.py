"""Further metrics of finished runs, as Python users ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from segbench.further_metrics.metric import parse_metrics
from segbench.keywords import suggest_keywords
from segbench.report.compared_runs import read_any_runs
from segbench.runs.progress_count import shown_count
from segbench.runs.rescore import RescoreResult, rescore_runs, silent


@suggest_keywords
def rescore(
    *runs: str | Path,
    metric: str | Sequence[str],
    data: str | Path | None = None,
    references: str | Path | None = None,
    jobs: int = 1,
    progress: bool = True,
) -> RescoreResult:
    """Compute further metrics of finished runs, as ``segbench rescore`` does.

    They are stored in the run folders: `segbench.load` has them in its frame ``derived``.

    Parameters
    ----------
    *runs : path
        Run folders, or folders that contain some. Their predictions must have been kept.
    metric : str or sequence of str
        ``nsd@1mm``, ``nsd-ungated@2mm``, ``nsd-voxels@2mm``, ``hd95``, ``assd``, ``volume-error``,
        ``lesion-f1``, ``obeyed``, ``nsd-eroded@2mm``, ``nsd-box@2mm``, or a function of your own,
        ``path/to/file.py:function`` (docs/rescore.md).
    data, references : path, optional
        Where the cases are now; by default as in ``run.json``.
    jobs : int
        How many cases are worked on at the same time, each in a process.
    progress : bool
        Show the progress on stderr.

    Returns
    -------
    RescoreResult
        How many values were computed, and in ``refused`` why others were not.

    Raises
    ------
    RunError
        If an argument is wrong, a folder is no run, its data are not there, or its folder
        ``derived`` has a file that segbench has not written.
    TypeError
        If a keyword is unknown; the message names the right one.
    """
    metrics = parse_metrics([metric] if isinstance(metric, str) else metric)
    found = read_any_runs(list(map(Path, runs)))
    with shown_count("rescoring") if progress else nullcontext(silent) as on_case:
        return rescore_runs(
            list(found.values()),
            metrics,
            data=None if data is None else Path(data),
            references=None if references is None else Path(references),
            jobs=jobs,
            on_case=on_case,
        )
