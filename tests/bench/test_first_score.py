"""What the first score of a fresh process costs, compared with importing numpy and scipy.

Ratios of CPU seconds of processes that take turns; the package's files are compiled and cached by
the first of them, which is not counted.
"""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))  # the best of so many
BASE = "import numpy, scipy.ndimage"
SCORE = """
import numpy, segbench
part = numpy.zeros((16, 64, 64), numpy.uint8)
part[4:12, 20:40, 20:40] = 1
assert segbench.score(numpy.roll(part, 1, 2), part, (1.0, 1.0, 1.0), exact_sum={})[0].nsd == 1
"""
# what is measured, and at most how many times the CPU of BASE
CODES = {"a score": (SCORE.format(False), 0.8), "exact sum": (SCORE.format(True), 2)}


def cpu_seconds(code):
    process = subprocess.Popen([sys.executable, "-c", code])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("what", CODES)
def test_the_first_score_of_a_process(what, show):
    code, bar = CODES[what]
    cpu_seconds(code)
    pairs = [(cpu_seconds(code), cpu_seconds(BASE)) for _ in range(ROUNDS)]
    spent, base = map(min, zip(*pairs, strict=True))
    show(f"{what}: {spent:.3f} CPU s, {BASE}: {base:.3f}, ratio {spent / base:.2f}")
    assert spent <= bar * base
