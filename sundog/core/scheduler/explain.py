"""Why a decision is what it is: the funnel, the best hosts with their scores, and "why not host X".

Explaining reads the same filters and the same policy as deciding, changes nothing, and costs nothing until asked for.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import numpy as np

from sundog.core.scheduler.hosts import HostView
from sundog.core.scheduler.request import Request
from sundog.core.scheduler.scheduler import Decision, FilterCount, NoValidHost, Scheduler
from sundog.errors import InputError


@dataclass(frozen=True, slots=True)
class Scored:
    """A feasible host, its place in the policy's order (1 is best), score and what the score is made of.

    ``score`` is None for a policy that chooses without scoring.
    """

    host: str
    rank: int
    score: float | None
    breakdown: dict[str, float]


@dataclass(frozen=True, slots=True)
class Relaxation:
    """How many hosts would be feasible if one filter, and no other, were left out."""

    filter: str
    hosts: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision, the funnel that led to it, the best hosts, and what leaving out one filter would gain."""

    decision: Decision | NoValidHost
    funnel: tuple[FilterCount, ...]
    best: tuple[Scored, ...]
    relaxations: tuple[Relaxation, ...]


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a host was not chosen.

    ``failed`` has every filter that refuses it, with the reason. ``relax`` is the one filter to leave out where only
    one refuses. A host that nothing refuses was feasible and has a ``scored`` place in the order.
    """

    host: str
    chosen: bool
    failed: tuple[tuple[str, str], ...]
    scored: Scored | None
    relax: str | None


def explain(scheduler: Scheduler, request: Request, *, best: int = 5) -> Explanation:
    """Everything about what :meth:`Scheduler.decide` would answer now.

    Raises: as ``decide``.
    """
    demand, feasible = scheduler.feasible(request)
    ranked = _ranking(scheduler, request, HostView(scheduler.hosts, demand, feasible)) if feasible.any() else []
    return Explanation(
        scheduler.decide(request), scheduler.funnel(request), tuple(ranked[:best]), _relaxations(scheduler, request)
    )


def host_reasons(scheduler: Scheduler, request: Request) -> dict[str, str]:
    """The first reason against each host that is not feasible, by host name."""
    demand = scheduler.shaped(request.shape).demand
    left = np.ones(scheduler.hosts.n, dtype=bool)
    reasons = {}
    for each in scheduler.filters:
        passes = each.passes(request, demand, scheduler.hosts)
        if passes is None:
            continue
        for host in np.flatnonzero(left & ~passes).tolist():
            reason = each.reason(request, demand, scheduler.hosts, host)
            reasons[scheduler.hosts.name(host)] = f"{each.name}: {reason}"
        left &= passes
    for host in np.flatnonzero(left & ~scheduler.feasible(request)[1]).tolist():
        name, reason = _unsuited(request)
        reasons[scheduler.hosts.name(host)] = f"{name}: {reason}"
    return reasons


def why_not(scheduler: Scheduler, request: Request, host: str) -> WhyNot:
    """Why :meth:`Scheduler.decide` would not choose ``host`` now.

    Raises: InputError if there is no such host; as ``decide`` otherwise.
    """
    scheduler.hosts.refresh()
    index = scheduler.hosts.index(host)
    if index is None:
        near = difflib.get_close_matches(host, map(scheduler.hosts.name, range(scheduler.hosts.n)), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"there is no host {host!r} at this moment{hint}", host=host)
    demand, feasible = scheduler.feasible(request)
    failed = []
    for each in scheduler.filters:
        passes = each.passes(request, demand, scheduler.hosts)
        if passes is not None and not passes[index]:
            failed.append((each.name, each.reason(request, demand, scheduler.hosts, index)))
    decision = scheduler.decide(request)
    chosen = isinstance(decision, Decision) and decision.host == host
    scored = None
    if feasible[index]:
        ranking = _ranking(scheduler, request, HostView(scheduler.hosts, demand, feasible))
        scored = next(each for each in ranking if each.host == host)
    elif not failed:
        failed.append(_unsuited(request))
    return WhyNot(host, chosen, tuple(failed), scored, failed[0][0] if len(failed) == 1 else None)


def _unsuited(request: Request) -> tuple[str, str]:
    """Why a host that every filter passes is not feasible: only a soft group does that."""
    assert request.group is not None
    return "soft server group", f"other hosts suit {request.group.policy} of {request.group.id} better"


def _ranking(scheduler: Scheduler, request: Request, view: HostView) -> list[Scored]:
    """The feasible hosts, best first; in the order of the fleet, unranked by score, where the policy gives none."""
    scores = scheduler.scores(request, view)
    parts = scheduler.breakdown(request, view) if scores is not None else {}
    hosts = np.flatnonzero(view.feasible)
    if scores is not None:
        hosts = hosts[np.argsort(-scores[hosts], kind="stable")]
    return [
        Scored(
            scheduler.hosts.name(host),
            rank,
            None if scores is None else float(scores[host]),
            {name: float(part[host]) for name, part in parts.items()},
        )
        for rank, host in enumerate(hosts.tolist(), start=1)
    ]


def _relaxations(scheduler: Scheduler, request: Request) -> tuple[Relaxation, ...]:
    demand = scheduler.shaped(request.shape).demand
    answers = [(each.name, each.passes(request, demand, scheduler.hosts)) for each in scheduler.filters]
    gains = []
    for name, passes in answers:
        if passes is None or passes.all():
            continue
        without = np.ones(scheduler.hosts.n, dtype=bool)
        for other, answer in answers:
            if other != name and answer is not None:
                without &= answer
        gains.append(Relaxation(name, int(np.count_nonzero(without))))
    return tuple(gains)
