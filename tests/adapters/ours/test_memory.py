"""On a processor, `ours` keeps the memory that it frees."""

import ctypes
import subprocess
import sys

import pytest

# a process of its own: the setting is for the whole process
COUNT_FAULTS = """
import resource, sys
import numpy as np
from adapters.ours.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        np.ones(64 << 20, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "kept":
    keep_freed_memory()
faults()
print(faults())
"""


def page_faults(how):
    command = [sys.executable, "-c", COUNT_FAULTS, how]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc")
def test_memory_that_was_freed_is_used_again():
    assert page_faults("kept") < 50
    assert page_faults("given back") > 100
