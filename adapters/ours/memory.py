"""Memory that one forward pass frees is kept for the next one."""

from __future__ import annotations

import ctypes

# parameters of glibc's mallopt, from malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Make malloc keep large blocks that are freed, for the whole process.

    Otherwise each layer's output is memory that the system has to clear first, which is a third of
    the processor time of a forward pass. Does nothing where there is no ``mallopt``.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, LARGEST)
