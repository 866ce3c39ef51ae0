"""Memory of the process: what one stage of a study is done with is there for the next one.

Left alone, the allocators keep what large columns leave behind: glibc takes ever larger blocks from its heap, where
they leave holes, and Arrow has a pool of its own.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Final

import pyarrow as pa

_LARGE: Final = 4 << 20
_M_MMAP_THRESHOLD: Final = -3  # malloc.h of glibc


def keep_lean() -> None:
    """From now on, let every block of 4 MiB or more go back to the system when it is freed.

    Elsewhere than on glibc only Arrow's blocks go to the same allocator as all others.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    with suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)


def give_back() -> None:
    """Return what is free, smaller blocks too, to the system; an engine is free once its circles are broken."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    with suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
