"""Settings of a worker's process: how threads take turns, when garbage is collected, and that freed memory is kept."""

import ctypes
import gc
import sys

# Threads hand over the interpreter after 0.5 ms, not 5: the consumer's and producer's threads wait less behind a chunk's compute.
SWITCH_SECONDS = 0.0005
# A chunk makes tens of thousands of short-lived objects and no cycles, and imports hundreds of thousands that stay: collections
# that often find nothing.
GC_THRESHOLDS = (100_000, 50, 100)
# As in glibc's malloc.h. A chunk's arrays are of some megabytes; each would be taken from the system and given back, at 0.6 page
# faults and a microsecond of CPU an event. What one chunk has used is kept for the next.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES, LARGEST_KEPT_BYTES = 256 * 2**20, 32 * 2**20  # 32 MiB is the most that glibc takes


def collect_seldom() -> None:
    """To be called first of all: collections while modules are imported took 0.15 of 1.3 s."""
    gc.set_threshold(*GC_THRESHOLDS)


def tune_process() -> None:
    """To be called once, when start-up is done: what it made stays for good and is kept out of every collection.

    The two thousand objects that a collection would find first stay, too: it takes 0.12 s.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    collect_seldom()
    gc.freeze()
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Whether the allocator was told; other C libraries than glibc have no such call, and need none."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    told = [mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES), mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)]
    return all(told)
