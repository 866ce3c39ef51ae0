"""What a filter is."""

from __future__ import annotations

from typing import Protocol

from sundog.core.pool.pool import Bools
from sundog.core.scheduler.hosts import Demand, Hosts
from sundog.core.scheduler.request import Request


class Filter(Protocol):
    """Says which hosts could take a request, and why the others could not.

    A ``static`` filter looks at the request's shape and at slow facts only (status, zone, traits, aggregates,
    capacity), so its answer is kept until a fact changes; any other filter is asked at every decision.
    """

    name: str
    static: bool

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """``bool[n]``: the hosts that pass; None if all do."""
        ...

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """Why ``host``, which does not pass, does not: a sentence with the facts."""
        ...
