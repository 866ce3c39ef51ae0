"""The scheduler: a pipeline of filters and a policy that decides, and the commit that makes it so."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sundog.core.pool import Claim, Pool, Refusal
from sundog.core.pool.pool import NO_ROW, Bools
from sundog.core.scheduler.compiled.methods import Compilable, compilable
from sundog.core.scheduler.compiled.slots import Why
from sundog.core.scheduler.facts import HostFacts
from sundog.core.scheduler.filters import DEFAULT_FILTERS, Filter
from sundog.core.scheduler.groups import ServerGroups
from sundog.core.scheduler.hosts import Demand, Floats, Hosts, HostView, request_text
from sundog.core.scheduler.policies import Policy
from sundog.core.scheduler.request import Request, ServerGroup, Shape
from sundog.errors import PolicyError, PoolError

if TYPE_CHECKING:
    from sundog.core.scheduler.compiled.decider import Decider

TOO_LARGE: Final = "too large for any host"
"""The reason of a request that no host could take even if all were empty."""

_UNFILTERED: Final = "filters must include CapacityFilter, TraitsFilter and ResourcesFilter, or do what they do"


_NO_HOSTS: Final = "no hosts"

_PHRASES: Final = {
    "CapacityFilter": TOO_LARGE,
    "ComputeFilter": "no host in service",
    "AvailabilityZoneFilter": "zone",
    "TraitsFilter": "traits",
    "AggregatesFilter": "aggregates",
    "ForcedHostsFilter": "forced host",
    "IgnoredHostsFilter": "ignored hosts",
    "ServerGroupAffinityFilter": "server group affinity",
    "ServerGroupAntiAffinityFilter": "server group anti-affinity",
}
"""Short stable phrases to count refusals by: what it means that this filter refused the last hosts."""

_FILTER_OF_WHY: Final = {
    Why.NOT_IN_SERVICE: "ComputeFilter",
    Why.AFFINITY: "ServerGroupAffinityFilter",
    Why.ANTI_AFFINITY: "ServerGroupAntiAffinityFilter",
}


def _short_of(classes: Sequence[str]) -> str:
    """The phrase for classes that no host has enough of; each is free somewhere but not together, if there are none."""
    return f"no room: {', '.join(classes)}" if classes else "no room: fragmentation"


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a request goes: the host (provider row and name) and all that is to be claimed. Nothing is claimed yet."""

    request: Request
    row: int
    host: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class FilterCount:
    """One step of the funnel: of ``hosts`` that came this far, the filter refused ``refused``."""

    filter: str
    hosts: int
    refused: int


@dataclass(frozen=True, slots=True)
class NoValidHost:
    """No host is feasible. ``reason`` is a short stable phrase to count by; ``funnel`` is who refused how many."""

    request: Request
    reason: str
    funnel: tuple[FilterCount, ...]


@dataclass(slots=True)
class _Shaped:
    """What a shape comes to as long as no fact changes: its demand, and the hosts that pass the static filters."""

    facts_version: int
    demand: Demand
    passes: Bools


