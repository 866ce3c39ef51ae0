"""Placing requests one after the other, each with what those before it have used up.

Source: ``nova.scheduler.manager`` (OpenStack Nova 34, Apache-2.0), from its behaviour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sundog.core.scheduler import Decision, HostView, Policy, Request, Scheduler, host_reasons
from sundog.core.scheduler.filters import nova_filters
from sundog.core.scheduler.hosts import Demand, Floats
from sundog.core.scheduler.nova_options import NovaOptions
from sundog.core.scheduler.policies.nova import Nova
from sundog.scenarios.what_if.cloud import Cloud, check_hints, make_cloud
from sundog.scenarios.what_if.files import HostEntry, Listed, RequestEntry


@dataclass(frozen=True, slots=True)
class Placed:
    """Where one server went and why; ``host`` is None for nowhere.

    ``filtered`` counts the hosts that each filter refused, of those that came so far. ``reasons`` and ``breakdown``
    are None unless they were asked for.
    """

    id: int | str
    host: str | None
    weight: float | None
    alternates: tuple[str, ...]
    filtered: dict[str, int]
    reasons: dict[str, str] | None = None
    breakdown: dict[str, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As the file of decisions has it."""
        told: dict[str, Any] = {
            "id": self.id,
            "host": self.host,
            "weight": self.weight,
            "alternates": list(self.alternates),
            "filtered": self.filtered,
        }
        if self.reasons is not None:
            told["reasons"] = self.reasons
        if self.breakdown is not None:
            told["breakdown"] = self.breakdown
        return told


def place_all(
    hosts: Listed[HostEntry],
    requests: Listed[RequestEntry],
    policy: Policy,
    *,
    policy_name: str = "nova",
    options: NovaOptions | None = None,
    explain: bool = False,
    seed: int = 0,
) -> tuple[list[Placed], tuple[str, ...]]:
    """A decision for every server asked for, in order, and notes for the user.

    ``options`` are those of Nova that say which hosts are feasible and how many alternates are told; the policy's own
    where it is ``nova`` and they are not given.
    Raises: InputError for an entry that Nova or Placement would not take; PolicyError as ``Scheduler.decide``.
    """
    desk = open_desk(hosts, policy, policy_name=policy_name, options=options, explain=explain, seed=seed)
    check_hints(requests)
    placed: list[Placed] = []
    for number in range(len(requests.entries)):
        placed.extend(desk.place(requests, number))
    return placed, tuple(desk.cloud.notes)


def open_desk(
    hosts: Listed[HostEntry],
    policy: Policy,
    *,
    policy_name: str = "nova",
    options: NovaOptions | None = None,
    explain: bool = False,
    seed: int = 0,
) -> Desk:
    """Where requests on the hosts of a file can be placed one by one; arguments as those of :func:`place_all`."""
    if options is None:
        options = policy.options if isinstance(policy, Nova) else NovaOptions()
    cloud = make_cloud(hosts, options)
    scheduler = Scheduler(
        cloud.pool, policy, policy_name=policy_name, filters=nova_filters(options), seed=seed, facts=cloud.facts
    )
    cloud.groups = scheduler.groups
    return Desk(cloud, scheduler, options, explain)


@dataclass
class _Chosen:
    """One server on its way: the list that Nova would go down, the weights, and what there is to tell."""

    order: NDArray[np.intp]
    weights: Floats | None
    filtered: dict[str, int]
    reasons: dict[str, str] | None
    demand: Demand
    breakdown: dict[str, Floats]


