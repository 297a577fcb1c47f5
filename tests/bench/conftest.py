"""What the benchmarks share: a way to say what was measured, and all of it again at the end."""

import sys

import pytest

MEASURED = pytest.StashKey[dict[str, list[str]]]()


@pytest.fixture
def show(capsys, request):
    """Return a function that prints past pytest, and keeps what it prints for the end."""

    def write(text):
        name = request.function.__name__.removeprefix("test_").replace("_", " ")
        request.config.stash.setdefault(MEASURED, {}).setdefault(name, []).append(text)
        with capsys.disabled():
            sys.stdout.write(f"\n{text}")

    return write


def pytest_terminal_summary(terminalreporter, config):
    """Print everything that was measured in one piece."""
    for name, lines in config.stash.get(MEASURED, {}).items():
        terminalreporter.section(name)
        terminalreporter.write_line("\n".join(lines))
