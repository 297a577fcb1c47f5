"""What Python users call: `segbench.evaluate`, the same as ``segbench run``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from segbench.core import Settings
from segbench.results import CaseResult, FailurePolicy
from segbench.runs.config import Boxes, Predictions, RunConfig, default_out
from segbench.runs.run_case import CrashedCase
from segbench.runs.runner import run

if TYPE_CHECKING:
    from segbench.report.frames import Results


@dataclass(frozen=True)
class RunResult:
    """What a run folder has after `evaluate`, with the cases of all calls.

    Attributes
    ----------
    folder : Path
        The run folder.
    case_results : tuple of CaseResult
        The raw facts of every finished case, in name order.
    crashed : tuple of CrashedCase
        Cases on which segbench itself failed in this call; the next call tries them again.
    left_to_others : tuple of str
        Names of cases that another runner on the folder has locked.
    """

    folder: Path
    case_results: tuple[CaseResult, ...]
    crashed: tuple[CrashedCase, ...] = ()
    left_to_others: tuple[str, ...] = ()

    @property
    def all_ok(self) -> bool:
        """Whether every case is done and valid, without a failed step."""
        done = not self.crashed and not self.left_to_others
        return done and all(case.status == "ok" for case in self.case_results)

    def frames(
        self, *, failures: FailurePolicy = "zero", time_limit: float | None = None
    ) -> Results:
        """Return the finished cases of the folder as pandas frames, as `segbench.load` does."""
        from segbench.report.frames import load  # pandas takes a while to import

        return load(self.folder, failures=failures, time_limit=time_limit)


def evaluate(  # noqa: PLR0913
    model: str | Path,
    data: str | Path,
    *,
    out: str | Path | None = None,
    jobs: int = 1,
    references: str | Path | None = None,
    option: Mapping[str, object] | None = None,
    name: str | None = None,
    case: str | Sequence[str] = (),
    limit: int | None = None,
    retry_failed: bool = False,
    threads: int | None = None,
    wait: bool = True,
    python: str | Path | None = None,
    in_process: bool = False,
    step_timeout: float = 900.0,
    predictions: Predictions = "all",
    boxes: Boxes = "given",
    exact_sum: bool = False,
    failures: FailurePolicy = "zero",
    time_limit: float | None = None,
    settings: Settings | None = None,
) -> RunResult:
    """Run a model on a folder of cases, as ``segbench run`` does with the options of these names.

    Parameters
    ----------
    model : str or path
        An adapter's name, a path to its file or folder, ``container:IMAGE`` or ``command:...``.
    data : path
        A folder of ``.npz`` cases.
    out : path, optional
        The run folder, continued if it exists; ``runs/<model>`` by default.
    jobs : int
        Cases at a time, each with a model of its own.
    references : path, optional
        A folder of ``.npz`` files of the same names with ``gts``, if the cases have none.
    option : dict, optional
        Options of the adapter; values are passed as strings, as on the command line.
    name : str, optional
        The name in tables; the adapter's name by default.
    case : str or sequence of str
        Only cases whose names match one of these shell patterns.
    limit : int, optional
        Only the first of them, up to this number.
    retry_failed : bool
        Run cases again that failed or were invalid.
    threads : int, optional
        Threads of each model; by default the processors divided by jobs.
    wait : bool
        Wait for cases that another runner on the folder has locked.
    python : path, optional
        The interpreter that the adapter runs with.
    in_process : bool
        Run the model in this process, for debugging an adapter.
    step_timeout : float
        Seconds that loading the model, setting an image and each step may take.
    predictions : {"all", "final", "none"}
        Which label maps to keep.
    boxes : {"given", "none"}
        Give the boxes of the cases to the model, or withhold them.
    exact_sum : bool
        NSD to the official script's last bit.
    failures : {"zero", "carry_forward"}
        Score of a failed step in ``metrics.csv``: 0, or that of the last prediction.
    time_limit : float, optional
        Seconds per label; in ``metrics.csv`` a case above it scores 0.
    settings : Settings, optional
        Another protocol than the challenge's.

    Returns
    -------
    RunResult
        A case that failed is a result, not an error.

    Raises
    ------
    CaseError
        If there is no case to run.
    AdapterNotFound, AdapterError
        If the model cannot be found or loaded.
    RunError
        If an option has no such value, or the folder has another run.
    """
    config = RunConfig(
        model=str(model),
        data=Path(data),
        out=default_out(str(model)) if out is None else Path(out),
        references=None if references is None else Path(references),
        option={key: str(value) for key, value in (option or {}).items()},
        name=name,
        case=(case,) if isinstance(case, str) else tuple(case),
        limit=limit,
        jobs=jobs,
        retry_failed=retry_failed,
        threads=threads,
        wait=wait,
        python=None if python is None else Path(python),
        in_process=in_process,
        step_timeout=step_timeout,
        predictions=predictions,
        boxes=boxes,
        exact_sum=exact_sum,
        failures=failures,
        time_limit=time_limit,
        settings=settings or Settings(),
    )
    summary = run(config)
    return RunResult(config.out, summary.run.case_results, summary.crashed, summary.left_to_others)
