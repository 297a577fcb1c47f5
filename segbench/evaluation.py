"""What Python users call: `segbench.evaluate`, the same as ``segbench run``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from segbench.contract import Adapter
from segbench.core import Case, Settings
from segbench.errors import CaseError, RunError
from segbench.keywords import suggest_keywords
from segbench.models.given import GivenModel, given_model
from segbench.results import FailurePolicy
from segbench.run_result import RunResult
from segbench.runs.config import Boxes, Predictions, RunConfig, default_out, folder_name
from segbench.runs.progress import shown_progress
from segbench.runs.runner import no_progress, run

Data = str | Path | Case | Iterable[str | Path | Case]


@suggest_keywords
def evaluate(  # noqa: PLR0913
    model: str | Path | Adapter | Callable[..., Any],
    data: Data,
    *,
    out: str | Path | None = None,
    jobs: int = 1,
    references: str | Path | None = None,
    option: Mapping[str, object] | None = None,
    name: str | None = None,
    version: str | None = None,
    case: str | Sequence[str] = (),
    limit: int | None = None,
    fresh: bool = False,
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
    progress: bool = True,
) -> RunResult:
    """Run a model on cases, as ``segbench run`` does with the options of these names.

    Parameters
    ----------
    model : str, path, adapter, class or function
        An adapter's name, a path to its file or folder, ``container:IMAGE`` or ``command:...``.
        Or an adapter object, or a function ``predict(image, interactions)`` that returns a label
        map: these run in this process, without a time limit. Or a class or function that returns
        an adapter: it is called in a worker process, with ``option`` as its keywords.
    data : path, Case, or several of one kind
        A folder of ``.npz`` cases, files, or cases made of arrays (`segbench.case_from_arrays`).
    out : path, optional
        The run folder, continued if it exists; ``runs/<model>`` by default. A run of an object or
        a function is continued only with ``name`` and ``version``.
    jobs : int
        Cases at a time, each with a model of its own.
    references : path, optional
        A folder of ``.npz`` files of the same names with ``gts``, if the cases have none.
    option : dict, optional
        Options of the adapter; values are passed as strings, as on the command line. To a class
        or a function they are passed as they are.
    name : str, optional
        The name in tables; the adapter's name by default.
    version : str, optional
        The version of a model that is given as an object, class or function: another version is
        another run.
    case : str or sequence of str
        Only cases whose names match one of these shell patterns.
    limit : int, optional
        Only the first of them, up to this number.
    fresh : bool
        Move an existing run folder to ``<out>.old-N`` and start anew.
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
    progress : bool
        Show the progress on stderr.

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
    TypeError
        If a keyword is unknown; the message names the right one.
    """
    options = _options(option)
    given = None if isinstance(model, str | Path) else given_model(model, options, name, version)
    places, arrays = _places_and_arrays(data)
    _refuse_contradictions(given, arrays, version=version, python=python, references=references)
    config = RunConfig(
        model=str(model) if given is None else given.model,
        data=places,
        out=_out(model, given) if out is None else Path(out),
        references=None if references is None else Path(references),
        option={key: str(value) for key, value in options.items() if value is not None},
        name=name,
        case=(case,) if isinstance(case, str) else tuple(case),
        limit=limit,
        jobs=jobs,
        fresh=fresh,
        retry_failed=retry_failed,
        threads=threads,
        wait=wait,
        python=None if python is None else Path(python),
        in_process=in_process or (given is not None and given.in_process),
        step_timeout=step_timeout,
        predictions=predictions,
        boxes=boxes,
        exact_sum=exact_sum,
        failures=failures,
        time_limit=time_limit,
        settings=settings or Settings(),
    )
    opened = shown_progress if progress else no_progress
    summary = run(config, opened, given=given, arrays=arrays)
    return RunResult(
        config.out,
        summary.run.method,
        summary.run.case_results,
        summary.asked_for,
        summary.crashed,
        summary.left_to_others,
        config.policy,
        config.settings,
    )


def _out(model: object, given: GivenModel | None) -> Path:
    if given is None:
        return default_out(str(model))
    return Path("runs") / (folder_name(given.name or given.title) or "model")


def _options(option: Mapping[str, object] | None) -> dict[str, object]:
    if option is not None and not isinstance(option, Mapping):
        raise RunError(f"option: expected a dictionary, such as {{'seed': 3}}, found {option!r}")
    return dict(option or {})


def _refuse_contradictions(
    given: GivenModel | None,
    arrays: Sequence[Case],
    *,
    version: str | None,
    python: str | Path | None,
    references: str | Path | None,
) -> None:
    if given is None and version is not None:
        raise RunError(
            "version: expected none for an adapter's name or path, which states its own, found "
            f"{version!r}"
        )
    if given is not None and python is not None:
        raise RunError(
            f"python: expected none for {given.title}, which is given as an object and runs with "
            f"this interpreter, found {python}"
        )
    if arrays and references is not None:
        raise RunError(
            "references: expected none for cases made of arrays, which have their own, found "
            f"{references}"
        )


def _places_and_arrays(data: Data) -> tuple[tuple[Path, ...], tuple[Case, ...]]:
    """Return the folders and files that were given, or the cases made of arrays."""
    one = isinstance(data, str | Path | Case) or not isinstance(data, Iterable)
    given: list[object] = [data] if one else list(data)  # type: ignore[arg-type]
    arrays = tuple(each for each in given if isinstance(each, Case))
    places = tuple(Path(each) for each in given if isinstance(each, str | Path))
    if not given or len(given) not in (len(arrays), len(places)):
        kinds = ", ".join(sorted({type(each).__name__ for each in given})) or "nothing"
        raise CaseError(f"data: expected a folder, files, or Case objects, found {kinds}")
    return places, arrays