@dataclass
class Desk:
    """Places requests over one scheduler and keeps the facts up to date. ``steps`` are those of the last request."""

    cloud: Cloud
    scheduler: Scheduler
    options: NovaOptions
    explain: bool
    next_consumer: int = field(init=False)
    steps: list[_Chosen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._of_nova = isinstance(self.scheduler.policy, Nova)
        self.next_consumer = self.cloud.pool.rows  # those below are what the hosts had used

    def place(self, requests: Listed[RequestEntry], number: int) -> list[Placed]:
        """All servers of one request, or none of them.

        Raises: as :func:`place_all`.
        """
        entry = requests.entries[number]
        request = self.cloud.request(requests, number)
        ids: list[int | str] = [entry.id]
        if entry.num_instances > 1:
            ids = [f"{entry.id}-{number}" for number in range(1, entry.num_instances + 1)]
        steps = self.steps = []
        taken: list[int] = []
        for each in ids:
            own = replace(request, id=str(each))
            step = self._chosen(own, steps[-1].order if steps and self._of_nova else None)
            steps.append(step)
            host = self._commit(own, step)
            if host is None:
                self._undo(request, taken, ids)
                left = [*steps, *[step] * (len(ids) - len(steps))]
                return [self._nowhere(each, step) for each, step in zip(ids, left, strict=True)]
            taken.append(host)
        last = steps[-1].order
        if len(ids) > 1 and self.options.max_attempts > 1:  # all that was claimed has changed the order
            last = self._chosen(replace(request, id=str(ids[-1])), last if self._of_nova else None).order
        self._settle(request, ids, taken)
        return [
            self._somewhere(each, host, step, self._alternates(last, host, taken))
            for each, host, step in zip(ids, taken, steps, strict=True)
        ]

    def _settle(self, request: Request, ids: Sequence[int | str], taken: Sequence[int]) -> None:
        """The servers are on their hosts, with their images."""
        assert request.shape.details is not None
        for each, host in zip(ids, taken, strict=True):
            row = int(self.scheduler.hosts.rows[host])
            self.cloud.facts.add_instance(row, str(each), request.shape.details.image_properties or ())
            self.cloud.placed[str(each)] = row

    def _somewhere(self, server: int | str, host: int, step: _Chosen, alternates: tuple[str, ...]) -> Placed:
        name = self.scheduler.hosts.name(host)
        breakdown = {key: _finite(part, host) or 0.0 for key, part in step.breakdown.items()} if self.explain else None
        return Placed(server, name, _finite(step.weights, host), alternates, step.filtered, step.reasons, breakdown)

    def _nowhere(self, server: int | str, step: _Chosen) -> Placed:
        return Placed(server, None, None, (), step.filtered, step.reasons, {} if self.explain else None)

    # ---------------------------------------------------------------- one server

    def _chosen(self, request: Request, order: NDArray[np.intp] | None) -> _Chosen:
        """Filter and weigh: all hosts for the first server of a request, the list of the one before for the others."""
        scheduler = self.scheduler
        demand, feasible = scheduler.feasible(request)
        if order is None:
            filtered = {count.filter: count.refused for count in scheduler.funnel(request) if count.refused}
            reasons = host_reasons(scheduler, request) if self.explain else None
        else:
            feasible, filtered, reasons = self._again(request, order)
        if not feasible.any():
            return _Chosen(np.empty(0, dtype=np.intp), None, filtered, reasons, demand, {})
        view = HostView(scheduler.hosts, demand, feasible)
        weights: Floats | None
        if isinstance(scheduler.policy, Nova):
            ranked, weights = scheduler.policy.ranked(request, view, order)
        else:
            ranked, weights = self._by_policy(request, view), scheduler.scores(request, view)
        breakdown = scheduler.breakdown(request, view) if self.explain else {}
        return _Chosen(ranked, weights, filtered, reasons, demand, breakdown)

    def _again(
        self, request: Request, order: NDArray[np.intp]
    ) -> tuple[NDArray[np.bool_], dict[str, int], dict[str, str] | None]:
        """What passes for a further server of a request: Nova asks Placement and most filters only once."""
        scheduler = self.scheduler
        left = np.zeros(scheduler.hosts.n, dtype=bool)
        left[order] = True
        demand = scheduler.shaped(request.shape).demand
        filtered: dict[str, int] = {}
        reasons: dict[str, str] = {}
        for each in scheduler.filters:
            if getattr(each, "once", True):
                continue
            passes = each.passes(request, demand, scheduler.hosts)
            refused = [] if passes is None else np.flatnonzero(left & ~passes).tolist()
            if refused:
                filtered[each.name] = len(refused)
            for host in refused:
                reason = each.reason(request, demand, scheduler.hosts, host) if self.explain else ""
                reasons[scheduler.hosts.name(host)] = f"{each.name}: {reason}"
                left[host] = False
        return left, filtered, reasons if self.explain else None

    def _by_policy(self, request: Request, view: HostView) -> NDArray[np.intp]:
        """The order in which a policy would take the feasible hosts, as far as alternates need it."""
        wanted = min(self.options.max_attempts, int(np.count_nonzero(view.feasible)))
        feasible, order = view.feasible.copy(), []
        for _ in range(wanted):
            host = self.scheduler.choice(request, HostView(self.scheduler.hosts, view.demand, feasible.copy()))
            order.append(host)
            feasible[host] = False
        return np.asarray(order, dtype=np.intp)

    def _commit(self, request: Request, step: _Chosen) -> int | None:
        """Claim the first host of the list that has room, and say which."""
        scheduler = self.scheduler
        for host in step.order.tolist():
            claims = scheduler.hosts.claims_on(step.demand, host)
            row = int(scheduler.hosts.rows[host])
            if claims is None:
                continue
            decision = Decision(request, row, self.cloud.pool.name(row), claims)
            if scheduler.commit(decision, self.next_consumer) is None:
                self.next_consumer += 1
                self._count(request, row)
                if request.group is not None:  # Nova tells the host of no other until the whole request is through
                    self.cloud.facts.add_instance(row, request.id)
                return int(host)
        return None

    def _count(self, request: Request, row: int, *, back: bool = False) -> None:
        """One server more, or one less with ``back``, in the facts of its host."""
        assert request.shape.details is not None
        claimed = dict(request.shape.resources)
        self.cloud.facts.consume(self.cloud.pool.rows, row, request.shape.details, claimed, back=back)

    def _undo(self, request: Request, taken: Sequence[int], ids: Sequence[int | str]) -> None:
        """Give back what the first servers of a request claimed: ``taken`` are their hosts, in the order of ``ids``."""
        first = self.next_consumer - len(taken)
        for number, host in enumerate(taken):
            row = int(self.scheduler.hosts.rows[host])
            self.scheduler.release(first + number, request.group)
            self._count(request, row, back=True)
            self.cloud.facts.remove_instance(row, str(ids[number]))

    def _alternates(self, order: NDArray[np.intp], host: int, taken: Sequence[int]) -> tuple[str, ...]:
        """The next best hosts in the same cell, of which none was taken: ``max_attempts`` less the first one."""
        facts, rows = self.cloud.facts, self.scheduler.hosts.rows
        cell = facts.described(int(rows[host])).cell
        wanted = self.options.max_attempts - 1
        found: list[str] = []
        for each in order.tolist():
            if len(found) >= wanted:
                break
            if each not in taken and facts.described(int(rows[each])).cell == cell:
                found.append(self.scheduler.hosts.name(each))
        return tuple(found)


def _finite(weights: Floats | None, host: int) -> float | None:
    if weights is None or not np.isfinite(weights[host]):
        return None
    return float(weights[host]) + 0.0  # no negative zero
