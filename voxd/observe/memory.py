"""Makes the C library keep less free memory; without glibc nothing happens."""

import ctypes

# mallopt(3): the most arenas the allocator makes; by default each thread gets one of its own.
M_ARENA_MAX = -8


def limit_arenas() -> None:
    """Let all threads allocate from one place; call it before any thread starts."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        # glibc keeps freed memory in the arena of its thread; the daemon has a handful of threads, which
        # rarely allocate at once.
        mallopt(M_ARENA_MAX, 1)


def release_free_memory() -> None:
    """Return what starting up has freed to the system."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
