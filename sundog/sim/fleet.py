"""The fleet: hosts of several types in zones and racks, as columns, and how they enter the pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sundog.core.pool import Inventory, Pool, ResourceClass, ResourceClasses
from sundog.errors import InputError
from sundog.sim.spec import HostGroup, HostType, Overcommit

GPU = "PGPU"
"""The class of a GPU: each is a child provider of its host, so that a fraction comes from one device."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of resource as results show it: the column's name, the pool's class, what people call it and its unit."""

    name: str
    resource_class: str
    label: str
    unit: str


VCPUS = Resource("vcpus", "VCPU", "vCPU", "vCPU")
MEMORY = Resource("memory_mb", "MEMORY_MB", "Memory", "MiB")
DISK = Resource("disk_gb", "DISK_GB", "Disk", "GiB")
GPUS = Resource("gpus", GPU, "GPU", "GPU")


def custom_resource(resource_class: str) -> Resource:
    """The resource of a custom class: ``CUSTOM_NIC`` is the column ``nic``."""
    name = resource_class.removeprefix("CUSTOM_").lower()
    return Resource(name, resource_class, name, name)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Hosts by index, in the order of the scenario; every tuple has one entry a host."""

    groups: tuple[HostGroup, ...]
    overcommit: Overcommit
    names: tuple[str, ...]
    racks: tuple[str, ...]
    group: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.names)

    def type_of(self, host: int) -> HostType:
        """The type of a host."""
        return self._group_of(host).type

    def zone_of(self, host: int) -> str:
        """The zone of a host; empty if it has none."""
        return self._group_of(host).zone or ""

    def at(self, host: int) -> float:
        """When a host enters service, in seconds."""
        return self._group_of(host).at

    def _group_of(self, host: int) -> HostGroup:
        return self.groups[int(self.group[host])]

    def hosts_of_group(self, group: int) -> list[int]:
        """The hosts that one entry of the scenario's fleet stands for."""
        return np.flatnonzero(self.group == group).tolist()

    def racks_with_hosts(self) -> dict[str, list[int]]:
        """Hosts by rack, in the order of the fleet."""
        found: dict[str, list[int]] = {}
        for host, rack in enumerate(self.racks):
            found.setdefault(rack, []).append(host)
        return found

    def select(
        self,
        *,
        zone: str | None = None,
        rack: str | None = None,
        host_type: str | None = None,
        hosts: Sequence[str] = (),
    ) -> list[int]:
        """Hosts that fit everything given.

        Raises: InputError if a name is unknown or nothing is selected.
        """
        known: dict[str, list[str]] = {
            "zone": list(dict.fromkeys(g.zone for g in self.groups if g.zone is not None)),
            "rack": list(dict.fromkeys(self.racks)),
            "type": list(dict.fromkeys(g.type.name for g in self.groups)),
        }
        for what, name in (("zone", zone), ("rack", rack), ("type", host_type)):
            if name is not None and name not in known[what]:
                names = ", ".join(known[what][:8]) or "none"
                raise InputError(f"the fleet has no {what} {name!r}; it has {names}", name=name)
        unknown = [name for name in hosts if name not in self.names]
        if unknown:
            raise InputError(f"the fleet has no host {unknown[0]!r}; names are such as {self.names[0]!r}")
        found = [
            host
            for host in range(len(self))
            if (zone is None or self.zone_of(host) == zone)
            and (rack is None or self.racks[host] == rack)
            and (host_type is None or self.type_of(host).name == host_type)
            and (not hosts or self.names[host] in hosts)
        ]
        if not found:
            asked = (("zone", zone), ("rack", rack), ("type", host_type), ("host", ", ".join(hosts) or None))
            both = ", ".join(f"{what} {name!r}" for what, name in asked if name is not None)
            raise InputError(f"no host of the fleet has all of {both}; leave one of them out")
        return found

    def sizes(self, host_type: HostType, resource: Resource) -> float:
        """The physical amount of a resource that a host of this type has."""
        fixed = {
            "VCPU": host_type.vcpus,
            "MEMORY_MB": host_type.memory,
            "DISK_GB": host_type.disk or 0.0,
            GPU: float(host_type.gpus),
        }
        if resource.resource_class in fixed:
            return fixed[resource.resource_class]
        return host_type.resources.get(resource.resource_class, 0.0)

    def resources(self) -> tuple[Resource, ...]:
        """The resources that any host has, in the order in which results show them."""
        types = [group.type for group in self.groups]
        custom = dict.fromkeys(name for each in types for name in each.resources)
        return (
            VCPUS,
            MEMORY,
            *([DISK] if any(each.disk for each in types) else []),
            *([GPUS] if any(each.gpus for each in types) else []),
            *(custom_resource(name) for name in custom),
        )

    def inventory(self, host_type: HostType) -> dict[str, Inventory]:
        """What a host of this type has itself; its GPUs are providers of their own."""
        kept, ratio = host_type.reserved, self.overcommit
        own = {
            "VCPU": Inventory(host_type.vcpus, kept.vcpus, ratio.vcpus),
            "MEMORY_MB": Inventory(host_type.memory, kept.memory, ratio.memory),
        }
        if host_type.disk is not None:
            own["DISK_GB"] = Inventory(host_type.disk, kept.disk, ratio.disk)
        return own | {name: Inventory(amount) for name, amount in host_type.resources.items()}

    def traits(self, host_type: HostType) -> tuple[str, ...]:
        """Traits of a host of this type: its own, its machine's and its GPUs'."""
        traits = list(host_type.traits)
        if host_type.machine is not None:
            traits.append(machine_trait(host_type.machine))
        if host_type.gpus and host_type.gpu_model is not None:
            traits.append(gpu_trait(host_type.gpu_model))
        return tuple(traits)

    def enter(self, pool: Pool, group: int) -> list[int]:
        """Put the hosts of one fleet entry into the pool; returns their rows, in the order of the hosts."""
        spec, hosts = self.groups[group], self.hosts_of_group(group)
        rows: list[int] = pool.add_providers(
            [self.names[host] for host in hosts],
            self.inventory(spec.type),
            zone=spec.zone,
            traits=self.traits(spec.type),
            aggregates=spec.aggregates,
        ).tolist()
        if spec.type.gpus:
            devices = [f"{self.names[host]}:gpu{index}" for host in hosts for index in range(spec.type.gpus)]
            parents = [row for row in rows for _ in range(spec.type.gpus)]
            pool.add_providers(devices, {GPU: 1}, parent=parents)
        return rows


