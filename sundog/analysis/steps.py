"""Step functions of time: the exact form of every quantity that jumps when something happens and is level in between.

Nothing here samples. A mean is an integral over the pieces, a peak is the highest piece.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sundog.analysis.tables import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """A right-continuous step function: 0 before ``times[0]``, ``values[i]`` on ``[times[i], times[i + 1])``.

    Shapes: both (n,), ``times`` strictly increasing, in seconds. What happens at an instant has happened at it.
    """

    times: Floats
    values: Floats

    def at(self, instants: Floats) -> Floats:
        """Values at ``instants``, after everything that happens at them. Shape: as ``instants``."""
        if not len(self.times):
            return np.zeros(np.shape(instants))
        place = np.searchsorted(self.times, instants, side="right") - 1
        return np.where(place >= 0, self.values[np.maximum(place, 0)], 0.0)

    def pieces(self, start: float, end: float) -> tuple[Floats, Floats]:
        """(seconds, value) of each level piece of the closed span; the piece that begins at ``end`` lasts 0 s."""
        if end < start:
            return np.zeros(0), np.zeros(0)
        first, last = np.searchsorted(self.times, [start, end], side="right")
        times = np.concatenate(([start], self.times[first:last], [end]))
        values = np.concatenate((self.at(np.array([start])), self.values[first:last]))
        return np.diff(times), values

    def mean(self, start: float, end: float) -> float:
        """Time-weighted mean over the span; NaN where the span is empty."""
        seconds, values = self.pieces(start, end)
        total = float(seconds.sum())
        return float(seconds @ values) / total if total > 0 else np.nan

    def highest(self, start: float, end: float) -> float:
        """Highest value over the closed span; NaN where it is empty."""
        return float(self.pieces(start, end)[1].max(initial=-np.inf)) if end > start else np.nan

    def lowest(self, start: float, end: float) -> float:
        """Lowest value over the closed span; NaN where it is empty."""
        return float(self.pieces(start, end)[1].min(initial=np.inf)) if end > start else np.nan

    def last(self, start: float, end: float) -> float:
        """Value at the end of the span, after everything that happens at that instant; NaN where it is empty."""
        return float(self.at(np.array([end]))[0]) if end > start else np.nan


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """The ratio of two step functions, piece by piece. Where ``whole`` is 0 there is no ratio and no weight."""

    part: Steps
    whole: Steps

    def at(self, instants: Floats) -> Floats:
        """The ratio at ``instants``, NaN where ``whole`` is 0. Shape: as ``instants``."""
        return ratio(self.part.at(instants), self.whole.at(instants))

    def pieces(self, start: float, end: float) -> tuple[Floats, Floats]:
        """(seconds, ratio) of each level piece of the closed span on which there is a ratio."""
        if end < start:
            return np.zeros(0), np.zeros(0)
        times = np.union1d(self.part.times, self.whole.times)
        times = np.concatenate(([start], times[(times > start) & (times <= end)], [end]))
        values = self.at(times[:-1])
        exists = ~np.isnan(values)
        return np.diff(times)[exists], values[exists]

    def mean(self, start: float, end: float) -> float:
        """Time-weighted mean of the ratio; NaN where there is none."""
        seconds, values = self.pieces(start, end)
        total = float(seconds.sum())
        return float(seconds @ values) / total if total > 0 else np.nan

    def highest(self, start: float, end: float) -> float:
        """Highest ratio of the closed span; NaN where there is none."""
        values = self.pieces(start, end)[1]
        return float(values.max()) if end > start and len(values) else np.nan

    def last(self, start: float, end: float) -> float:
        """The ratio at the end of the span; NaN where there is none."""
        return float(self.at(np.array([end]))[0]) if end > start else np.nan


def ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> Floats:
    """``part / whole`` element by element, NaN where ``whole`` is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)


def snap(values: Floats) -> Floats:
    """``values`` with what is only the rounding of a long sum (under 1e-9 of the largest) set to 0."""
    if len(values):
        values[np.abs(values) < 1e-9 * np.abs(values).max()] = 0.0
    return values


def stepper(times: Floats) -> Callable[[npt.NDArray], Steps]:
    """A function from the changes at ``times`` to their ``Steps``; ``times`` is sorted once for all of them.

    Shape: ``times`` and every array of changes (n,). A change at +inf never happens.
    """
    kept = np.flatnonzero(np.isfinite(times))
    order = kept[np.argsort(times[kept], kind="stable")]
    ordered = times[order]
    closing = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(ordered) else np.zeros(0, np.intp)
    instants = ordered[closing]
    return lambda changes: Steps(instants, snap(np.cumsum(changes[order], dtype=np.float64)[closing]))
