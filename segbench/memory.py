"""Freed memory stays with the process: to get it back page by page costs more than to work in it.

glibc hands large blocks back to the system when they are freed. A step frees and asks for the same
few of them again and again, and each new page is cleared and mapped once more: a tenth to a fifth
of a whole case (docs/performance.md).
"""

from __future__ import annotations

import ctypes

# malloc.h: which block is too large to be kept, and how much that is free at the end is kept
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1
LARGEST_BLOCK = 2**25  # bytes; glibc accepts no more
LARGEST_REST = 2**27


def keep_freed() -> bool:
    """Keep what is freed, in this process from now on; return whether its C library can.

    No rule of the protocol asks for it, and none sees it.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # other C libraries, other systems
        return False
    kept = (M_MMAP_THRESHOLD, LARGEST_BLOCK), (M_TRIM_THRESHOLD, LARGEST_REST)
    return all(mallopt(which, size) for which, size in kept)
