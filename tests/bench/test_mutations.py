"""Changes to the code that must not go unnoticed: each makes the test named with it fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SPACING = "tests/runs/test_runner.py::test_a_spacing_of_float32_is_the_same_run_as_in_float64"
LOCKS = "tests/runs/test_interruptions.py::test_a_lock_of_another_machine_is_respected"
DEPTH = "tests/data/test_challenge_npz.py::test_values_may_be_nested_20_deep"

# what changes: file below segbench/, text, its replacement, the start of the name of the test
MUTATIONS = {
    "a result is written in place": (
        "files.py",
        """        with partial.open("wb") as stream:
            yield stream
        publish(partial, file, sync=sync)
""",
        """        with file.open("wb") as stream:
            yield stream
""",
        "tests/runs/test_interruptions.py::test_a_result_that_the_disk_cannot_hold_appears_nowhere",
    ),
    "partial files stay": (
        "files.py",
        "                partial.unlink(missing_ok=True)\n",
        "                pass\n",
        "tests/runs/test_interruptions.py::test_what_a_killed_runner_left_half_written_is_removed",
    ),
    "partial files of other cases are removed": (
        "files.py",
        " and found[1] in wanted",
        "",
        "tests/runs/test_interruptions.py::test_what_a_killed_runner_left_half_written_is_removed",
    ),
    "a live lock of another boot, or of another host with this name, is taken over": (
        "runs/case_locks.py",
        ' and owner.get("boot") == _boot()',
        "",
        LOCKS,
    ),
    "a live lock of another host is taken over": (
        "runs/case_locks.py",
        'owner.get("host") == socket.gethostname() and ',
        "",
        LOCKS,
    ),
    "a suspended runner writes its label maps": (
        "runs/prediction_store.py",
        " and self._may_finish()",
        "",
        "tests/runs/test_interruptions.py::test_a_lock_that_is_lost_after_the_last_step",
    ),
    "a suspended runner writes its result": (
        "runs/run_case.py",
        "            if not still_mine():\n                return None\n",
        "",
        "tests/runs/test_interruptions.py::test_a_runner_that_lost_its_lock_while_it_read_a_case",
    ),
    "the spacing of a file stays float32": (
        "protocol/validation.py",
        "z, y, x = (float(mm) for mm in raw)",
        "z, y, x = raw",
        SPACING,
    ),
    "the spacing of NSD stays float32": (
        "protocol/metrics.py",
        "z, y, x = (float(side) for side in spacing)",
        "z, y, x = spacing",
        "tests/protocol/test_interaction.py::test_a_spacing_of_float32_scores_as_in_float64",
    ),
    'NaN is written as "nan"': (
        "runs/metrics_csv.py",
        'return "" if math.isnan(value) else repr(value)',
        "return repr(value)",
        "tests/runs/test_run_folder.py::test_nan_is_blank_as_pandas_writes_it",
    ),
    "the dataset is taken from names of two parts": (
        "data/dataset.py",
        "if len(parts) > 2",
        "if len(parts) > 1",
        "tests/data/test_dataset.py::test_a_name_of_two_parts_has_no_dataset",
    ),
    "reading the arrays is the model's time": (
        "models/worker.py",
        "        start = time.perf_counter()  # reading arrays is not the model's time\n",
        "",
        "tests/models/test_supervisor.py::test_reading_the_arrays_is_not_the_models_time",
    ),
    "declared checksums apply to every revision": (
        "models/download.py",
        "if weights.revision in (None, revision):",
        "if True:",
        "tests/models/test_weights.py::test_checksums_of_the_declaration_apply_to_its_own_revision",
    ),
    "recorded checksums apply to every revision": (
        "models/download.py",
        'if record.get("revision") == revision:',
        "if record:",
        "tests/models/test_weights.py::test_a_pinned_revision_is_downloaded",
    ),
    "the number of restarts is not restored": (
        "models/supervisor.py",
        "        self._attempts_left = SET_IMAGE_ATTEMPTS\n        return worker, seconds",
        "        return worker, seconds",
        "tests/models/test_supervisor.py::test_a_worker_that_ends_in_every_step_is_started_again",
    ),
    "the depth of pickled values is not limited": (
        "data/safe_pickle.py",
        " or depth > MAX_DEPTH",
        "",
        DEPTH,
    ),
    "the number of pickled values is not limited": (
        "data/safe_pickle.py",
        "self._remaining < 0 or ",
        "",
        "tests/data/test_challenge_npz.py::test_few_bytes_that_unfold_to_many_values_are_refused",
    ),
    "arrays add no depth": (
        "data/safe_pickle.py",
        "self.resolve(array[index], depth + 1)",
        "self.resolve(array[index], depth)",
        DEPTH,
    ),
    "lists and tuples add no depth": (
        "data/safe_pickle.py",
        "self.resolve(item, depth + 1) for item in value)",
        "self.resolve(item, depth) for item in value)",
        DEPTH,
    ),
    "dictionaries add no depth": (
        "data/safe_pickle.py",
        "self.resolve(item, depth + 1) for key",
        "self.resolve(item, depth) for key",
        DEPTH,
    ),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Return a copy of the code and its tests."""
    folder = tmp_path_factory.mktemp("mutated")
    for name in ("segbench", "segbench_adapters", "adapters", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "golden")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def exit_status(folder, test):
    """Run the tests whose names start so; return pytest's exit status: 0 passed, 1 failed."""
    file, _, name = test.partition("::")
    words = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", file, "-k", name]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, check=False
    )
    return done.returncode


@pytest.mark.parametrize("change", MUTATIONS)
def test_a_change_makes_its_test_fail(copy, change):
    name, old, new, test = MUTATIONS[change]
    file = copy / "segbench" / name
    source = file.read_text(encoding="utf-8")
    assert source.count(old) == 1, f"{name}: {old} is there {source.count(old)} times"
    file.write_text(source.replace(old, new), encoding="utf-8")
    try:
        assert exit_status(copy, test) == 1
    finally:
        file.write_text(source, encoding="utf-8")


@pytest.mark.parametrize("test", sorted({mutation[3] for mutation in MUTATIONS.values()}))
def test_without_the_change_it_passes(copy, test):
    assert exit_status(copy, test) == 0
