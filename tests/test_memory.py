"""Freed memory: kept where the C library can, and no error where it cannot."""

import ctypes
import subprocess
import sys

import pytest

from segbench import memory

FAULTS = """
import resource
import sys
from segbench import memory

def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "kept" and not memory.keep_freed(): sys.exit(3)
before = faults()
for _ in range(20):
    blocks = [bytearray(2**21 + 2**12 * i) for i in range(8)]
    del blocks
print(faults() - before)
"""


def faults(how):
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip("the C library here is not glibc")
    return int(done.stdout)


def test_pages_of_freed_blocks_are_not_asked_for_again():
    blocks_once = 8 * 2**21 // 4096
    assert faults("kept") < 2 * blocks_once < faults("given back")


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_another_c_library_is_left_alone(monkeypatch, error):
    def refuse(_):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert memory.keep_freed() is False