class Scheduler:
    """Decides where requests go, over one pool, by filters and one policy.

    :meth:`decide` is pure: it changes nothing, and the same state gives the same answer. :meth:`commit` claims what was
    decided and may be refused if the pool changed in between. :meth:`place` does both. ``seed`` feeds the policies
    that throw dice. Without ``filters`` a policy's own are used (its ``scheduler_filters``), else the default ones.
    ``facts`` is what is known of hosts beyond the pool. With ``compiled`` decisions are taken by compiled code where
    the policy allows it; ``not_compiled`` says why it does not, None if it does. The answers are the same.
    """

    def __init__(
        self,
        pool: Pool,
        policy: Policy,
        *,
        policy_name: str = "",
        filters: Sequence[Filter] | None = None,
        seed: int = 0,
        compiled: bool = False,
        facts: HostFacts | None = None,
    ) -> None:
        self.pool = pool
        self.policy = policy
        self.policy_name = policy_name or type(policy).__name__
        self.filters = tuple(getattr(policy, "scheduler_filters", DEFAULT_FILTERS) if filters is None else filters)
        self.groups = ServerGroups()
        self.hosts = Hosts(pool, self.groups, seed)
        self.hosts.facts = facts
        self._static = [each for each in self.filters if each.static]
        self._dynamic = [each for each in self.filters if not each.static]
        self._shapes: dict[Shape, _Shaped] = {}
        self._soft_by_us = not getattr(policy, "weighs_groups", False)
        self._chooses = callable(getattr(policy, "choose", None))
        how = compilable(policy, self.filters) if facts is None else "facts beyond the pool are for Python code"
        self.not_compiled = how if isinstance(how, str) else None
        self._how = how if isinstance(how, Compilable) and compiled else None
        self._decider: Decider | None = None
        self._picks_devices = _method(policy, "choose_devices")
        self._placed = _method(policy, "placed")
        self._released = _method(policy, "released")

    # ---------------------------------------------------------------- deciding

    def decide(self, request: Request) -> Decision | NoValidHost:
        """The host for ``request``, or why there is none. Changes nothing.

        Raises: PolicyError if the policy fails or answers with a host that is not feasible; PoolError for a demand in
        classes that the pool does not have, or for own filters that let a host without devices through.
        """
        decider = self.decider() if self._can_be_compiled(request) else None
        if decider is not None:
            demand, view = self.shaped(request.shape).demand, None
            host = decider.choose(request.shape, request.group)
        else:
            demand, feasible = self.feasible(request)
            view = HostView(self.hosts, demand, feasible)
            host = self.choice(request, view) if feasible.any() else NO_ROW
        if host == NO_ROW:
            return self._no_valid_host(request)
        devices = None if view is None else self._devices(request, view, host)
        claims = self.hosts.claims_on(demand, host, devices)
        if claims is None:
            raise PoolError(f"{self.hosts.name(host)} has too few devices, but no filter refused it: {_UNFILTERED}")
        row = int(self.hosts.rows[host])
        return Decision(request, row, self.pool.name(row), claims)

    def decider(self, slots: int = 0) -> Decider | None:
        """What decides in compiled code, with room in its block for ``slots`` slots; None where Python code decides."""
        if self._decider is None and self._how is not None:
            from sundog.core.scheduler.compiled.decider import Decider  # Numba takes half a second to import
            from sundog.core.scheduler.compiled.slots import CORE_SLOTS

            self._decider = Decider(self.hosts, self.policy, self._how, self._static_facts, slots=slots or CORE_SLOTS)
        return self._decider

    def _can_be_compiled(self, request: Request) -> bool:
        """Whether compiled code knows all that the request asks: not named hosts, details, or devices with units."""
        shape = request.shape
        limited = self.pool.has_units and shape.devices is not None
        return not (request.force_hosts or request.ignore_hosts or shape.details or limited)

    def _static_facts(self, shape: Shape) -> tuple[Demand, Bools]:
        shaped = self.shaped(shape)
        return shaped.demand, shaped.passes

    def feasible(self, request: Request) -> tuple[Demand, Bools]:
        """The demand of ``request``, and ``bool[n]``: the hosts the policy may choose from."""
        shaped = self.shaped(request.shape)
        feasible = shaped.passes
        for each in self._dynamic:
            passes = each.passes(request, shaped.demand, self.hosts)
            if passes is not None:
                feasible = feasible & passes
        if self._soft_by_us and request.group is not None and request.group.policy.startswith("soft-"):
            feasible = self._softly(request.group, feasible)
        return shaped.demand, feasible

    def shaped(self, shape: Shape) -> _Shaped:
        """``shape`` against the hosts as they are now; kept until a fact changes."""
        self.hosts.refresh()
        shaped = self._shapes.get(shape)
        version = self.pool.facts_version + (self.hosts.facts.version if self.hosts.facts is not None else 0)
        if shaped is None or shaped.facts_version != version:
            demand = self.hosts.demand(shape)
            passes: Bools = np.ones(self.hosts.n, dtype=bool)
            for each in self._static:
                answer = each.passes(Request(shape), demand, self.hosts)
                if answer is not None:
                    passes &= answer
            passes.setflags(write=False)  # kept for later decisions, and shown to policies
            shaped = self._shapes[shape] = _Shaped(version, demand, passes)
        return shaped

    def funnel(self, request: Request) -> tuple[FilterCount, ...]:
        """What each filter refuses of the hosts that came through those before it."""
        demand = self.shaped(request.shape).demand
        left: Bools = np.ones(self.hosts.n, dtype=bool)
        counts = []
        for each in self.filters:
            before = int(np.count_nonzero(left))
            passes = each.passes(request, demand, self.hosts)
            if passes is not None:
                left = left & passes
            counts.append(FilterCount(each.name, before, before - int(np.count_nonzero(left))))
        return tuple(counts)

    def scores(self, request: Request, view: HostView) -> Floats | None:
        """The policy's scores, checked; None for a policy that chooses without scoring."""
        if not callable(getattr(self.policy, "score", None)):
            return None
        try:
            scores = np.asarray(self.policy.score(request, view), dtype=np.float64)
        except Exception as exc:  # the user's code: whatever it raises is named together with what it was given
            raise self._blame(request, f"raised {type(exc).__name__}: {exc}", view) from exc
        if scores.shape != (view.n,):
            raise self._blame(request, f"scored with shape {scores.shape} instead of ({view.n},)", view)
        if np.isnan(scores[view.feasible]).any():
            raise self._blame(request, "scored a feasible host as NaN", view)
        return scores

    def breakdown(self, request: Request, view: HostView) -> dict[str, Floats]:
        """What the policy says its scores are made of, ``float64[n]`` by name; empty where it does not say."""
        if not callable(getattr(self.policy, "breakdown", None)):
            return {}
        try:
            given = self.policy.breakdown(request, view)
            parts = {str(name): np.asarray(part, dtype=np.float64) for name, part in given.items()}
        except Exception as exc:  # the user's code, as in scores()
            raise self._blame(request, f"raised {type(exc).__name__}: {exc}", view) from exc
        for name, part in parts.items():
            if part.shape != (view.n,):
                raise self._blame(request, f"broke {name} down with shape {part.shape} instead of ({view.n},)", view)
        return parts

    def choice(self, request: Request, view: HostView) -> int:
        """The policy's choice among the feasible hosts of ``view``, checked.

        Raises: PolicyError if the policy fails or answers with a host that is not feasible.
        """
        if not self._chooses:
            scores = self.scores(request, view)
            assert scores is not None, "load_policy admits no policy without score or choose"
            ranked = np.where(view.feasible, scores, -np.inf)
            host = int(np.argmax(ranked))
            # All scores minus infinity: argmax may name a host that is not feasible.
            return host if view.feasible[host] else int(np.argmax(view.feasible))
        try:
            answer = self.policy.choose(request, view)
        except Exception as exc:  # the user's code, as in scores()
            raise self._blame(request, f"raised {type(exc).__name__}: {exc}", view) from exc
        if isinstance(answer, bool) or not isinstance(answer, int | np.integer):
            raise self._blame(request, f"chose {answer!r}, which is not the index of a host", view)
        if not 0 <= answer < view.n:
            raise self._blame(request, f"chose host {answer} of {view.n}", view)
        if not view.feasible[answer]:
            raise self._blame(request, f"chose {self.hosts.name(int(answer))}, which is not feasible", view)
        return int(answer)

    def _devices(self, request: Request, view: HostView, host: int) -> list[int] | None:
        """The devices that the policy chooses on ``host``; None if it leaves that to us."""
        count = view.demand.device_count
        if not count or self._picks_devices is None:
            return None
        try:
            answer = self._picks_devices(request, view, host)
            devices = None if answer is None else [operator.index(each) for each in answer]
        except Exception as exc:  # the user's code, as in scores()
            raise self._blame(request, f"raised {type(exc).__name__}: {exc}", view) from exc
        if devices is None:
            return None
        fits = view.device_fits(host)
        if len(devices) != count or len(dict.fromkeys(devices)) != count:
            raise self._blame(request, f"chose devices {devices}, which are not {count} different ones", view)
        if not all(0 <= each < len(fits) and fits[each] for each in devices):
            raise self._blame(request, f"chose devices {devices} of {self.hosts.name(host)}, which have no room", view)
        return devices

    def _blame(self, request: Request, what: str, view: HostView) -> PolicyError:
        feasible = int(np.count_nonzero(view.feasible))
        return PolicyError(
            f"policy {self.policy_name} {what}; it was given {request_text(request)} at decision "
            f"{self.hosts.sequence} with {feasible} of {view.n} hosts feasible",
            policy=self.policy_name,
            request=request,
            sequence=self.hosts.sequence,
        )

    def _softly(self, group: ServerGroup, feasible: Bools) -> Bools:
        """A soft group over a policy that does not weigh groups: only the feasible hosts that suit the group best."""
        if not self.groups.members(group.id) or not feasible.any():
            return feasible
        members = self.hosts.members(group.id)
        best = members[feasible].max() if group.policy == "soft-affinity" else members[feasible].min()
        suited: Bools = feasible & (members == best)
        return suited

    def _no_valid_host(self, request: Request) -> NoValidHost:
        funnel = self.funnel(request)
        return NoValidHost(request, self._reason(request, funnel), funnel)

    def _reason(self, request: Request, funnel: Sequence[FilterCount]) -> str:
        """A short phrase for the filter that refused the last hosts."""
        last = next((count for count in funnel if count.hosts and count.hosts == count.refused), None)
        if last is None:
            return _NO_HOSTS
        return self._shortage(request) if last.filter == "ResourcesFilter" else _PHRASES.get(last.filter, last.filter)

    def static_reason(self, shape: Shape) -> str | None:
        """The reason of every request of a shape that no host could take however empty; None if one could."""
        shaped = self.shaped(shape)
        if shaped.passes.any():
            return None
        left: Bools = np.ones(self.hosts.n, dtype=bool)
        for each in self._static:
            before, passes = bool(left.any()), each.passes(Request(shape), shaped.demand, self.hosts)
            left = left if passes is None else left & passes
            if before and not left.any():
                return _PHRASES.get(str(each.name), str(each.name))
        return _NO_HOSTS

    def refusal_reason(self, shape: Shape, why: int) -> str:
        """The reason that compiled code tells as ``Why``, for a shape that some host could take."""
        short = why >> 5
        if not why & Why.SHORT:
            return _PHRASES[_FILTER_OF_WHY[Why(why)]]
        demand = self.shaped(shape).demand
        names = [self.pool.classes[column].name for column in demand.columns]
        names.append(" and ".join(self.pool.classes.values(demand.devices)))
        return _short_of([name for k, name in enumerate(names) if short >> k & 1])

    def _shortage(self, request: Request) -> str:
        """Which classes no host left has enough of; fragmentation where each is free somewhere, but not together."""
        shaped = self.shaped(request.shape)
        demand, left = shaped.demand, shaped.passes
        for each in self._dynamic:
            passes = each.passes(request, demand, self.hosts) if each.name != "ResourcesFilter" else None
            left = left if passes is None else left & passes
        short = [
            self.pool.classes[column].name
            for column, units in zip(demand.columns, demand.units, strict=True)
            if not (left & ((self.hosts.column(self.pool.free, column) >= units) | (units == 0))).any()
        ]
        if demand.device_count:
            ready = self.hosts.devices_with_room(demand, self.pool.free) >= demand.device_count
            if not (left & ready).any():
                short.append(" and ".join(self.pool.classes.values(demand.devices)))
        return _short_of(short)

    # ---------------------------------------------------------------- committing

    def commit(self, decision: Decision, consumer: int) -> Refusal | None:
        """Claim what was decided for ``consumer``, or say why that is no longer possible; then nothing changed."""
        refusal = self._gone(decision) or self.pool.claim(consumer, decision.claims)
        if refusal is None:
            self._committed(decision, consumer)
        return refusal

    def commit_move(self, decision: Decision, consumer: int, *, hold_as: int | None = None) -> Refusal | None:
        """As :meth:`commit` for a consumer that moves; ``hold_as`` keeps the source until released (``Pool.move``).

        Raises: PoolError if ``consumer`` holds nothing, or ``hold_as`` something.
        """
        source = self.host_of(consumer)
        refusal = self._gone(decision) or self.pool.move(consumer, decision.claims, hold_as=hold_as)
        if refusal is None:
            if decision.request.group is not None:
                self.groups.leave(decision.request.group.id, source)
            self._committed(decision, consumer)
        return refusal

    def place(self, request: Request, consumer: int) -> Decision | NoValidHost:
        """Decide and commit at once, where nothing can come between.

        Raises: as :meth:`decide`; PoolError if ``consumer`` holds something already, or if own filters let through what
        the pool refuses.
        """
        decision = self.decide(request)
        if isinstance(decision, Decision):
            refusal = self.commit(decision, consumer)
            if refusal is not None:
                raise PoolError(f"{refusal.reason}, but no filter refused it: {_UNFILTERED}", refusal=refusal)
        return decision

    def release(self, consumer: int, group: ServerGroup | None = None) -> None:
        """Give back what ``consumer`` holds, and its place in ``group``.

        Raises: PoolError if it holds nothing and yet had a place in ``group``.
        """
        row = self.host_of(consumer) if group is not None else -1
        self.pool.release(consumer)
        if self._released is not None:
            self._released(consumer)
        if group is not None:
            self.groups.leave(group.id, row)

    def host_of(self, consumer: int) -> int:
        """The provider row of the host that ``consumer`` is on.

        Raises: PoolError if it holds nothing.
        """
        held = self.pool.allocations(consumer)
        if not held:
            raise PoolError(f"consumer {consumer} holds nothing, so it is on no host", consumer=consumer)
        return int(self.pool.root[held[0].row])

    def _gone(self, decision: Decision) -> Refusal | None:
        """A refusal if the host decided on left, or one of its devices; their rows may be others' by now."""
        for row, _ in decision.claims:
            if not 0 <= row < self.pool.rows or self.pool.root[row] != decision.row:
                return Refusal(f"{decision.host} is not what it was when it was chosen", row, decision.host)
        if decision.host not in self.pool or self.pool.row(decision.host) != decision.row:
            return Refusal(f"{decision.host} has left the pool", decision.row, decision.host)
        return None

    def at(self, now: float, consumer: int = -1) -> None:
        """Say what time it is and who asks next, for policies that look at either (``HostView.now``, ``consumer``)."""
        self.hosts.now = now
        self.hosts.consumer = consumer

    def returned(self, consumer: int, request: Request) -> None:
        """Tell the policy where ``consumer`` is, after something other than :meth:`commit` put it there."""
        if self._placed is not None:
            self._placed(request, self.host_of(consumer), consumer, self.hosts.now)

    def _committed(self, decision: Decision, consumer: int) -> None:
        if self._placed is not None:
            self._placed(decision.request, decision.row, consumer, self.hosts.now)
        if decision.request.group is not None:
            self.groups.join(decision.request.group.id, decision.row)
        self.hosts.last_row = decision.row
        self.hosts.sequence += 1


def _method(policy: Policy, name: str) -> Callable[..., Any] | None:
    """A method that a policy may have or not."""
    found = getattr(policy, name, None)
    return found if callable(found) else None
