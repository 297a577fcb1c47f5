"""Environments of adapters with a lock: the calls of uv, and the content of the locks."""

import os
import re
import subprocess
import tomllib
from contextlib import contextmanager
from pathlib import Path

import pytest

from segbench.errors import AdapterError
from segbench.models import registry
from segbench.models.environments import HEADER, find_interpreter, lock_of, readiness
from segbench.models.registry import adapter_names, find_adapter, has_own_environment

PIN = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<version>[0-9][\w.]*)( ; .+)?$")
LOCKED = [name for name in adapter_names() if has_own_environment(find_adapter(name))]
ADAPTER = """# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""
UV = """#!/bin/sh
echo "$@" >> {log}
for last; do :; done
[ "$1" = venv ] && mkdir -p "$last"
exit {status}
"""


@pytest.fixture
def mine(tmp_path, environment):
    """Return an adapter with a lock; environments go to a folder of the test."""
    environment(XDG_CACHE_HOME=tmp_path / "cache")
    file = tmp_path / "mine.py"
    file.write_text(ADAPTER)
    lock_of(file).write_text("# nothing\n")
    return file


@pytest.fixture
def fake_uv(tmp_path):
    """Return a function that makes a folder with a program uv, which logs its calls."""

    def install(status=0):
        program = tmp_path / "programs" / "uv"
        program.parent.mkdir(exist_ok=True)
        program.write_text(UV.format(log=tmp_path / "log", status=status))
        program.chmod(0o755)
        return str(program.parent)

    return install


@pytest.fixture
def calls(tmp_path):
    """Return a function that returns the calls of uv."""
    return lambda: (tmp_path / "log").read_text().splitlines()


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", LOCKED)
def test_a_lock_pins_all_requirements_of_the_header_and_has_no_urls(name):
    header = HEADER.search(find_adapter(name).read_text())["toml"]
    requirements = tomllib.loads(re.sub("^# ?", "", header, flags=re.MULTILINE))["dependencies"]
    lines = [
        line for line in lock_of(find_adapter(name)).read_text().splitlines() if line[0] != "#"
    ]
    pins = [PIN.match(line) for line in lines]
    assert all(pins), [line for line in lines if not PIN.match(line)]
    locked = {normalised(pin["name"]): pin["version"] for pin in pins}
    assert {
        normalised(pin.split("==")[0]): pin.split("==")[1] for pin in requirements
    }.items() <= locked.items()


def test_uv_builds_the_header_in_the_versions_of_the_lock_once(mine, fake_uv, calls):
    path = fake_uv()
    assert readiness(mine, path=path) == "not built, the first run does it"
    python = find_interpreter(mine, None, path=path)
    folder, requirements = python.parents[1], f"--requirements {mine} --constraints {lock_of(mine)}"
    assert calls() == [
        f"venv --quiet --allow-existing --python >=3.11 {folder}",
        f"pip install --quiet --python {python} {requirements}",
    ]
    assert folder.parent == mine.parent / "cache" / "segbench" / "environments"
    assert readiness(mine, path=path) == "ready"
    assert find_interpreter(mine, None, path=path) == python
    assert len(calls()) == 2


def test_without_a_lock_the_header_alone_is_installed(mine, fake_uv, calls):
    path = fake_uv()
    lock_of(mine).unlink()
    python = find_interpreter(mine, None, path=path)
    assert calls()[1] == f"pip install --quiet --python {python} --requirements {mine}"
    lock_of(mine).write_text("numpy==2.4.6\n")
    assert readiness(mine, path=path) == "not built, the first run does it"


def test_uv_is_needed_only_to_build(mine, fake_uv, tmp_path):
    without_uv = str(tmp_path / "empty")
    assert readiness(mine, path=without_uv) == "needs uv, or --python"
    with pytest.raises(AdapterError, match=r"mine\.py declares its own dependencies"):
        find_interpreter(mine, None, path=without_uv)
    python = find_interpreter(mine, None, path=fake_uv())
    assert readiness(mine, path=without_uv) == "ready"
    assert find_interpreter(mine, None, path=without_uv) == python


def test_another_lock_or_header_is_another_environment(mine, fake_uv):
    path = fake_uv()
    first = find_interpreter(mine, None, path=path)
    mine.write_text(ADAPTER + "VERSION = 2\n")
    assert find_interpreter(mine, None, path=path) == first
    lock_of(mine).write_text("numpy==2.4.6\n")
    second = find_interpreter(mine, None, path=path)
    mine.write_text(ADAPTER.replace("3.11", "3.10"))
    assert len({first, second, find_interpreter(mine, None, path=path)}) == 3


def test_an_environment_whose_build_failed_is_not_ready(mine, fake_uv):
    path = fake_uv(status=1)
    with pytest.raises(AdapterError, match=r"mine\.py: its environment cannot be built"):
        find_interpreter(mine, None, path=path)
    assert readiness(mine, path=path) == "not built, the first run does it"


def test_a_header_without_an_end_is_refused(mine, fake_uv):
    mine.write_text("# /// script\n# dependencies = []\n")
    with pytest.raises(AdapterError, match="expected its PEP 723 header to end"):
        find_interpreter(mine, None, path=fake_uv())


def test_uv_is_found_on_the_path(mine, fake_uv, calls, environment):
    environment(PATH=f"{fake_uv()}:{os.environ['PATH']}")
    python = find_interpreter(mine, None)
    assert calls()[0].endswith(str(python.parents[1]))


def test_uv_itself_builds_it(mine):
    pytest.importorskip("uv", reason="needs the extra environments")
    python = find_interpreter(mine, None)
    process = subprocess.run(
        [python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True
    )
    assert Path(process.stdout.strip()) == python.parents[1]


def test_the_lock_of_a_folder_is_in_it(tmp_path):
    assert lock_of(tmp_path / "__init__.py") == tmp_path / "model.lock"
    assert registry.adapter_name(tmp_path / "__init__.py") == tmp_path.name


def test_building_says_so_and_a_built_environment_says_nothing(mine, fake_uv):
    said = []

    @contextmanager
    def activity(text):
        said.append(text)
        yield

    for _ in range(2):
        find_interpreter(mine, None, path=fake_uv(), activity=activity)
    assert said == ["building the environment of mine with uv (once, can take minutes)"]
