"""Giving memory back: allocators keep what large columns leave behind, and the next stage would add its own to it."""

from __future__ import annotations

import ctypes
from contextlib import suppress

import pyarrow as pa


def give_back() -> None:
    """Return free memory to the system. Where the C library knows no ``malloc_trim`` (it is glibc's), only Arrow's."""
    pa.default_memory_pool().release_unused()
    with suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