def build_fleet(groups: Sequence[HostGroup], overcommit: Overcommit) -> Fleet:
    """Name the hosts and racks of a scenario's fleet.

    Hosts are ``<type>-<number>``, counted through a type; racks are ``<zone>-r<number>``, counted through a zone.
    Raises: InputError if one type name is given with two different definitions.
    """
    types: dict[str, HostType] = {}
    hosts_of: dict[str, int] = {}
    racks_of: dict[str, int] = {}
    names: list[str] = []
    racks: list[str] = []
    index: list[int] = []
    totals: dict[str, int] = {}
    for each in groups:
        totals[each.type.name] = totals.get(each.type.name, 0) + each.count
    for number, each in enumerate(groups):
        if types.setdefault(each.type.name, each.type) != each.type:
            raise InputError(
                f"host type {each.type.name!r} is defined twice, differently; give one of them another name"
            )
        width = len(str(totals[each.type.name] - 1))
        first, zone = hosts_of.get(each.type.name, 0), each.zone or "rack"
        rack = racks_of.get(zone, 0)
        names.extend(f"{each.type.name}-{first + i:0{width}d}" for i in range(each.count))
        racks.extend(f"{zone}-r{rack + i * each.racks // each.count}" for i in range(each.count))
        index.extend([number] * each.count)
        hosts_of[each.type.name] = first + each.count
        racks_of[zone] = rack + each.racks
    return Fleet(tuple(groups), overcommit, tuple(names), tuple(racks), np.asarray(index, dtype=np.int32))


def classes_for(resources: Sequence[Resource], scales: dict[str, int]) -> ResourceClasses:
    """The pool's classes for these resources, each counted at its scale (1 where none is given)."""
    return ResourceClasses(ResourceClass(r.resource_class, scales.get(r.resource_class, 1)) for r in resources)


def machine_trait(machine: str) -> str:
    """The trait of hosts that a trace calls machine ``machine``."""
    return "CUSTOM_MACHINE_" + _token(machine)


def gpu_trait(model: str) -> str:
    """The trait of hosts with this model of GPU."""
    return "CUSTOM_GPU_" + _token(model)


def _token(text: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in text.upper())
