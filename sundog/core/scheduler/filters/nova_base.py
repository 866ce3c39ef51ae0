"""What Nova's own filters have in common."""

from __future__ import annotations

from sundog.core.pool.pool import Bools
from sundog.core.scheduler.filters.base import Filter
from sundog.core.scheduler.hosts import Demand, Hosts
from sundog.core.scheduler.nova_options import NovaOptions
from sundog.core.scheduler.request import Details, Request

NO_DETAILS = Details()


def details_of(request: Request) -> Details:
    """What the request says beyond its resources; nothing, if it says nothing."""
    return request.shape.details or NO_DETAILS


class NovaFilter:
    """A filter that Nova skips where a host is forced. ``once``: asked for the first server of a request only."""

    name = ""
    static = True
    once = True

    def __init__(self, options: NovaOptions) -> None:
        self.options = options

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """``bool[n]``; None if all pass."""
        return None if details_of(request).forced else self.hosts_that_pass(request, hosts)

    def hosts_that_pass(self, request: Request, hosts: Hosts) -> Bools | None:
        """``bool[n]``; None if all pass. The request forces no host."""
        raise NotImplementedError

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """Why ``host`` does not pass."""
        raise NotImplementedError


class Unforced:
    """One of the scheduler's filters as Nova runs it: skipped where a host is forced."""

    def __init__(self, inner: Filter, *, once: bool) -> None:
        self.inner = inner
        self.name = inner.name
        self.static = inner.static
        self.once = once

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """As the filter within, unless a host is forced."""
        return None if details_of(request).forced else self.inner.passes(request, demand, hosts)

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """As the filter within."""
        return self.inner.reason(request, demand, hosts, host)
