"""Filters that read scheduler hints."""

from __future__ import annotations

import ipaddress
import json
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from sundog.core.pool.pool import Bools
from sundog.core.scheduler import host_state
from sundog.core.scheduler.facts import HostFacts
from sundog.core.scheduler.filters.nova_base import NovaFilter, details_of
from sundog.core.scheduler.hosts import Demand, Hosts
from sundog.core.scheduler.request import Request


class HintFilter(NovaFilter):
    """A filter that asks every host by itself, where the request has one of ``keys`` among its hints."""

    keys: tuple[str, ...] = ()
    static = False

    def hosts_that_pass(self, request: Request, hosts: Hosts) -> Bools | None:
        """By ``suits``."""
        hints = self._hints(request)
        if not hints.get(self.keys[0]):
            return None
        return np.fromiter((self.suits(hints, hosts, host) for host in range(hosts.n)), bool, hosts.n)

    def suits(self, hints: Mapping[str, Any], hosts: Hosts, host: int) -> bool:
        """Whether a host suits the hints."""
        raise NotImplementedError

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """The hints."""
        hints = self._hints(request)
        return "the request has the hint " + ", ".join(f"{key} {hints[key]}" for key in self.keys if key in hints)

    def _hints(self, request: Request) -> dict[str, Any]:
        """Hints by key; a list of one is that one, as in Nova."""
        found = {key: json.loads(text) for key, text in details_of(request).hints if key in self.keys}
        return {k: v[0] if isinstance(v, list) and len(v) == 1 else v for k, v in found.items()}


class DifferentHostFilter(HintFilter):
    """Hosts without any of the servers of the hint ``different_host``."""

    name = "DifferentHostFilter"
    keys = ("different_host",)

    def suits(self, hints: Mapping[str, Any], hosts: Hosts, host: int) -> bool:
        """None of them is there."""
        return not _any_there(hints["different_host"], hosts, host)


class SameHostFilter(HintFilter):
    """Hosts with one of the servers of the hint ``same_host``."""

    name = "SameHostFilter"
    keys = ("same_host",)

    def suits(self, hints: Mapping[str, Any], hosts: Hosts, host: int) -> bool:
        """One of them is there."""
        return _any_there(hints["same_host"], hosts, host)


def _any_there(ids: Any, hosts: Hosts, host: int) -> bool:
    here = (hosts.facts or HostFacts()).instances(int(hosts.rows[host]))
    return any(each in here for each in ([ids] if isinstance(ids, str) else ids))


class SimpleCIDRAffinityFilter(HintFilter):
    """Hosts with an address in the network of the hints ``build_near_host_ip`` and ``cidr`` (``/24``)."""

    name = "SimpleCIDRAffinityFilter"
    keys = ("build_near_host_ip", "cidr")

    def suits(self, hints: Mapping[str, Any], hosts: Hosts, host: int) -> bool:
        """Its address is in the network; a host whose address is not known does not suit."""
        address = (hosts.facts or HostFacts()).described(int(hosts.rows[host])).host_ip
        if address is None:
            return False
        network = f"{hints['build_near_host_ip']}{hints.get('cidr', '/24')}"
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)


class JsonFilter(HintFilter):
    """Hosts that the query of the hint ``query`` lets through, such as ``[">=", "$free_ram_mb", 1024]``."""

    name = "JsonFilter"
    keys = ("query",)
    once = False

    def suits(self, hints: Mapping[str, Any], hosts: Hosts, host: int) -> bool:
        """The query is true of the host."""
        answer = _asked(json.loads(hints["query"]), hosts, host)
        return any(answer) if isinstance(answer, list) else bool(answer)


_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def _asked(query: Any, hosts: Hosts, host: int) -> Any:
    if not query:
        return True
    command, *arguments = query
    values = []
    for each in arguments:
        value = _asked(each, hosts, host) if isinstance(each, list) else each
        if isinstance(each, str):
            value = host_state.looked_up(hosts, host, tuple(each[1:].split("."))) if each[:1] == "$" else each or None
        if value is not None:
            values.append(value)
    if command == "not":
        return [not value for value in values]
    if command in ("and", "or"):
        return all(values) if command == "and" else any(values)
    if len(values) < 2:
        return False
    if command == "in":
        return values[0] in values[1:]
    return all(_COMPARED[command](values[0], value) for value in values[1:])
