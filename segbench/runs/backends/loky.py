"""Several cases at a time, each in one of joblib's loky processes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from segbench import threads
from segbench.errors import AdapterError
from segbench.runs.backends.base import Result
from segbench.runs.case_locks import lock_file
from segbench.runs.job import JobSettings, ModelDescription, describe_model
from segbench.runs.pending_cases import PendingCase
from segbench.runs.run_case import CrashedCase, run_case
from segbench.runs.step_channel import OnStep, ignore_step, step_receiver

RunOne = Callable[[PendingCase], tuple[PendingCase, Result]]


def _run_one(case: PendingCase, job: JobSettings, on_step: OnStep) -> tuple[PendingCase, Result]:
    return case, run_case(case, job, on_step)


def _ending(error: Exception) -> str:
    """Return how a process ended, in one line: its exit codes, if joblib knows them."""
    text = " ".join(str(error).split())
    codes = re.search(r"exit codes of the workers are \{(.*?)\}", text)
    return codes[1] if codes else text.partition(". ")[0]


class LokyBackend:
    """Runs cases in processes that are reused from call to call, so that models stay loaded.

    This process loads no model: the first of the others describes it.
    """

    def __init__(self, job: JobSettings) -> None:
        self._job = job

    def describe_model(self) -> ModelDescription:
        """Load the model in one process and describe it; the process keeps it for its cases."""
        try:
            (description,) = self._results(describe_model, [self._job])
        except TerminatedWorkerError as error:
            raise AdapterError(
                f"{self._job.config.model}: expected a process that loads the model, found that it "
                f"died: {_ending(error)}"
            ) from None
        return description  # type: ignore[no-any-return]

    def run(
        self, cases: Sequence[PendingCase], on_step: OnStep = ignore_step
    ) -> Iterator[tuple[PendingCase, Result]]:
        """Yield each case with its result, as cases are finished; report their steps.

        If a process dies, the cases that were running are run again, each in a process of its own:
        so the one that kills its process is found, and the others are not lost.
        """
        left = {case.name: case for case in cases}
        with step_receiver(on_step, left.keys()) as send_step:
            run_one = partial(_run_one, job=self._job, on_step=send_step)
            while left:
                try:
                    for case, result in self._results(run_one, list(left.values())):
                        del left[case.name]
                        yield case, result
                except TerminatedWorkerError:
                    for case in self._suspects(left):
                        del left[case.name]
                        yield self._run_alone(run_one, case)

    def _results(self, function: Callable[[Any], Any], arguments: Sequence[Any]) -> Iterator[Any]:
        """Yield the results of calls in the reused processes, as they are finished."""
        with parallel_config(backend="loky", inner_max_num_threads=threads.SEGBENCH_THREADS):
            pool = Parallel(n_jobs=self._job.config.jobs, return_as="generator_unordered")
        yield from pool(delayed(function)(argument) for argument in arguments)

    def _suspects(self, left: dict[str, PendingCase]) -> list[PendingCase]:
        """Return the cases that were running when a process died."""
        folder = self._job.config.out / "cases"
        locked = [case for name, case in left.items() if lock_file(folder, name).exists()]
        return locked or list(left.values())[:1]

    def _run_alone(self, run_one: RunOne, case: PendingCase) -> tuple[PendingCase, Result]:
        """Run one case in a process that does nothing else."""
        with ProcessPoolExecutor(
            1, env=threads.environment_variables(threads.SEGBENCH_THREADS)
        ) as pool:
            try:
                return pool.submit(run_one, case).result()  # type: ignore[no-any-return]
            except TerminatedWorkerError as error:
                reason = f"the process that ran this case died: {_ending(error)}"
                return case, CrashedCase(case.name, reason)
