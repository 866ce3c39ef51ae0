"""The one module that imports libvirt, when it is first needed: its library, and the one thread that runs its events.

The library's event loop is a thing of the whole process, so its thread is too: it starts with the first connection and
ends with the process. Everything that it calls does nothing but hand its news to the asyncio loop.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any, TypeAlias

from sundog.errors import InputError

# libvirt-python has no types: what comes from it is Any, and leaves this package as records.
Library: TypeAlias = Any
Connection: TypeAlias = Any

OLDEST = 9_000_000
"""The oldest libvirt that is driven, as it counts: 9.0.0."""


@cache
def library() -> Library:
    """libvirt, its events running. Call it before anything is connected.

    Raises: InputError where libvirt-python is not installed.
    """
    try:
        import libvirt
    except ImportError as error:
        raise InputError(
            "real hosts are driven through libvirt, which is not installed; pip install 'sundog[libvirt]'"
        ) from error
    libvirt.registerErrorHandler(lambda _context, _error: None, None)  # it would write every error to stderr
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_run_events, args=(libvirt,), name="libvirt-events", daemon=True).start()
    return libvirt


def _run_events(libvirt: Library) -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def dotted(version: int) -> str:
    """A version as libvirt counts it, as people write it."""
    return f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"
