"""The compiled engine: SimPy conducts, compiled kernels play.

Nothing happens between two events of the world except that VMs come and go. So one process asks the world when the
next thing happens to a host, lets a kernel replay all VMs up to that instant, and waits for it. Hosts, faults,
maintenance and migrations are those of :class:`~sundog.sim.engine.Engine`, whose results this one has too, VM for VM.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import simpy

from sundog.core.scheduler import TOO_LARGE
from sundog.core.scheduler.compiled.cache import is_warm
from sundog.core.scheduler.compiled.decider import RULES, Decider
from sundog.core.scheduler.compiled.slots import Why
from sundog.errors import InvariantError
from sundog.runtime.warp import LATE, URGENT
from sundog.sim import kernels as k_
from sundog.sim.engine import ARRIVAL, Engine, Steps
from sundog.sim.kernels import Status
from sundog.sim.records import Outcome

_EVENTS_PER_LOOK: Final = 100_000
"""VM events between two looks at progress and at whether to stop."""


class CompiledEngine(Engine):
    """An engine that replays VMs in compiled code; for policies that compiled code can play, and without a hook.

    Raises: InvariantError for any other (see ``Scheduler.not_compiled``).
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options, compiled=True)
        decider = self.scheduler.decider(k_.SLOTS)
        if decider is None or self._on_decision is not None:
            raise InvariantError(f"policy {self.scheduler.policy_name} is not for the compiled engine")
        self._decider: Decider = decider
        self._marks = np.zeros(32, dtype=np.int64)
        self._times = np.zeros(4)
        self._packed: tuple[int, ...] = ()
        self._static_reasons: list[str] = [""]
        self._pack_workload()

    @property
    def compiles(self) -> bool:
        """See :attr:`Engine.compiles`."""
        return not is_warm(k_.play)

    # ---------------------------------------------------------------- what kernels see

    def _pack_workload(self) -> None:
        work, n = self.workload, len(self.workload)
        codes = np.asarray([self._decider.code(shape) for shape in work.shapes], dtype=np.int32)
        groups = [self._decider.group(group, keep=True) for group in work.groups]
        end = np.maximum(work.arrival_s, 0.0) + (work.lifetime_s + np.minimum(work.arrival_s, 0.0))
        by_end = np.argsort(end, kind="stable").astype(np.int32)[: int(np.count_nonzero(end < math.inf))]
        waiters = n if self.waits else 0
        self._queue = np.zeros(waiters, dtype=np.int32)
        self._marks[k_.VMS], self._marks[k_.ENDS], self._marks[k_.GROUPS] = n, len(by_end), len(groups)
        self._marks[k_.MOST_ENTRIES] = 1 + max((s.devices.count for s in work.shapes if s.devices), default=0)
        self._times[k_.WAIT_LIMIT], self._times[k_.HORIZON] = self._wait_limit, self.horizon_s
        self._decider.block.pack(
            {
                k_.ARRIVAL: np.ascontiguousarray(work.arrival_s),
                k_.LIFETIME: np.ascontiguousarray(work.lifetime_s),
                k_.SHAPE: codes[work.shape],
                k_.GROUP: np.ascontiguousarray(work.group, dtype=np.int32),
                k_.START: self.start_s,
                k_.OUTCOME: self.outcome,
                k_.REASON: self.reason,
                k_.STAY: self._stay,
                k_.SPECIAL_END: self._special,
                k_.BY_END: by_end,
                k_.END_TIME: end[by_end],
                k_.LATE_END: np.zeros(waiters),
                k_.LATE_VM: np.zeros(waiters, dtype=np.int32),
                k_.QUEUE: self._queue,
                k_.HOPELESS: np.zeros(len(work.shapes), dtype=np.int64),
                k_.GROUP_CODE: np.asarray([code for code, _, _ in groups], dtype=np.int32),
                k_.GROUP_RULE: np.asarray([RULES[group.policy] for group in work.groups], dtype=np.int32),
                k_.GROUP_LIMIT: np.asarray([limit for _, _, limit in groups], dtype=np.int32),
                k_.MARKS: self._marks,
                k_.TIMES: self._times,
            }
        )

    def _pack(self) -> None:
        """Follow what was replaced, entered or learnt since the last replay."""
        self._decider.refresh()
        facts = (self.stays.layout, self.pool.topology_version, self.pool.facts_version)
        if facts == self._packed:
            return
        self._packed = facts
        hosts = np.full(self.pool.rows, -1, dtype=np.int32)
        hosts[list(self._hosts)] = list(self._hosts.values())
        reasons = [self.scheduler.static_reason(shape) for shape in self.workload.shapes]
        numbers = np.zeros(len(reasons), dtype=np.int32)
        for code, reason in enumerate(reasons):
            if reason is not None:
                if reason not in self._static_reasons:
                    self._static_reasons.append(reason)
                numbers[code] = self._static_reasons.index(reason)
        names = (k_.STAY_VM, k_.STAY_HOST, k_.STAY_START, k_.STAY_END, k_.STAY_CAUSE)
        self._decider.block.pack(dict(zip(names, self.stays.columns, strict=True)))
        self._decider.block.pack(
            {
                k_.STATIC_REASON: numbers,
                k_.TOO_LARGE: np.asarray([reason == TOO_LARGE for reason in reasons], dtype=np.bool_),
                k_.FLEET_HOST: hosts,
            }
        )

    def _make_room(self, vms: int) -> None:
        """Room in every column for placing that many VMs more."""
        table, groups = self.pool.holdings, self.scheduler.groups
        most = int(self._marks[k_.MOST_ENTRIES])
        self.stays.reserve(self.stays.count + vms)
        table.reserve(consumers=len(self.workload), entries=int(table.marks[0]) + vms * most)
        groups.reserve(int(groups.marks[0]) + vms)
        self._marks[k_.STAY_ROOM] = len(self.stays.columns[0])
        self._marks[k_.ENTRY_ROOM], self._marks[k_.GROUP_ROOM] = len(table.entries), len(groups.row)

    def _replay(self, limit: float, *, inclusive: bool) -> Status:
        """Let the kernel replay, and take over what it counted."""
        marks, waiting = self._marks, int(self._marks[k_.WAITING])
        while True:
            self._make_room(min(_EVENTS_PER_LOOK, len(self.workload) - self._arrived) + waiting)
            self._pack()
            marks[k_.ARRIVED], marks[k_.EVENTS], marks[k_.OPEN] = self._arrived, self._events, self._open
            marks[k_.STAYS], marks[k_.TO_ENTER] = self.stays.count, self._to_enter
            self._decider.lend()
            status = Status(k_.play(self._decider.block.addresses, limit, inclusive, _EVENTS_PER_LOOK))
            self._decider.take_back()
            self._arrived, self._events = int(marks[k_.ARRIVED]), int(marks[k_.EVENTS])
            self._open, self.stays.count = int(marks[k_.OPEN]), int(marks[k_.STAYS])
            if status is not Status.GROW:
                return status
            waiting = 2 * int(marks[k_.WAITING]) + 1

    # ---------------------------------------------------------------- conducting

    def _arrivals(self) -> Steps:
        """Replay up to the next event of the world, let it happen, and so on."""
        world = self.world
        if not len(self.workload):
            self._settle()
            return
        begun = False
        after_hosts = False  # whether at this instant the hosts have had their say
        while True:
            upcoming = world.peek()
            if not begun:
                begun = True
                status = self._replay(world.now, inclusive=True)
                if status is Status.REACHED:
                    continue
            elif after_hosts and upcoming == world.now:  # somebody looks at the outcome of this instant
                status = self._replay(world.now, inclusive=True)
                if status is Status.REACHED:
                    yield world.at(world.now, priority=LATE + 1)
                    continue
            else:
                beyond = upcoming > self.horizon_s or upcoming == math.inf
                status = self._replay(min(upcoming, self.horizon_s), inclusive=beyond)
                if status is Status.REACHED and not beyond:
                    yield world.at(upcoming, priority=ARRIVAL)
                    after_hosts = True
                    continue
            after_hosts = False
            self._looks.append(None)
            yield world.at(max(float(self._times[k_.NOW]), world.now), priority=URGENT)
            if status is Status.SETTLED:
                self._end()
            if status in (Status.SETTLED, Status.REACHED):
                return
            if status is Status.SPECIAL:
                self._end_specially(int(self._marks[k_.SPECIAL_VM]))

    def _end_specially(self, vm: int) -> None:
        """End a VM that is down or migrates; the kernel then sees to those who wait."""
        self._room_pending = True
        self._depart(vm)
        self._room_pending = False
        self._marks[k_.SERVE] = 1

    def _anyone_waits(self) -> bool:
        return bool(self._marks[k_.WAITING])

    def _serve_waiting(self, _event: simpy.Event) -> None:
        self._room_pending = False
        self._marks[k_.SERVE], self._times[k_.NOW] = 1, self.now
        status = self._replay(self.now, inclusive=False)
        if status not in (Status.REACHED, Status.SETTLED):
            raise InvariantError(f"those who wait were served at {self.now}, and the replay stopped with {status.name}")
        if status is Status.SETTLED:
            self._end()

    # ---------------------------------------------------------------- the end

    def _turn_away(self) -> None:
        for vm in self._queue[: int(self._marks[k_.WAITING])].tolist():
            self.reason[vm] -= k_.STILL_WAITING
            self.outcome[vm] = Outcome.REJECTED
        self._say_why()
        self._say_when()

    def _say_when(self) -> None:
        """When VMs ended that the kernel saw leave, and the stays that they ended."""
        work = self.workload
        left = np.flatnonzero((self.outcome == Outcome.COMPLETED) & np.isnan(self.end_s))
        self.end_s[left] = self.start_s[left] + (work.lifetime_s[left] + np.minimum(work.arrival_s[left], 0.0))
        stays = self.stays
        ended = np.flatnonzero(np.isnan(stays.end_s) & (self.outcome[stays.vm] == Outcome.COMPLETED))
        stays.end_s[ended] = self.end_s[stays.vm[ended]]

    def _say_why(self) -> None:
        """Put the codes of texts where the kernel left its refusals."""
        refused = np.flatnonzero(self.reason < 0)
        told = -self.reason[refused].astype(np.int64)
        pairs, which = np.unique(self.workload.shape[refused].astype(np.int64) << 32 | told, return_inverse=True)
        codes = [self.reasons.code(self._text(int(pair >> 32), int(pair & 0xFFFFFFFF))) for pair in pairs.tolist()]
        self.reason[refused] = np.asarray(codes, dtype=np.int32)[which]

    def _text(self, shape: int, refusal: int) -> str:
        why = refusal & ~(k_.WAITED | k_.STILL_WAITING)
        if why & 31 == Why.STATIC:
            text = self._static_reasons[why >> 5]
        else:
            text = self.scheduler.refusal_reason(self.workload.shapes[shape], why)
        if refusal & k_.WAITED:
            return f"{text}, waited in vain"
        return f"{text}, still waiting at the end" if refusal & k_.STILL_WAITING else text
