"""What the benchmarks share."""

import sys

import pytest


@pytest.fixture
def show(capsys):
    """Return a function that prints past pytest."""

    def write(text):
        with capsys.disabled():
            sys.stdout.write(f"\n{text}")

    return write
