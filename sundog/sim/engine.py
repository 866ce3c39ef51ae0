"""The study engine: VMs come and go over a fleet that fails, in virtual time, one event at a time.

Every VM is a row of columns, not an object. Arrivals are one SimPy process that walks the workload; a departure is a
bare entry on the world's heap. What happens to hosts (``faults``, ``maintenance``) are ordinary SimPy processes that
call :meth:`Engine.host_down` and its siblings.

At one instant: departures first, then those who wait for room, then what happens to hosts, then those whose wait is
over, then arrivals. So room given back at *t* is there for an arrival at *t*, and a host that dies at *t* is not. Only
at the very beginning the VMs that are there come first, after the hosts that are down from the start. VMs that come at
one instant are one event: they are placed one after the other before anything else happens, so one of zero lifetime
gives its room back after them.

This is the general engine: any policy, and a hook before each decision. ``replay`` has a compiled one with the same
results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import simpy

from sundog.core.pool import Pool
from sundog.core.scheduler import TOO_LARGE, Decision, NoValidHost, Policy, Request, Scheduler, ServerGroup
from sundog.errors import InvariantError
from sundog.runtime.seeds import Streams
from sundog.runtime.warp import NORMAL, URGENT, World
from sundog.sim.fleet import Fleet
from sundog.sim.records import Cause, HostEvents, Outcome, Reasons, Record, Scheduling, Stays, in_order
from sundog.sim.requests import Workload
from sundog.sim.spec import Evacuation, Migration, OnFull, Wait

NOWHERE: Final = -1

# After what happens to hosts at the same instant.
DEADLINE: Final = NORMAL + 1
ARRIVAL: Final = NORMAL + 2

Steps: TypeAlias = Generator[simpy.Event, Any, None]
"""A SimPy process."""


class _Departure:
    """The least that a world needs of an event, and which VM leaves."""

    __slots__ = ("_ok", "callbacks", "defused", "triggered", "vm")

    def __init__(self, callbacks: tuple[Callable[[Any], None], ...], vm: int) -> None:
        self.callbacks: tuple[Callable[[Any], None], ...] | None = callbacks
        self.vm = vm
        self._ok = self.defused = self.triggered = True


@dataclass(slots=True)
class _Moving:
    """A live migration under way: the stay it leaves, and the consumer that holds the source until it is done."""

    source_stay: int
    source_host: int
    hold: int


class Engine:
    """One run of a workload over a fleet.

    ``on_decision`` is called with (vm, request) just before each decision on an arrival: the place from which a
    decision can be explained. ``compiled`` takes decisions in compiled code where the policy allows it.
    """

    def __init__(
        self,
        fleet: Fleet,
        workload: Workload,
        policy: Policy,
        *,
        policy_name: str = "",
        seed: int = 0,
        on_full: OnFull = "reject",
        evacuation: Evacuation | None = None,
        migration: Migration | None = None,
        horizon_s: float = math.inf,
        on_decision: Callable[[int, Request], None] | None = None,
        compiled: bool = False,
    ) -> None:
        self.fleet = fleet
        self.workload = workload
        self.world = World(seed=seed)
        self.streams: Streams = self.world.streams
        self.pool = Pool(workload.classes)
        dice = int(self.streams.fresh("policy").integers(2**63))
        self.scheduler = Scheduler(self.pool, policy, policy_name=policy_name, seed=dice, compiled=compiled)
        self.horizon_s = horizon_s
        self.evacuation = evacuation or Evacuation()
        self.migration = migration or Migration()
        self._wait_limit = on_full.wait if isinstance(on_full, Wait) else 0.0
        self._on_decision = on_decision

        n = len(workload)
        self.start_s = np.full(n, np.nan)
        self.end_s = np.full(n, np.nan)
        self.outcome = np.zeros(n, dtype=np.int8)
        self.reason = np.zeros(n, dtype=np.int32)
        self.evacuations = np.zeros(n, dtype=np.int32)
        self.migrations = np.zeros(n, dtype=np.int32)
        self.downtime_s = np.zeros(n)
        self.reasons = Reasons()
        self.stays = Stays()
        self.host_events = HostEvents()
        self._stay = np.full(n, NOWHERE, dtype=np.int32)
        self._arrived = 0
        self._to_enter = 0  # fleet entries that are to enter service later
        self._open = 0  # VMs whose fate is open: waiting, down, or with an end to come; not those that stay for ever
        self._waiting: dict[int, str] = {}  # by VM: why it found no host when it came
        self._down_since: dict[int, float] = {}
        self._stranded: dict[int, list[int]] = {}  # by host: VMs that wait for it to come back
        self._moving: dict[int, _Moving] = {}
        self._special = np.zeros(n, dtype=np.bool_)  # who is in ``_down_since`` or ``_moving``
        self._room_pending = False  # whether those who wait are about to be tried, at this very instant
        self._reasons_against_host: list[int] = [0] * len(fleet)  # how many things keep it down
        self._closed_by: list[int] = [0] * len(fleet)  # how many things keep it disabled
        self._rows = [NOWHERE] * len(fleet)
        self._hosts: dict[int, int] = {}
        self._requests = [Request(shape, id=shape.name) for shape in workload.shapes]
        self._leave = (self._departs,)
        self._events = 0
        self._stopped = False
        self._over = False
        self._looks: list[None] = []  # grows when somebody is to look, which makes the world hand back control at once

    # ---------------------------------------------------------------- the run

    def run(self, *, progress: Callable[[float, int], None] | None = None) -> Record:
        """Play everything to the horizon, or to the last VM event; ``progress`` gets (simulated seconds, VMs arrived).

        :meth:`stop` may be called meanwhile (a signal handler): the run then ends early, marked as partial.
        Raises: PolicyError as the scheduler does.
        """
        for number, group in enumerate(self.fleet.groups):
            if group.at == 0:
                self._enter(number)
            elif group.at <= self.horizon_s:
                self._to_enter += 1
                self.world.process(self._enters(number, group.at))
        self.world.process(self._arrivals())
        while not self._over and (upcoming := self.world.peek()) <= self.horizon_s and upcoming != math.inf:
            self._looks.clear()
            self.world.play(self.horizon_s, self._looks, budget=_STEPS_PER_LOOK)
            if progress is not None:
                progress(self.world.now, self._arrived)
        self.world.raise_failures()
        return self._record()

    def stop(self) -> None:
        """End the run after the event at hand; what was done so far stays usable, and is marked as partial."""
        self._stopped = True
        self._end()

    def _end(self) -> None:
        self._over = True
        self._looks.append(None)

    @property
    def compiles(self) -> bool:
        """Whether code is compiled when the run begins, which takes a while."""
        return False

    @property
    def waits(self) -> bool:
        """Whether a request that finds no host is tried again."""
        return self._wait_limit > 0

    @property
    def deciding(self) -> Scheduler:
        """The scheduler that is about to decide while ``on_decision`` is called."""
        return self.scheduler

    @property
    def now(self) -> float:
        """Simulated seconds."""
        return float(self.world.now)

    def _enters(self, group: int, when: float) -> Steps:
        yield self.world.at(when)
        self._to_enter -= 1
        self._enter(group)

    def _enter(self, group: int) -> None:
        for host, row in zip(self.fleet.hosts_of_group(group), self.fleet.enter(self.pool, group), strict=True):
            self._rows[host] = row
            self._hosts[row] = host
            self.host_events.add(self.now, host, "added")
            if self._reasons_against_host[host]:
                self.pool.set_status(row, up=False)
                self.host_events.add(self.now, host, "failed", "down when it entered service")
        self._room_appeared()

    def _record(self) -> Record:
        reached = self.now
        if not self._stopped:
            # Without a horizon the run ends with its last event; with one, at the horizon, whatever is left.
            reached = self.horizon_s if math.isfinite(self.horizon_s) else self.now
        self._turn_away()
        for vm, since in self._down_since.items():
            self.downtime_s[vm] += reached - since
            self._leave_host(vm)
            self._close(vm, Outcome.LOST, "still down at the end")
            self.end_s[vm] = reached
        running = (self.outcome == Outcome.NONE) & ~np.isnan(self.start_s)
        self.outcome[running] = Outcome.RUNNING
        self.pool.check()
        reason, reasons = in_order(self.reason[: self._arrived], self.reasons.texts)
        return Record(
            start_s=self.start_s[: self._arrived],
            end_s=self.end_s[: self._arrived],
            outcome=self.outcome[: self._arrived],
            reason=reason,
            reasons=reasons,
            evacuations=self.evacuations[: self._arrived],
            migrations=self.migrations[: self._arrived],
            downtime_s=self.downtime_s[: self._arrived],
            stays=self.stays,
            host_events=self.host_events,
            reached_s=reached,
            placements=self.scheduler.hosts.sequence,
            events=self._events,
            partial=self._stopped,
            scheduling=self._scheduling(),
        )

    def _scheduling(self) -> Scheduling | None:
        """What schedulers did for each VM, where there are several."""
        return None

    def _turn_away(self) -> None:
        """Those who still wait when the run ends are rejected."""
        for vm, refused in self._waiting.items():
            self._close(vm, Outcome.REJECTED, f"{refused}, still waiting at the end")

    # ---------------------------------------------------------------- VMs

    def _arrivals(self) -> Steps:
        arrival = np.maximum(self.workload.arrival_s, 0.0).tolist()
        for vm, when in enumerate(arrival):
            if when > self.world.now:
                yield self.world.at(when, priority=ARRIVAL)
            self._arrived = vm + 1
            self._events += 1
            self._open += 1
            self._admit(vm)
        self._settle()

    def _admit(self, vm: int) -> None:
        """A VM that arrived: onto a host, or among those who wait, or away."""
        refused = self._place(vm)
        if refused is not None and not self._may_wait(vm, refused.reason):
            self._close(vm, Outcome.REJECTED, refused.reason)

    def _may_wait(self, vm: int, reason: str) -> bool:
        """Let a VM wait that found no host when it came, if that may help."""
        if not self.waits or (reason == TOO_LARGE and not self._to_enter):
            return False
        self._waiting[vm] = reason
        deadline = max(float(self.workload.arrival_s[vm]), 0.0) + self._wait_limit
        self.world.at(deadline, vm, priority=DEADLINE).callbacks.append(self._waited)
        return True

    def _place(self, vm: int) -> NoValidHost | None:
        """Put a VM that arrived, or waits, onto a host; None if that worked."""
        request = self.request(vm)
        self.scheduler.at(self.now, vm)
        if self._on_decision is not None:
            self._on_decision(vm, request)
        decision = self.scheduler.place(request, vm)
        if isinstance(decision, NoValidHost):
            return decision
        self._begin(vm, self._hosts[decision.row], Cause.ARRIVAL)
        return None

    def _begin(self, vm: int, host: int, cause: Cause) -> None:
        now = self.now
        self._stay[vm] = self.stays.begin(vm, host, now, cause)
        if cause is not Cause.ARRIVAL:
            return
        self.start_s[vm] = now
        # A VM alive at the beginning has lived a part of its life; one that waited lives as long as it would have.
        end = now + float(self.workload.lifetime_s[vm] + min(self.workload.arrival_s[vm], 0.0))
        if end != math.inf:
            self.world.push(end, _Departure(self._leave, vm), priority=URGENT)
        else:
            self._open -= 1
            self._settle()

    def _departs(self, departure: _Departure) -> None:
        if self.outcome[departure.vm] == Outcome.NONE:  # not lost meanwhile
            self._depart(departure.vm)

    def _depart(self, vm: int) -> None:
        self._events += 1
        since = self._down_since.pop(vm, None)
        if since is not None:
            self.downtime_s[vm] += self.now - since
        self._leave_host(vm)
        self._close(vm, Outcome.COMPLETED, "")
        self._room_appeared()

    def _close(self, vm: int, outcome: Outcome, reason: str) -> None:
        """The end of a VM's story."""
        self.outcome[vm] = outcome
        self.reason[vm] = self.reasons.code(reason)
        if outcome is not Outcome.REJECTED:
            self.end_s[vm] = self.now
        self._open -= 1
        self._settle()

    def _settle(self) -> None:
        """Without a horizon, the run is over when every VM has arrived and no fate is open."""
        if not self._open and self._arrived == len(self.workload) and math.isinf(self.horizon_s):
            self._end()

    def _leave_host(self, vm: int) -> None:
        """End whatever the VM holds: its stay, its claim, a migration under way, its place in the group."""
        stay = int(self._stay[vm])
        moving = self._moving.pop(vm, None)
        self._special[vm] = vm in self._down_since
        if moving is not None:
            self.stays.end(moving.source_stay, self.now)
            self.scheduler.release(moving.hold)
        if stay != NOWHERE:
            self.stays.end(stay, self.now)
            self._stay[vm] = NOWHERE
        if self.pool.allocations(vm):
            self.scheduler.release(vm, self.group(vm))

    def _waited(self, event: simpy.Event) -> None:
        vm: int = event.value  # type: ignore[assignment]
        refused = self._waiting.pop(vm, None)
        if refused is not None:
            self._events += 1
            self._close(vm, Outcome.REJECTED, f"{refused}, waited in vain")

    def _room_appeared(self) -> None:
        """See to those who wait, once all is done that gives or takes room at this instant.

        Not at once: a rack fails host by host, and nobody must be put onto its second host because of the first.
        """
        if self._anyone_waits() and not self._room_pending:
            self._room_pending = True
            self.world.at(self.now, priority=URGENT).callbacks.append(self._serve_waiting)

    def _anyone_waits(self) -> bool:
        return bool(self._waiting)

    def _serve_waiting(self, _event: simpy.Event) -> None:
        """Try those who wait, first come first served; one that does not fit holds up nobody behind it."""
        self._room_pending = False
        hopeless: set[int] = set()
        for vm in list(self._waiting):
            shape = int(self.workload.shape[vm])
            if shape in hopeless:
                continue
            if self._place(vm) is None:
                del self._waiting[vm]
            elif self.workload.group[vm] < 0:
                hopeless.add(shape)

    # ---------------------------------------------------------------- requests

    def group(self, vm: int) -> ServerGroup | None:
        """The server group of a VM, if it has one that asks anything."""
        code = int(self.workload.group[vm])
        return None if code < 0 else self.workload.groups[code]

    def request(self, vm: int) -> Request:
        """What the scheduler is asked for a VM."""
        request = self._requests[self.workload.shape[vm]]
        group = self.group(vm)
        return request if group is None else Request(request.shape, group, id=request.id)

    # ---------------------------------------------------------------- hosts

    def row_of(self, host: int) -> int:
        """The pool row of a host, or -1 while it has not entered service."""
        return self._rows[host]

    def host_down(self, host: int, detail: str, *, planned: bool = False) -> None:
        """One more thing keeps a host down; its VMs stop if it was up."""
        self._reasons_against_host[host] += 1
        row = self._rows[host]
        if self._reasons_against_host[host] > 1 or row == NOWHERE:
            return
        self._events += 1
        self.pool.set_status(row, up=False)
        self.host_events.add(self.now, host, "stopped" if planned else "failed", detail)
        self._strand(host)

    def host_up(self, host: int, detail: str, *, planned: bool = False) -> None:
        """One thing less keeps a host down; it is in service again when nothing does."""
        self._reasons_against_host[host] -= 1
        if self._reasons_against_host[host] < 0:
            raise InvariantError(f"host {self.fleet.names[host]} came up more often than it went down")
        row = self._rows[host]
        if self._reasons_against_host[host] or row == NOWHERE:
            return
        self._events += 1
        self.pool.set_status(row, up=True)
        self.host_events.add(self.now, host, "started" if planned else "repaired", detail)
        for vm in self._stranded.pop(host, []):
            if vm in self._down_since:
                self._resume(vm, host, Cause.RESTART)
        self._room_appeared()

    def set_enabled(self, host: int, enabled: bool, detail: str) -> None:
        """Close a host for new VMs, or take that back: it is open again when nothing keeps it closed any more."""
        self._closed_by[host] += -1 if enabled else 1
        if self._closed_by[host] < 0:
            raise InvariantError(f"host {self.fleet.names[host]} was enabled more often than it was disabled")
        if self._closed_by[host] != (0 if enabled else 1):
            return
        self.pool.set_status(self._rows[host], enabled=enabled)
        self.host_events.add(self.now, host, "enabled" if enabled else "disabled", detail)
        if enabled:
            self._room_appeared()

    def vms_on(self, host: int) -> list[int]:
        """VMs with a claim of their own on a host, ascending; one that moves has it on its target."""
        return [vm for vm in self.pool.consumers_on(self._rows[host]) if vm < len(self.workload)]

    def in_use(self, host: int) -> bool:
        """Whether VMs are on a host, on their way to it, or not all gone from it yet."""
        return bool(self.vms_on(host)) or any(moving.source_host == host for moving in self._moving.values())

    def _strand(self, host: int) -> None:
        """The VMs of a host that died: evacuate them, or let them wait for it, or lose them."""
        self._abort_migrations(host)
        dead = [vm for vm in self.vms_on(host) if vm not in self._down_since]
        mode = self.evacuation.mode
        for vm in dead:
            self._stop_vm(vm)
            if mode == "lose":
                self._lose(vm, "host died")
            elif mode == "evacuate":
                self._leave_host(vm)
        if mode == "restart":
            self._stranded.setdefault(host, []).extend(dead)
        elif mode == "evacuate" and dead:
            self.world.process(self._evacuate(dead))
        self._room_appeared()  # not on this host: where a migration ended, or for others of a server group

    def stop_vms(self, host: int) -> None:
        """Stop what runs on a host and keep its claims: it starts again when the host is next up.

        Migrations from it and to it end as if they had not begun.
        """
        self._abort_migrations(host)
        for vm in self.vms_on(host):
            if vm not in self._down_since:
                self._stop_vm(vm)
                self._stranded.setdefault(host, []).append(vm)

    def _stop_vm(self, vm: int) -> None:
        self.stays.end(int(self._stay[vm]), self.now)
        self._stay[vm] = NOWHERE
        self._down_since[vm] = self.now
        self._special[vm] = True
        if self.workload.lifetime_s[vm] == math.inf:
            self._open += 1  # its fate is open again

    def _resume(self, vm: int, host: int, cause: Cause) -> None:
        self.downtime_s[vm] += self.now - self._down_since.pop(vm)
        self._special[vm] = False
        if self.workload.lifetime_s[vm] == math.inf:
            self._open -= 1
        self._begin(vm, host, cause)
        self._settle()

    def _lose(self, vm: int, reason: str) -> None:
        self.downtime_s[vm] += self.now - self._down_since.pop(vm)
        self._leave_host(vm)
        self._close(vm, Outcome.LOST, reason)

    def _evacuate(self, vms: list[int]) -> Steps:
        """Place the VMs of a dead host elsewhere, with retries, until the time is up."""
        rules, failed_at = self.evacuation, self.now
        yield self.world.at(failed_at + rules.detect)
        while True:
            left = []
            for vm in vms:
                if vm not in self._down_since:
                    continue  # its user deleted it meanwhile
                self._events += 1
                self.scheduler.at(self.now, vm)
                decision = self.scheduler.place(self.request(vm), vm)
                if isinstance(decision, Decision):
                    self.evacuations[vm] += 1
                    self._resume(vm, self._hosts[decision.row], Cause.EVACUATION)
                else:
                    left.append(vm)
            vms = left
            if not vms:
                return
            if self.now + rules.retry > failed_at + rules.give_up:
                break
            yield self.world.at(self.now + rules.retry)
        for vm in vms:
            self._lose(vm, "evacuation found no valid host")

    # ---------------------------------------------------------------- migration

    def migration_s(self, vm: int) -> float:
        """How long a live migration of this VM takes."""
        memory = self.workload.memory_mb(vm)
        return memory * self.migration.rounds / self.migration.bandwidth_mib_s

    def begin_migration(self, vm: int, host: int) -> bool:
        """Claim a place for a VM of ``host``, which must be disabled, and start copying; False if that cannot be.

        It cannot where no host is valid, or where the VM has gone, moves already or runs elsewhere by now. A VM is no
        neighbour of its own, so the last member of an affinity group can move; one that leaves others behind cannot.
        """
        stay = int(self._stay[vm])
        gone = self.outcome[vm] != Outcome.NONE
        if gone or vm in self._moving or stay == NOWHERE or self.stays.host_of(stay) != host:
            return False
        group, row = self.group(vm), self._rows[host]
        if group is not None:
            self.scheduler.groups.leave(group.id, row)
        self.scheduler.at(self.now, vm)
        decision = self.scheduler.decide(self.request(vm))
        if group is not None:
            self.scheduler.groups.join(group.id, row)
        if isinstance(decision, NoValidHost):
            return False
        hold = len(self.workload) + vm
        refusal = self.scheduler.commit_move(decision, vm, hold_as=hold)
        assert refusal is None, refusal
        self._moving[vm] = _Moving(stay, host, hold)
        self._special[vm] = True
        self._begin(vm, self._hosts[decision.row], Cause.MIGRATION)
        return True

    def finish_migration(self, vm: int, begun: float) -> None:
        """The copy is done: the source is given back. Nothing happens if the migration ended otherwise meanwhile."""
        moving = self._moving.get(vm)
        if moving is None or self.stays.start_s[self._stay[vm]] != begun:
            return
        del self._moving[vm]
        self._special[vm] = False
        self._events += 1
        self.stays.end(moving.source_stay, self.now)
        self.scheduler.release(moving.hold)
        self.migrations[vm] += 1
        self.downtime_s[vm] += self.migration.pause
        self._room_appeared()

    def _abort_migrations(self, host: int) -> None:
        """End every migration from a host and to it: nothing can be copied."""
        for vm, moving in list(self._moving.items()):
            if host in (moving.source_host, self.stays.host_of(int(self._stay[vm]))):
                self._abort_migration(vm, moving)

    def _abort_migration(self, vm: int, moving: _Moving) -> None:
        """The VM is where it was, as if nothing had been."""
        del self._moving[vm]
        self._special[vm] = False
        self.stays.end(int(self._stay[vm]), self.now)
        group, row = self.group(vm), self.scheduler.host_of(vm)
        self.pool.release(vm)
        self.pool.transfer(moving.hold, vm)
        self.scheduler.returned(vm, self.request(vm))
        if group is not None:
            self.scheduler.groups.leave(group.id, row)
            self.scheduler.groups.join(group.id, self.scheduler.host_of(vm))
        self._stay[vm] = moving.source_stay


_STEPS_PER_LOOK: Final = 5_000
"""Events between two looks at progress and at whether to stop."""
