"""What a run leaves behind: columns that grow, one row a stay of a VM on a host, one row an event of a host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Outcome(IntEnum):
    """How a request ended. ``NONE`` only while the run goes on."""

    NONE = 0
    RUNNING = 1
    COMPLETED = 2
    REJECTED = 3
    LOST = 4


class Cause(IntEnum):
    """Why a stay began."""

    ARRIVAL = 0
    EVACUATION = 1
    MIGRATION = 2
    RESTART = 3


class Stays:
    """Stays of VMs on hosts, in the order they began: ``vm`` and ``host`` are indexes, times are seconds."""

    def __init__(self) -> None:
        self.count = 0
        self.layout = 0  # grows whenever the columns are replaced by longer ones
        self._vm = np.empty(1024, dtype=np.int32)
        self._host = np.empty(1024, dtype=np.int32)
        self._start = np.empty(1024)
        self._end = np.empty(1024)
        self._cause = np.empty(1024, dtype=np.int8)

    def reserve(self, stays: int) -> None:
        """Make room for that many stays in all."""
        more = stays - len(self._vm)
        if more > 0:
            for name in ("_vm", "_host", "_start", "_end", "_cause"):
                column = getattr(self, name)
                setattr(self, name, np.concatenate([column, np.empty(more, dtype=column.dtype)]))
            self.layout += 1

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        """The columns themselves, longer than ``count``: vm, host, start, end, cause."""
        return self._vm, self._host, self._start, self._end, self._cause

    def begin(self, vm: int, host: int, start: float, cause: Cause) -> int:
        """A stay that begins; returns its number."""
        number = self.count
        if number == len(self._vm):
            self.reserve(2 * number)
        self._vm[number], self._host[number], self._start[number] = vm, host, start
        self._end[number], self._cause[number] = np.nan, cause
        self.count = number + 1
        return number

    def end(self, number: int, end: float) -> None:
        """The stay ended."""
        self._end[number] = end

    def host_of(self, number: int) -> int:
        """The host of a stay."""
        return int(self._host[number])

    @property
    def vm(self) -> NDArray[np.int32]:
        """``int32[stays]``."""
        return self._vm[: self.count]

    @property
    def host(self) -> NDArray[np.int32]:
        """``int32[stays]``."""
        return self._host[: self.count]

    @property
    def start_s(self) -> NDArray[np.float64]:
        """``float64[stays]``."""
        return self._start[: self.count]

    @property
    def end_s(self) -> NDArray[np.float64]:
        """``float64[stays]``; NaN for a stay that had not ended."""
        return self._end[: self.count]

    @property
    def cause(self) -> NDArray[np.int8]:
        """``int8[stays]``, a :class:`Cause` each."""
        return self._cause[: self.count]


@dataclass(slots=True)
class HostEvents:
    """What happened to hosts, in order: added, failed, repaired, disabled, enabled, and the detail."""

    time_s: list[float] = field(default_factory=list)
    host: list[int] = field(default_factory=list)
    event: list[str] = field(default_factory=list)
    detail: list[str] = field(default_factory=list)

    def add(self, time: float, host: int, event: str, detail: str = "") -> None:
        """One more."""
        self.time_s.append(time)
        self.host.append(host)
        self.event.append(event)
        self.detail.append(detail)


class Reasons:
    """Reasons as codes: a million rejections share a handful of texts. Code 0 is no reason."""

    def __init__(self) -> None:
        self.texts = [""]
        self._codes = {"": 0}

    def code(self, text: str) -> int:
        """The code of a text, new or known."""
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = len(self.texts)
            self.texts.append(text)
        return code


def in_order(codes: NDArray[np.int32], texts: Sequence[str]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """``codes`` and ``texts`` with no reason first, then the others in the order in which the VMs have them.

    What a run leaves behind must not depend on when which reason was first thought of.
    """
    found, first = np.unique(codes, return_index=True)
    ordered = [0, *(code for code in found[np.argsort(first, kind="stable")].tolist() if code)]
    number = np.zeros(len(texts), dtype=np.int32)
    number[ordered] = np.arange(len(ordered))
    return number[codes], tuple(texts[code] for code in ordered)


@dataclass(frozen=True, slots=True)
class Scheduling:
    """What several schedulers did for each request. Arrays by VM, in arrival order.

    ``scheduler`` is whose request it was, ``commits`` how often it tried to commit, ``choice`` which host was taken at
    last (0 the first of its decision, *j* its alternate *j*, -1 none), ``queued_s`` seconds from the arrival until the
    scheduler first turned to it (NaN if never), ``busy_s`` seconds that the scheduler spent on it in all.
    """

    schedulers: int
    scheduler: NDArray[np.int32]
    commits: NDArray[np.int32]
    choice: NDArray[np.int32]
    queued_s: NDArray[np.float64]
    busy_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Record:
    """The whole outcome of a run. Arrays by VM are in arrival order; times are seconds, NaN where it did not happen.

    ``reached_s`` is the simulated time reached, ``placements`` the decisions carried out, ``partial`` whether the run
    was stopped before its end. ``scheduling`` is there where there were several schedulers.
    """

    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    outcome: NDArray[np.int8]
    reason: NDArray[np.int32]
    reasons: tuple[str, ...]
    evacuations: NDArray[np.int32]
    migrations: NDArray[np.int32]
    downtime_s: NDArray[np.float64]
    stays: Stays
    host_events: HostEvents
    reached_s: float
    placements: int
    events: int
    partial: bool
    scheduling: Scheduling | None = None


__all__ = ["Cause", "HostEvents", "Outcome", "Reasons", "Record", "Scheduling", "Stays"]
