"""segbench in a process of its own, and limits of the machine."""

import resource
import signal
import subprocess
import sys
from contextlib import contextmanager


def spawn(*words, **options):
    """Start a command of segbench in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "segbench", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def hear_interrupts():
    """Let a new process hear SIGINT, which a shell ignores in its background: a preexec_fn."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run_without(module, *words):
    """Run a command of segbench that cannot import a module; return exit status and errors."""
    code = f"import sys; sys.modules[{module!r}] = None; from segbench.cli import cli; cli()"
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def ended_pid():
    """Return the id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@contextmanager
def largest_file(size):
    """Let this process and its children write no more than ``size`` bytes into a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
