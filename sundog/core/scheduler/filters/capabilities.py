"""Filters that compare what a host reports with extra specs and image properties."""

from __future__ import annotations

import itertools
import re

import numpy as np

from sundog.core.pool.pool import Bools
from sundog.core.scheduler import host_state
from sundog.core.scheduler.extra_specs import match
from sundog.core.scheduler.facts import HostFacts
from sundog.core.scheduler.filters.nova_base import NovaFilter, details_of
from sundog.core.scheduler.hosts import Demand, Hosts
from sundog.core.scheduler.image_properties import one_name
from sundog.core.scheduler.request import Request

SCOPE = "capabilities"
_PREDICATE = re.compile(r"\s*(<=|>=|<|>|!=|==)\s*(\d+(?:\.\d+)*)\s*")


class ComputeCapabilitiesFilter(NovaFilter):
    """Hosts whose own attributes match the extra specs ``capabilities:…``, and those without a scope of that name."""

    name = "ComputeCapabilitiesFilter"
    static = False  # free memory and the like may be asked for

    def hosts_that_pass(self, request: Request, hosts: Hosts) -> Bools | None:
        """All that is asked matches."""
        asked = self._asked(request)
        if not asked or hosts.facts is None:
            return None if not asked else self._matching(asked, hosts)
        if any(path[0] in host_state.MOVING for path, _, _ in asked):
            return self._matching(asked, hosts)
        kept: Bools = hosts.facts.keep(hosts, (self.name, tuple(asked)), lambda: self._matching(asked, hosts))
        return kept

    def _matching(self, asked: list[tuple[tuple[str, ...], str, bool]], hosts: Hosts) -> Bools:
        return np.fromiter((self._wrong(asked, hosts, host) is None for host in range(hosts.n)), bool, hosts.n)

    def _asked(self, request: Request) -> list[tuple[tuple[str, ...], str, bool]]:
        """(path, what is wanted, whether a host may have none) of each extra spec that is for this filter."""
        asked: list[tuple[tuple[str, ...], str, bool]] = []
        for key, wanted in details_of(request).extra_specs:
            if key == "hw:maxphysaddr_bits":
                asked.append((("cpu_info", "maxphysaddr", "bits"), f">= {wanted}", False))
                continue
            scope, *path = key.split(":")
            if not path:
                asked.append(((scope,), wanted, True))
            elif scope == SCOPE:
                asked.append((tuple(path), wanted, False))
        return asked

    def _wrong(self, asked: list[tuple[tuple[str, ...], str, bool]], hosts: Hosts, host: int) -> str | None:
        for path, wanted, optional in asked:
            if optional and not host_state.has(hosts, host, path[0]):
                continue
            found = host_state.looked_up(hosts, host, path)
            if found is None or not match(str(found), wanted):
                return f"{':'.join(path)} is {'not known' if found is None else found}; asked {wanted}"
        return None

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """The first that does not match."""
        return self._wrong(self._asked(request), hosts, host) or "it matches by now"


class ImagePropertiesFilter(NovaFilter):
    """Hosts that run the image's architecture, hypervisor type and vm mode, in a hypervisor version that it takes."""

    name = "ImagePropertiesFilter"

    def hosts_that_pass(self, request: Request, hosts: Hosts) -> Bools | None:
        """One of the host's supported instances has all that is asked."""
        if not any(self._asked(request)):
            return None
        wrong = (self._wrong(request, hosts, host) for host in range(hosts.n))
        return np.fromiter((each is None for each in wrong), bool, hosts.n)

    def _asked(self, request: Request) -> tuple[str | None, str | None, str | None]:
        given = dict(details_of(request).image_properties or ())
        default = self.options.image_properties_default_architecture
        architecture = given.get("hw_architecture", default)
        return (
            one_name("hw_architecture", architecture) if architecture else None,
            given.get("img_hv_type"),
            given.get("hw_vm_mode"),
        )

    def _wrong(self, request: Request, hosts: Hosts, host: int) -> str | None:
        asked = [each for each in self._asked(request) if each]
        facts, row = hosts.facts or HostFacts(), int(hosts.rows[host])
        supported = facts.described(row).supported_instances
        if not any(all(each in one for each in asked) for one in supported):
            there = " or ".join("/".join(each) for each in supported) or "nothing that is known"
            return f"the host runs {there}; the image asks {'/'.join(asked)}"
        version = facts.value("hypervisor_version", row)
        wanted = dict(details_of(request).image_properties or ()).get("img_hv_requested_version")
        if version and wanted and not satisfies(version, wanted):
            return f"the hypervisor is {_written(version)}; the image asks {wanted}"
        return None

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """What the host runs, and what is asked."""
        return self._wrong(request, hosts, host) or "it suits by now"


def satisfies(version: int, predicate: str) -> bool:
    """Whether a version as Nova's number is what a predicate wants: ``>=2.6,<3``. False for one that cannot be read."""
    here = tuple(int(part) for part in _written(version).split("."))
    for each in predicate.split(","):
        found = _PREDICATE.fullmatch(each)
        if found is None:
            return False
        other = tuple(int(part) for part in found[2].split("."))
        pairs = list(itertools.zip_longest(here, other, fillvalue=0))
        left, right = [a for a, _ in pairs], [b for _, b in pairs]
        order = (left > right) - (left < right)
        passes = {
            "<": order < 0,
            "<=": order <= 0,
            "==": order == 0,
            ">": order > 0,
            ">=": order >= 0,
            "!=": order != 0,
        }
        if not passes[found[1]]:
            return False
    return True


def _written(version: int) -> str:
    """2012000 as 2.12.0."""
    parts = []
    while version:
        version, part = divmod(version, 1000)
        parts.append(part)
    return ".".join(str(part) for part in reversed(parts)) or "0"
