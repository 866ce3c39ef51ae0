"""Several schedulers over one fleet, each with a view of its own that may be old.

Schedulers share the state and do not lock it (Schwarzkopf, Konwinski, Abd-El-Malek, Wilkes, "Omega: flexible, scalable
schedulers for large compute clusters", EuroSys 2013). Each takes one request at a time from a queue of its own, decides
on its own copy of the columns, and sends its choice to the store, which is the pool. The store takes it only if the
host is still in service, still has the room, and the server group still allows it; else that is a *conflict*, and the
scheduler goes on to the next best host (as Nova's alternates), and then reads everything anew and decides again.

A scheduler sees what it placed itself at once, and what others did when its view is refreshed: at the beginning of each
decision, or every ``refresh`` seconds. Refreshes of the schedulers are spread evenly over that time, and one at *t*
shows what was before *t*. Evacuations and migrations are decided by the operator, on the pool itself.
"""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import simpy

from sundog.core.pool import Pool
from sundog.core.pool.changes import ChangeLog
from sundog.core.scheduler import Decision, NoValidHost, Policy, Request, Scheduler, ServerGroup
from sundog.core.scheduler.groups import ServerGroups
from sundog.core.scheduler.hosts import HostView
from sundog.runtime.warp import URGENT
from sundog.sim.engine import ARRIVAL, NOWHERE, Engine
from sundog.sim.fleet import Fleet
from sundog.sim.records import Cause, Outcome, Scheduling
from sundog.sim.requests import Workload
from sundog.sim.spec import Schedulers

CONFLICT: Final = "conflict: "
"""How the reason begins of a request whose every attempt to commit was refused."""

STALE: Final = "stale view: "
"""How the reason begins of a request that found no host in its scheduler's view, while the pool had one."""

_REFRESH: Final = URGENT - 1
"""Before anything that happens at the same instant."""

_WAITING: Final = -1
"""In a scheduler's queue: try those who wait."""

_KEPT: Final = 10_000
"""Notes for the policies that are kept before those that all views have read are thrown away."""

_RULED: Final = (
    "ComputeFilter", "ResourcesFilter", "ForcedHostsFilter", "IgnoredHostsFilter", "ServerGroupAffinityFilter",
    "ServerGroupAntiAffinityFilter",
)  # fmt: skip
"""Filters whose answer about one host the store knows without asking about all hosts."""

Work: TypeAlias = Generator[float, None, None]
"""What a scheduler does, step by step; it yields the seconds that a step takes."""

_Attempt: TypeAlias = Generator[float, None, str | None]
"""An attempt on one request: why it failed, or None if nothing is left to be done about it."""


# ---------------------------------------------------------------- what changed in the pool


class _Alarm(ChangeLog):
    """A change log that also rings."""

    def __init__(self, ring: Callable[[], None]) -> None:
        super().__init__()
        self._alarm = ring

    def add(self, row: int) -> None:
        super().add(row)
        self._alarm()


