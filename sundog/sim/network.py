"""Links that are shared: images from and to their store, and memory and disks from host to host.

Everything here is fluid: a transfer is a size that goes down at a rate, and the rate changes when others begin or end.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Generator
from typing import Any

import simpy

from sundog.runtime.warp import World
from sundog.sim.spec import Migration
from sundog.units import MiB, Seconds


class SharedLink:
    """A link of ``mib_s`` that is divided equally among its transfers, of which none gets more than ``each_mib_s``.

    Beginning or ending a transfer costs the logarithm of how many there are: all go at one rate, so they end in the
    order of what they still have to get, which does not change. (Processor sharing by virtual time.)
    """

    def __init__(self, world: World, mib_s: float, *, each_mib_s: float = math.inf) -> None:
        self._world = world
        self._mib_s, self._each_mib_s = mib_s, each_mib_s
        self._served: MiB = 0.0  # what a transfer has got that was there since the link was last idle
        self._since: Seconds = world.now
        self._ends: list[tuple[MiB, int, simpy.Event]] = []
        self._live: dict[int, None] = {}
        self._count = 0
        self._next: simpy.Event | None = None

    @property
    def transfers(self) -> int:
        """How many there are just now."""
        return len(self._live)

    def transfer(self, mib: MiB) -> Generator[simpy.Event, Any, None]:
        """Transfer ``mib``. Interrupting the process that waits here gives the share to the others."""
        if mib <= 0.0:
            return
        self._settle()
        self._count += 1
        number, done = self._count, self._world.event()
        self._live[number] = None
        heapq.heappush(self._ends, (self._served + mib, number, done))
        self._plan()
        try:
            yield done
        finally:
            if number in self._live:
                self._settle()
                del self._live[number]
                self._plan()

    def _settle(self) -> None:
        if self._live:
            self._served += (self._world.now - self._since) * self._rate()
        self._since = self._world.now

    def _rate(self) -> float:
        return min(self._each_mib_s, self._mib_s / len(self._live))

    def _plan(self) -> None:
        """See to it that the next transfer to end does so in time."""
        if self._next is not None:
            self._world.cancel(self._next)
            self._next = None
        while self._ends and self._ends[0][1] not in self._live:
            heapq.heappop(self._ends)
        if not self._ends:
            self._served = 0.0
            return
        left = max(0.0, self._ends[0][0] - self._served)
        self._next = self._world.at(self._world.now + left / self._rate())
        self._next.callbacks.append(self._ended)

    def _ended(self, _event: simpy.Event) -> None:
        self._next = None
        self._since = self._world.now
        end, number, done = heapq.heappop(self._ends)
        self._served = end  # exactly, whatever the rounding of the time
        del self._live[number]
        done.succeed()
        self._plan()


class Flow:
    """One copy from host to host: what is left of it, and at which rate it shrinks."""

    __slots__ = ("_at", "begun", "dirty", "done", "rate", "remaining", "sent", "source", "target", "timer", "total")

    def __init__(self, world: World, source: str, target: str, mib: MiB, dirty: float) -> None:
        self.source, self.target = source, target
        self.total: MiB = mib
        self.remaining: MiB = mib
        self.sent: MiB = 0.0
        self.dirty = dirty
        self.rate = 0.0
        self.begun: Seconds = world.now
        self.done = world.event()
        self.timer: simpy.Event | None = None
        self._at: Seconds = world.now

    def settle(self, now: Seconds) -> None:
        """Bring what is left up to ``now``. It is never more than all of the memory."""
        seconds, self._at = now - self._at, now
        self.sent += seconds * self.rate
        self.remaining = min(self.total, max(0.0, self.remaining - seconds * (self.rate - self.dirty)))


class HostNetwork:
    """The links between hosts, by pre-copy's model: ``Migration`` of ``sundog.sim.spec``.

    Every host has a link of ``bandwidth_mib_s`` out and one in, each divided equally among the flows over it; a flow
    has the smaller of its two shares. A running guest writes meanwhile. ``rounds`` says how much: memory that is sent
    ``rounds`` times over a whole link is dirtied at ``bandwidth x (1 - 1 / rounds)``. So alone on its links a migration
    takes ``memory x rounds / bandwidth``, as in a study; with others it takes longer than in proportion, and where its
    share is no more than what the guest writes, it makes no progress until others have ended.
    """

    def __init__(self, world: World, spec: Migration) -> None:
        self._world = world
        self._mib_s = spec.bandwidth_mib_s
        self.dirty_mib_s = spec.bandwidth_mib_s * (1.0 - 1.0 / spec.rounds)
        self._out: dict[str, dict[Flow, None]] = {}
        self._in: dict[str, dict[Flow, None]] = {}

    @property
    def flows(self) -> int:
        """How many there are just now."""
        return sum(len(flows) for flows in self._out.values())

    def begin(self, source: str, target: str, mib: MiB, *, running: bool) -> Flow:
        """Start to copy ``mib``, the memory of a ``running`` guest or what nobody writes to; then ``finish`` it."""
        flow = Flow(self._world, source, target, mib, self.dirty_mib_s if running else 0.0)
        self._out.setdefault(source, {})[flow] = None
        self._in.setdefault(target, {})[flow] = None
        self._share(flow)
        return flow

    def stand_still(self, flow: Flow) -> None:
        """The guest writes no more: what is left of ``flow`` only shrinks from now on. Nothing once it has ended."""
        if flow in self._out.get(flow.source, ()) and flow.dirty:
            flow.settle(self._world.now)
            flow.dirty = 0.0
            self._share(flow)

    def finish(self, flow: Flow) -> Generator[simpy.Event, Any, None]:
        """Wait for the end of ``flow``. Interrupting the process that waits here ends it early."""
        try:
            yield flow.done
        finally:
            self._end(flow)

    def _end(self, flow: Flow) -> None:
        if flow.timer is not None:
            self._world.cancel(flow.timer)
            flow.timer = None
        if flow in self._out.get(flow.source, ()):
            del self._out[flow.source][flow]
            del self._in[flow.target][flow]
            self._share(flow)

    def _share(self, changed: Flow) -> None:
        """Give every flow that meets ``changed`` on a link its new share."""
        now = self._world.now
        out, into = self._out[changed.source], self._in[changed.target]
        for flow in (*out, *(each for each in into if each not in out)):
            flow.settle(now)
            flow.rate = self._mib_s / max(len(self._out[flow.source]), len(self._in[flow.target]))
            if flow.timer is not None:
                self._world.cancel(flow.timer)
                flow.timer = None
            if flow.rate > flow.dirty:
                flow.timer = self._world.at(now + flow.remaining / (flow.rate - flow.dirty))
                flow.timer.callbacks.append(lambda _event, flow=flow: self._copied(flow))  # type: ignore[misc]

    def _copied(self, flow: Flow) -> None:
        flow.timer = None
        flow.settle(self._world.now)
        flow.remaining = 0.0
        flow.done.succeed()
