"""What a weigher is, and how its raw weights are scaled."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sundog.core.pool.pool import Bools
from sundog.core.scheduler.hosts import Floats, HostView
from sundog.core.scheduler.nova_options import NovaOptions
from sundog.core.scheduler.request import Request


class Weigher(Protocol):
    """Gives every host a raw weight, more is better; ``option`` names the multiplier as in ``nova.conf``.

    With ``from_zero`` the weights are scaled from 0 instead of from the least of them, and negative ones count as 0.
    ``sign`` turns the multiplier round.
    """

    name: str
    option: str
    from_zero: bool
    sign: float

    def __init__(self, options: NovaOptions) -> None: ...

    def weigh(self, request: Request, hosts: HostView) -> Floats | None:
        """``float64[n]``, meaningful on feasible hosts only; None where it says nothing: all are equal."""
        ...


def spread_over(raw: Floats, feasible: Bools, *, from_zero: bool) -> Floats | None:
    """``raw`` scaled so that the feasible hosts' largest is 1 and their least 0; None (all 0) where they are equal.

    With ``from_zero`` it is 0 that becomes 0, not the least, and what is below counts as 0: (raw - low) / (high - low).
    """
    if from_zero:
        raw = np.maximum(raw, 0.0)
        high, low = float(raw.max(where=feasible, initial=0.0)), 0.0
    else:
        among = raw[feasible]
        high, low = float(among.max()), float(among.min())
    if high == low:
        return None
    scaled: Floats = raw / high if low == 0.0 else (raw - low) / (high - low)
    return scaled