class _NotedGroups(ServerGroups):
    """Server groups that tell every view which of them changed."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[dict[str, None]] = []

    def join(self, group: str, row: int) -> None:
        super().join(group, row)
        for changed in self.readers:
            changed[group] = None

    def leave(self, group: str, row: int) -> None:
        super().leave(group, row)
        for changed in self.readers:
            changed[group] = None


class _Notes:
    """What happened to servers, in order, for policies that remember: (by whom, hook, arguments) from ``first`` on."""

    def __init__(self) -> None:
        self.first = 0
        self.entries: list[tuple[int, str, tuple[Any, ...]]] = []
        self.by = NOWHERE

    @property
    def end(self) -> int:
        return self.first + len(self.entries)

    def forget(self, until: int) -> None:
        """Throw away what all have read, once it is much."""
        if until - self.first > _KEPT:
            del self.entries[: until - self.first]
            self.first = until


class _Noting:
    """A policy with hooks, which also writes down what they are told."""

    def __init__(self, policy: Policy, notes: _Notes) -> None:
        self._policy = policy
        self._notes = notes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def placed(self, *told: Any) -> None:
        _tell(self._policy, "placed", told)
        self._notes.entries.append((self._notes.by, "placed", told))

    def released(self, *told: Any) -> None:
        _tell(self._policy, "released", told)
        self._notes.entries.append((NOWHERE, "released", told))


def _tell(policy: Policy, hook: str, told: tuple[Any, ...]) -> None:
    method = getattr(policy, hook, None)
    if callable(method):
        method(*told)


def _remembers(policy: Policy) -> bool:
    return any(callable(getattr(policy, hook, None)) for hook in ("placed", "released"))


# ---------------------------------------------------------------- a view


class View:
    """One scheduler's copy of a pool: all that a decision looks at, but not who holds what.

    ``enter(pool, group)`` adds a group of hosts to the copy as it was added to the original, in the same order, so that
    a row is the same host in both.
    """

    def __init__(
        self, truth: Scheduler, groups: _NotedGroups, notes: _Notes, enter: Callable[[Pool, int], Any],
        policy: Policy, *, number: int, policy_name: str, seed: int, compiled: bool,
    ) -> None:  # fmt: skip
        self.truth = truth
        self.pool = Pool(truth.pool.classes)
        self.scheduler = Scheduler(
            self.pool, policy, policy_name=policy_name, filters=truth.filters, seed=seed, compiled=compiled
        )
        self.number = number
        self.policy = policy
        self._enter = enter
        self._entered = 0
        self._changes = 0
        self._changed_groups: dict[str, None] = {}
        self._notes = notes
        self.notes_read = 0
        self._scores = callable(getattr(policy, "score", None)) and not callable(getattr(policy, "choose", None))
        groups.readers.append(self._changed_groups)

    def refresh(self, entered: Sequence[int]) -> None:
        """Read what changed since the last time; ``entered`` are the groups of hosts that ever entered, in order."""
        grown = len(entered) > self._entered
        for group in entered[self._entered :]:
            self._enter(self.pool, group)
        self._entered = len(entered)
        self._read_rows(everything=grown)
        self._read_groups()
        for by, hook, told in self._notes.entries[self.notes_read - self._notes.first :]:
            if by != self.number:  # of its own placements it knows
                _tell(self.policy, hook, told)
        self.notes_read = self._notes.end

    def is_fresh(self, entered: Sequence[int]) -> bool:
        """Whether nothing changed since the last refresh but by what this scheduler placed itself."""
        return self._changes == int(self.truth.pool.changes.count[0]) and len(entered) == self._entered

    def _read_rows(self, *, everything: bool) -> None:
        theirs, mine, log = self.truth.pool, self.pool, self.truth.pool.changes
        begin, end, kept = self._changes, int(log.count[0]), len(log.ring)
        self._changes = end
        if begin == end and not everything:
            return
        rows: Any = slice(None)
        if everything or end - begin > min(kept, mine.rows):
            mine.changes.count[0] += len(mine.changes.ring) + 1  # who reads its log must look at everything again
        else:
            rows = np.unique(log.ring[np.arange(begin, end) % kept])
            for row in rows.tolist():
                mine.changes.add(row)
        mine.used[:, rows] = theirs.used[:, rows]
        mine.free[:, rows] = theirs.free[:, rows]
        mine.claims[rows] = theirs.claims[rows]
        mine.up[rows] = theirs.up[rows]
        mine.enabled[rows] = theirs.enabled[rows]
        mine.in_service[rows] = theirs.in_service[rows]

    def _read_groups(self) -> None:
        mine = self.scheduler.groups
        for group in self._changed_groups:
            have, want = mine.members(group), self.truth.groups.members(group)
            for row in dict.fromkeys((*have, *want)):
                missing = want.get(row, 0) - have.get(row, 0)
                for _ in range(missing):
                    mine.join(group, row)
                for _ in range(-missing):
                    mine.leave(group, row)
        self._changed_groups.clear()

    def alternate(self, request: Request, refused: Sequence[str]) -> Decision | None:
        """The best host by the scores of this view after those in ``refused``; None if there is none.

        A policy that chooses without scoring is asked again, with those left out.
        """
        scheduler = self.scheduler
        if not self._scores:
            decision = scheduler.decide(dataclasses.replace(request, ignore_hosts=tuple(refused)))
            return dataclasses.replace(decision, request=request) if isinstance(decision, Decision) else None
        demand, feasible = scheduler.feasible(request)
        left = feasible.copy()
        for name in refused:
            left[scheduler.hosts.index(name)] = False
        if not left.any():
            return None
        # Scored among all that are feasible, the refused ones too: that is the order of the decision that failed.
        scores = scheduler.scores(request, HostView(scheduler.hosts, demand, feasible))
        assert scores is not None, "asked only of policies that score"
        order = np.lexsort((-np.where(left, scores, -np.inf), ~left))
        best = scheduler.hosts.name(int(order[0]))
        decision = scheduler.decide(dataclasses.replace(request, force_hosts=(best,)))
        assert isinstance(decision, Decision), "it was feasible"
        return dataclasses.replace(decision, request=request)

    def took(self, decision: Decision, consumer: int) -> None:
        """The store committed a decision of this scheduler, which therefore knows of it."""
        for row, amounts in decision.claims:
            for column, amount in amounts:
                self.pool.used[column, row] += amount
                self.pool.free[column, row] -= amount
            self.pool.claims[row] += 1
            self.pool.changes.add(row)
        hosts = self.scheduler.hosts
        _tell(self.policy, "placed", (decision.request, decision.row, consumer, hosts.now))
        if decision.request.group is not None:
            self.scheduler.groups.join(decision.request.group.id, decision.row)
        hosts.last_row = decision.row
        hosts.sequence += 1


# ---------------------------------------------------------------- the engine


@dataclass(slots=True, eq=False)
class _Worker:
    """A scheduler at work: its view, its queue, and what it is in the middle of."""

    view: View
    phase: float
    queue: deque[int] = field(default_factory=deque)
    work: Work | None = None
    began: bool = False  # whether it has read the pool for the first time
    retry_due: bool = False  # whether its queue has an entry to try those who wait
    rooms: int = 0  # how often room had appeared when it last began to decide
    renewed: bool = False  # whether its view was refreshed since


class SchedulersEngine(Engine):
    """An engine in which ``schedulers.count`` schedulers place what arrives; each has a policy of ``make_policy()``.

    ``policy`` is the operator's, for evacuations and migrations. VMs that are alive at the beginning are placed by
    their scheduler in no time. ``compiled`` takes the schedulers' decisions in compiled code where that can be.
    """

    def __init__(
        self,
        fleet: Fleet,
        workload: Workload,
        policy: Policy,
        *,
        schedulers: Schedulers,
        make_policy: Callable[[], Policy],
        compiled: bool = False,
        **options: Any,
    ) -> None:
        policies = [make_policy() for _ in range(schedulers.count)]
        self._notes = _Notes()
        if any(_remembers(each) for each in policies):
            policy = _Noting(policy, self._notes)
        super().__init__(fleet, workload, policy, **options)
        self.rules = schedulers
        noted = _NotedGroups()
        self.scheduler.groups = self.scheduler.hosts.groups = noted
        if schedulers.refresh:
            self.pool.changes = _Alarm(self._changed)
        self._groups_entered: list[int] = []
        self._asleep: list[_Worker] = []
        self._deciding = self.scheduler
        self._other_filters = [f for f in self.scheduler.filters if not f.static and f.name not in _RULED]
        self._workers = [
            _Worker(
                View(
                    self.scheduler, noted, self._notes, fleet.enter, each,
                    number=number, policy_name=self.scheduler.policy_name, seed=self._dice(number), compiled=compiled,
                ),
                phase=schedulers.refresh * number / schedulers.count,
            )
            for number, each in enumerate(policies)
        ]  # fmt: skip
        n = len(workload)
        self._ids = workload.frame["vm_id"].to_numpy() if schedulers.assign == "hash" else None
        self._of = np.full(n, NOWHERE, dtype=np.int32)
        self._commits = np.zeros(n, dtype=np.int32)
        self._choice = np.full(n, NOWHERE, dtype=np.int32)
        self._queued_s = np.full(n, np.nan)
        self._busy_s = np.zeros(n)
        self._rooms = 0  # how often room appeared
        self._first_decisions = schedulers.decision_times(self.streams.fresh("decision"), n)
        self._later = self.streams.fresh("decision/again")

    def _dice(self, number: int) -> int:
        """The seed of a scheduler's dice; the first one's is that of a run with one scheduler."""
        return int(self.streams.fresh(f"policy/{number}" if number else "policy").integers(2**63))

    @property
    def deciding(self) -> Scheduler:
        """The scheduler that is about to decide, with its view."""
        return self._deciding

    # ---------------------------------------------------------------- refreshing

    def _enter(self, group: int) -> None:
        super()._enter(group)
        self._groups_entered.append(group)
        self._changed()

    def _changed(self) -> None:
        """Something changed, so whoever believed to know everything is due for a refresh."""
        if self._asleep:
            for worker in list(self._asleep):
                self._wake(worker)

    def _wake(self, worker: _Worker) -> None:
        """Refresh at the next instant of its timetable."""
        if worker in self._asleep:
            self._asleep.remove(worker)
            self.world.at(self._next_refresh(worker), worker, priority=_REFRESH).callbacks.append(self._refreshes)

    def _next_refresh(self, worker: _Worker) -> float:
        """The first instant of its timetable after now."""
        every = self.rules.refresh
        number = math.floor((self.now - worker.phase) / every) + 1
        while worker.phase + number * every <= self.now:  # rounded down
            number += 1
        return worker.phase + number * every

    def _sleeps(self, worker: _Worker) -> None:
        """Nothing is known of that it has not seen; without a timetable there is nothing to wake for."""
        if self.rules.refresh:
            self._asleep.append(worker)

    def _refreshes(self, event: simpy.Event) -> None:
        worker: _Worker = event.value  # type: ignore[assignment]
        self._refresh(worker)
        worker.renewed = True
        self._sleeps(worker)
        if self._waiting:
            self._retry(worker)

    def _refresh(self, worker: _Worker) -> None:
        worker.view.refresh(self._groups_entered)
        if self._notes.entries:
            self._notes.forget(min(each.view.notes_read for each in self._workers))

    # ---------------------------------------------------------------- queues

    def _admit(self, vm: int) -> None:
        worker = self._workers[self._assigned(vm)]
        self._of[vm] = worker.view.number
        worker.queue.append(vm)
        self._pump(worker)

    def _assigned(self, vm: int) -> int:
        """The scheduler that a request goes to."""
        if self.rules.assign == "least-busy":
            return min(range(len(self._workers)), key=lambda number: (self._load(self._workers[number]), number))
        if self._ids is None:
            return vm % len(self._workers)
        group = self.group(vm)  # the members of a group go to one scheduler, which knows of all of them
        key = f"group {group.id}" if group is not None else f"vm {self._ids[vm]}"
        return zlib.crc32(key.encode()) % len(self._workers)

    @staticmethod
    def _load(worker: _Worker) -> int:
        return len(worker.queue) + (worker.work is not None)

    def _pump(self, worker: _Worker) -> None:
        """Let a scheduler work until its queue is empty or something takes time."""
        while worker.work is None and worker.queue:
            entry = worker.queue.popleft()
            worker.work = self._try_waiting(worker) if entry == _WAITING else self._schedule(worker, entry)
            self._work(worker)

    def _work(self, worker: _Worker) -> None:
        assert worker.work is not None
        for seconds in worker.work:
            if seconds > 0:
                self.world.at(self.now + seconds, worker, priority=ARRIVAL).callbacks.append(self._goes_on)
                return
        worker.work = None

    def _goes_on(self, event: simpy.Event) -> None:
        worker: _Worker = event.value  # type: ignore[assignment]
        self._work(worker)
        self._pump(worker)

    def _serve_waiting(self, _event: simpy.Event) -> None:
        """Tell the schedulers that there may be room; those who refresh now and then see it when they next do."""
        self._room_pending = False
        if not self.rules.refresh:
            for worker in self._workers:
                self._retry(worker)

    def _room_appeared(self) -> None:
        self._rooms += 1
        super()._room_appeared()

    def _retry(self, worker: _Worker) -> None:
        self._queue_retry(worker)
        self._pump(worker)

    @staticmethod
    def _queue_retry(worker: _Worker) -> None:
        if not worker.retry_due:
            worker.retry_due = True
            worker.queue.append(_WAITING)

    # ---------------------------------------------------------------- what a scheduler does

    def _schedule(self, worker: _Worker, vm: int) -> Work:
        """One request that arrived."""
        arrived = max(float(self.workload.arrival_s[vm]), 0.0)
        self._queued_s[vm] = self.now - arrived
        reason = yield from self._attempt(worker, vm)
        if reason is None:
            return
        if self.waits and self.now > arrived + self._wait_limit:
            self._close(vm, Outcome.REJECTED, f"{reason}, waited in vain")
        elif not self._may_wait(vm, reason):
            self._close(vm, Outcome.REJECTED, reason)
        else:
            self._look_again(worker, reason)

    def _try_waiting(self, worker: _Worker) -> Work:
        """Those of its requests that wait, first come first served; one that does not fit holds up nobody behind it."""
        worker.retry_due = False
        hopeless: set[int] = set()
        for vm in list(self._waiting):
            shape = int(self.workload.shape[vm])
            if self._of[vm] != worker.view.number or shape in hopeless:
                continue
            reason = yield from self._attempt(worker, vm)
            if reason is None:
                continue
            self._look_again(worker, reason)
            if self.workload.group[vm] < 0 and not reason.startswith(CONFLICT):
                hopeless.add(shape)

    def _look_again(self, worker: _Worker, reason: str) -> None:
        """See to it that one who waits is tried again, where what it waits for may be there already."""
        if worker.rooms != self._rooms if not self.rules.refresh else worker.renewed:
            self._queue_retry(worker)
        elif reason.startswith(CONFLICT):
            if self.rules.refresh:
                self._wake(worker)
            else:
                self._queue_retry(worker)

    def _attempt(self, worker: _Worker, vm: int) -> _Attempt:
        """Decide and commit, with alternates and retries."""
        if self.outcome[vm] != Outcome.NONE:
            return None
        begun = self.now
        reason = yield from self._decisions(worker, vm)
        self._busy_s[vm] += self.now - begun
        return None if self.outcome[vm] != Outcome.NONE else reason

    def _decisions(self, worker: _Worker, vm: int) -> _Attempt:
        view, request = worker.view, self.request(vm)
        there = self.workload.arrival_s[vm] < 0  # alive at the beginning
        refused = ""
        for again in range(self.rules.retries + 1):
            if again or there or not self.rules.refresh or not worker.began:
                self._refresh(worker)
                if not worker.began:
                    worker.began = True
                    self._sleeps(worker)
            worker.rooms, worker.renewed = self._rooms, False
            view.scheduler.at(self.now, vm)
            if self._on_decision is not None:
                self._deciding = view.scheduler
                self._on_decision(vm, request)
            decision = view.scheduler.decide(request)
            if not there:
                yield self._decision_s(vm)
            if isinstance(decision, NoValidHost):
                return self._no_host(view, request, decision)
            conflict = yield from self._commits_one(worker, vm, decision, 0.0 if there else self.rules.delay)
            if conflict is None:
                return None
            refused = conflict
        return CONFLICT + refused

    def _decision_s(self, vm: int) -> float:
        first = float(self._first_decisions[vm])
        if math.isnan(first):
            return float(self.rules.decision_times(self._later, 1)[0])
        self._first_decisions[vm] = math.nan  # used
        return first

    def _commits_one(self, worker: _Worker, vm: int, best: Decision, delay: float) -> _Attempt:
        """Try to commit a decision, then its alternates; why the last of them was refused."""
        decision: Decision | None = best
        tried: list[str] = []
        refused = ""
        for choice in range(self.rules.alternates + 1):
            if choice:
                decision = worker.view.alternate(best.request, tried)
            if decision is None:
                break
            tried.append(decision.host)
            yield delay
            if self.outcome[vm] != Outcome.NONE:
                return None  # it has waited too long meanwhile
            conflict = self._commit(worker, vm, decision, choice)
            yield delay
            if conflict is None:
                return None
            refused = conflict
        return refused

    def _commit(self, worker: _Worker, vm: int, decision: Decision, choice: int) -> str | None:
        """What the store says to a decision that reaches it: None, or what is against it."""
        self._commits[vm] += 1
        conflict = self._conflict(decision)
        if conflict is not None:
            return conflict
        self.scheduler.at(self.now, vm)
        worker.view.scheduler.at(self.now, vm)
        self._notes.by = worker.view.number
        refusal = self.scheduler.commit(decision, vm)
        self._notes.by = NOWHERE
        if refusal is not None:
            return f"no room: {refusal.resource_class}" if refusal.resource_class else "the host is gone"
        worker.view.took(decision, vm)
        self._waiting.pop(vm, None)
        self._choice[vm] = choice
        self._begin(vm, self._hosts[decision.row], Cause.ARRIVAL)
        return None

    def _conflict(self, decision: Decision) -> str | None:
        """What forbids a host that was valid when it was chosen, apart from its room."""
        if not self.pool.in_service[decision.row]:
            return "host not in service"
        group = decision.request.group
        if group is not None and not self._group_allows(group, decision.row):
            return f"server group {group.policy}"
        hosts = self.scheduler.hosts
        for each in self._other_filters:
            demand = self.scheduler.shaped(decision.request.shape).demand
            passes = each.passes(decision.request, demand, hosts)
            if passes is not None and not passes[hosts.index_of_row(decision.row)]:
                return each.name
        return None

    def _group_allows(self, group: ServerGroup, row: int) -> bool:
        members = self.scheduler.groups.members(group.id)
        if group.policy == "affinity":
            return not members or row in members
        return group.policy != "anti-affinity" or members.get(row, 0) < group.max_server_per_host

    def _no_host(self, view: View, request: Request, refused: NoValidHost) -> str:
        """The reason of a refusal, with a word if only the view had no host."""
        stale = not view.is_fresh(self._groups_entered) and bool(self.scheduler.feasible(request)[1].any())
        return f"{STALE}{refused.reason}" if stale else refused.reason

    # ---------------------------------------------------------------- the end

    def _turn_away(self) -> None:
        super()._turn_away()
        arrived = slice(0, self._arrived)
        left = (self.outcome[arrived] == Outcome.NONE) & np.isnan(self.start_s[arrived])
        for vm in np.flatnonzero(left).tolist():
            self._close(vm, Outcome.REJECTED, "not yet scheduled at the end")

    def _scheduling(self) -> Scheduling:
        arrived = slice(0, self._arrived)
        return Scheduling(
            len(self._workers),
            self._of[arrived],
            self._commits[arrived],
            self._choice[arrived],
            self._queued_s[arrived],
            self._busy_s[arrived],
        )


__all__ = ["CONFLICT", "STALE", "SchedulersEngine", "View"]
