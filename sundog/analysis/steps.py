"""Step functions of time: the exact form of every quantity that jumps when something happens and is level in between.

Nothing here samples. A mean is an integral over the pieces, a peak is the highest piece.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sundog.analysis.tables import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The level pieces of a span of time: how long each lasts, in seconds, and its value. Shapes: both (n,)."""

    seconds: Floats
    values: Floats

    def mean(self) -> float:
        """Time-weighted mean; NaN where there is no time."""
        total = float(self.seconds.sum())
        return float(self.seconds @ self.values) / total if total > 0 else np.nan

    def highest(self) -> float:
        """Highest value, that of a piece of 0 s too; NaN where there is no piece."""
        return float(self.values.max()) if len(self.values) else np.nan

    def lowest(self) -> float:
        """Lowest value, that of a piece of 0 s too; NaN where there is no piece."""
        return float(self.values.min()) if len(self.values) else np.nan


NO_PIECES: Final = Pieces(np.zeros(0), np.zeros(0))


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

    def pieces(self, start: float, end: float) -> Pieces:
        """The pieces of the closed span, none where it is empty; the piece that begins at ``end`` lasts 0 s."""
        if end <= start:
            return NO_PIECES
        first, last = np.searchsorted(self.times, [start, end], side="right")
        times = np.concatenate(([start], self.times[first:last], [end]))
        values = np.concatenate((self.at(np.array([start])), self.values[first:last]))
        return Pieces(np.diff(times), values)

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

    def pieces(self, start: float, end: float) -> Pieces:
        """The pieces of the closed span on which there is a ratio."""
        if end <= start:
            return NO_PIECES
        few, many = sorted((self.part.times, self.whole.times), key=len)
        times = many if few is many else np.insert(many, *_missing(few, many))
        first, last = np.searchsorted(times, [start, end], side="right")
        times = np.concatenate(([start], times[first:last], [end]))
        values = self.at(times[:-1])
        exists = ~np.isnan(values)
        return Pieces(np.diff(times)[exists], values[exists])

    def last(self, start: float, end: float) -> float:
        """The ratio at the end of the span; NaN where there is none."""
        return float(self.at(np.array([end]))[0]) if end > start else np.nan


def _missing(few: Floats, many: Floats) -> tuple[Ints, Floats]:
    """The times of ``few`` that ``many`` lacks, and where each belongs. Both are strictly increasing."""
    place = np.searchsorted(many, few)
    lacks = np.append(many, np.inf)[place] != few
    return place[lacks], few[lacks]


def ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> Floats:
    """``part / whole`` element by element, NaN where ``whole`` is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)


def snap(values: Floats) -> Floats:
    """``values`` with what is only the rounding of a long sum (under 1e-9 of the largest) set to 0."""
    if len(values):
        least = 1e-9 * max(values.max(), -values.min())
        values[(values < least) & (values > -least)] = 0.0
    return values


def stepper(times: Floats, order: npt.NDArray[np.intp] | None = None) -> Callable[[npt.NDArray], Steps]:
    """A function from the changes at ``times`` to their ``Steps``; ``times`` is sorted once for all of them.

    Shape: ``times`` and every array of changes (n,). A change at +inf never happens. ``order``: the rows in order of
    time where that is known; rows that are not in it are left out.
    """
    if order is None:
        order = np.argsort(times, kind="stable")
    ordered = times[order]
    last = np.searchsorted(ordered, np.inf)
    order, ordered = order[:last], ordered[:last]
    closing = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(ordered) else np.zeros(0, np.intp)
    instants = ordered[closing]

    def steps(changes: npt.NDArray) -> Steps:
        level = changes[order]
        del changes  # large, and seldom anyone else's
        level = np.cumsum(level, dtype=np.float64)
        return Steps(instants, snap(level[closing]))

    return steps
