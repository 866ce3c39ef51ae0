"""What every driver checks of what it is asked, before it asks a host."""

from __future__ import annotations

import math

from sundog.backends.contract import ServerKey
from sundog.errors import BackendFailed
from sundog.units import Seconds


def check_deadline(deadline: Seconds) -> None:
    """Raises: ValueError if a caller would wait for ever, or not at all."""
    if not 0.0 <= deadline < math.inf:
        raise ValueError(f"a deadline of {deadline!r} makes no sense; give a number of seconds from 0 up")


def check_successor(old: ServerKey, new: ServerKey) -> None:
    """Raises: BackendFailed if the copy ``new`` cannot replace ``old``."""
    if new.uuid != old.uuid or new.generation <= old.generation:
        raise BackendFailed(f"{new} cannot follow {old}: it must be the same server with a higher generation")
