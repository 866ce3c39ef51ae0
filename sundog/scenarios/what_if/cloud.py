"""Hosts as a pool with facts, and requests as the scheduler takes them: what Nova's API and pre-filters would do.

Source of the pre-filters: ``nova.scheduler.request_filter`` (OpenStack Nova 34, Apache-2.0), from its behaviour.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import os_traits

from sundog.core.pool import Inventory, Pool, ResourceClasses
from sundog.core.scheduler import Details, Request, ServerGroup, ServerGroups, Shape, make_shape
from sundog.core.scheduler.extra_specs import Asked, asked_of_placement
from sundog.core.scheduler.facts import Described, HostFacts
from sundog.core.scheduler.filters.aggregates import TENANT_KEY
from sundog.core.scheduler.image_properties import canonical, required_traits
from sundog.core.scheduler.nova_options import NovaOptions
from sundog.errors import PoolError
from sundog.scenarios.what_if.files import AggregateEntry, GroupEntry, HostEntry, InstanceEntry, Listed, RequestEntry

DISABLED = "COMPUTE_STATUS_DISABLED"
DEFAULT_ZONE = "nova"
_TRAITS_OF_PROPERTIES = {
    "hw_cdrom_bus": "COMPUTE_STORAGE_BUS",
    "hw_disk_bus": "COMPUTE_STORAGE_BUS",
    "hw_video_model": "COMPUTE_GRAPHICS_MODEL",
    "hw_vif_model": "COMPUTE_NET_VIF_MODEL",
    "hw_architecture": "HW_ARCH",
    "hw_emulation_architecture": "COMPUTE_ARCH",
    "hw_viommu_model": "COMPUTE_VIOMMU",
}
_OWN_FIELDS = {"VCPU": "vcpus", "MEMORY_MB": "memory_mb", "DISK_GB": "disk_gb"}
_NOT_DONE = (
    "accel:", "hw:ephemeral_encryption", "hw:locked_memory", "hw:maxphysaddr_mode", "hw:mem_encryption", "hw:pmem",
    "hw:pci_numa_affinity_policy", "hw:sound_model", "hw:tpm_version", "hw:virtio_packed_ring", "os:secure_boot",
    "pci_passthrough:",
)  # fmt: skip
"""Extra specs that would have Nova ask Placement for more than is asked here."""


@dataclass
class Cloud:
    """The hosts: pool, facts, groups, and what is needed to read requests against them."""

    pool: Pool
    facts: HostFacts
    groups: ServerGroups
    hosts: tuple[HostEntry, ...]
    options: NovaOptions
    by_lower_name: dict[str, list[str]]
    zones: frozenset[str]
    placed: dict[str, int] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    _seen: dict[str, Counter[str]] = field(default_factory=dict)
    _elsewhere: dict[str, None] = field(default_factory=dict)

    # ---------------------------------------------------------------- requests

    def request(self, listed: Listed[RequestEntry], number: int) -> Request:
        """Request ``number`` as the scheduler takes it; the members that its group had before are in the book then.

        Raises: InputError at the field that Nova or Placement would not take.
        """
        entry = listed.entries[number]
        group = self._group(entry.group)
        return Request(
            self._shape(listed, number),
            group,
            tuple(name for each in entry.ignore_hosts for name in self.by_lower_name.get(each.lower(), ())),
            self._forced(entry),
            str(entry.id),
        )

    def _forced(self, entry: RequestEntry) -> tuple[str, ...]:
        """The first host that is forced: the only one for which Nova asks Placement."""
        if not entry.force_hosts:
            return ()
        name = entry.force_hosts[0]
        near = self.by_lower_name.get(name.lower(), [])
        return (name,) if name in near or not near else (near[0],)

    def _group(self, entry: GroupEntry | None) -> ServerGroup | None:
        if entry is None:
            return None
        if any(name not in self.pool for name in entry.hosts):
            self._elsewhere[entry.id] = None
        seen = self._seen.setdefault(entry.id, Counter())
        for name, count in self._members(entry).items():
            for _ in range(count - seen[name]):
                self.groups.join(entry.id, self.pool.row(name))
            seen[name] = max(seen[name], count)
        return ServerGroup(entry.id, entry.policy, entry.rules.max_server_per_host)

    def _members(self, entry: GroupEntry) -> dict[str, int]:
        """How many members each host had: as often as it is named, or as many of its servers as are members."""
        named = Counter(name for name in entry.hosts if name in self.pool)
        members = [each for each in entry.members if each not in self.placed]
        if members:
            for host in self.hosts:
                here = self.facts.instances(self.pool.row(host.name))
                named[host.name] = max(named[host.name], sum(each in here for each in members))
        return {name: count for name, count in named.items() if count}

    def _shape(self, listed: Listed[RequestEntry], number: int) -> Shape:
        entry = listed.entries[number]
        asked = self._asked(listed, number)
        image = entry.image_properties
        required = [*entry.required_traits, *asked.required, *required_traits(image or {})]
        isolated = self._isolated(required)
        shape = make_shape(
            self._resources(entry, asked),
            required_traits=[*required, *self._traits_of_image(entry)],
            forbidden_traits=[*entry.forbidden_traits, *asked.forbidden, DISABLED],
            aggregates=self._tenant_aggregates(entry.project_id),
            forbidden_aggregates=isolated,
            zone=self._zone(entry.zone),
            details=Details(
                flavor=entry.flavor,
                extra_specs=tuple(sorted(entry.extra_specs.items())),
                image_id=entry.image_id,
                image_properties=None if image is None else canonical(image),
                project_id=entry.project_id,
                hints=tuple(sorted((key, json.dumps(value)) for key, value in entry.scheduler_hints.items())),
                forced=bool(entry.force_hosts),
                group_elsewhere=entry.group is not None and entry.group.id in self._elsewhere,
                cell=entry.cell,
                cross_cell=entry.allow_cross_cell_move,
                vcpus=entry.vcpus,
                memory_mb=entry.memory_mb,
                disk_gb=entry.root_gb + entry.ephemeral_gb,
            ),
        )
        self._note(entry)
        return shape

    def _asked(self, listed: Listed[RequestEntry], number: int) -> Asked:
        entry = listed.entries[number]
        try:
            asked = asked_of_placement(entry.extra_specs)
            for name in asked.resources:
                self.pool.classes.add(name)
        except (ValueError, PoolError) as exc:
            raise listed.error((number, "extra_specs"), str(exc)) from None
        if len(asked.suffixes) > 1 and asked.group_policy != "none":
            why = "asks for several providers, and a host here is one"
            if asked.group_policy is None:
                why = "is missing, and Placement refuses several numbered groups without it"
            raise listed.error((number, "extra_specs"), f"group_policy {why}; write group_policy: none")
        return asked

    def _resources(self, entry: RequestEntry, asked: Asked) -> dict[str, float]:
        """What Placement is asked: the flavor's amounts, unless its extra specs say otherwise."""
        wanted: dict[str, float] = {}
        if "PCPU" not in asked.resources:
            wanted["VCPU"] = entry.vcpus
        wanted["MEMORY_MB"] = entry.memory_mb
        swap_gb = -(-entry.swap_mb // 1024)
        wanted["DISK_GB"] = entry.ephemeral_gb + swap_gb + (0 if entry.boot_from_volume else entry.root_gb)
        return wanted | asked.resources

    def _traits_of_image(self, entry: RequestEntry) -> list[str]:
        traits: list[str] = []
        by_format = self.options.query_placement_for_image_type_support and not entry.boot_from_volume
        if by_format and entry.image_disk_format is not None:
            traits.append(f"COMPUTE_IMAGE_TYPE_{entry.image_disk_format.upper()}")
        if self.options.image_metadata_prefilter:
            given = dict(canonical(entry.image_properties or {}))
            pairs = [(prefix, given[key]) for key, prefix in _TRAITS_OF_PROPERTIES.items() if key in given]
            of_properties = [f"{prefix}_{value.replace('-', '_').upper()}" for prefix, value in pairs]
            if all(hasattr(os_traits, trait) for trait in of_properties):  # else Nova asks for none of them
                traits.extend(of_properties)
        return [trait for trait in traits if hasattr(os_traits, trait)]

    def _tenant_aggregates(self, project: str | None) -> list[list[str]]:
        """The aggregates to which ``limit_tenants_to_placement_aggregate`` confines a project."""
        if not self.options.limit_tenants_to_placement_aggregate:
            return []
        found = [
            name
            for name in self.facts.aggregates
            if project in self.facts.metadata(name).values()
            and any(key.startswith(TENANT_KEY) for key in self.facts.metadata(name))
        ]
        if not found and self.options.placement_aggregate_required_for_tenants:
            return [[f"those of project {project}"]]  # there are none
        return [found] if found else []

    def _isolated(self, required: list[str]) -> list[str]:
        """The aggregates that ask for a trait that is not asked for (``enable_isolated_aggregate_filtering``)."""
        if not self.options.enable_isolated_aggregate_filtering:
            return []
        return [
            name
            for name in self.facts.aggregates
            if any(
                key.startswith("trait:") and value == "required" and key.removeprefix("trait:") not in required
                for key, value in self.facts.metadata(name).items()
            )
        ]

    def _zone(self, zone: str | None) -> str | None:
        """The zone asked for. Nova's default zone has no aggregate, so that Nova does not look for it."""
        return None if zone == DEFAULT_ZONE and zone not in self.zones else zone

    def _note(self, entry: RequestEntry) -> None:
        for key in entry.extra_specs:
            if key.startswith(_NOT_DONE):
                self.notes[f"extra spec {key} is not emulated; it was left out"] = None


# ---------------------------------------------------------------- hosts


def make_cloud(listed: Listed[HostEntry], options: NovaOptions) -> Cloud:
    """The pool and the facts of the hosts of a file, in its order.

    Raises: InputError at the field of a resource class that there is not.
    """
    classes = ResourceClasses()
    for number, host in enumerate(listed.entries):
        for name in host.inventories:
            try:
                if name in _OWN_FIELDS:
                    raise PoolError(f"is what the host's own field {_OWN_FIELDS[name]} says")
                classes.add(name)
            except PoolError as exc:
                raise listed.error((number, "inventories", name), str(exc), of_key=True) from None
    pool, facts = Pool(classes), HostFacts()
    rows = pool.add_providers([host.name for host in listed.entries])
    aggregates: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
    for number, (row, host) in enumerate(zip(rows.tolist(), listed.entries, strict=True)):
        try:
            _fill(pool, facts, row, host)
        except PoolError as exc:
            raise listed.error((number,), str(exc)) from None
        pool.set_aggregates(row, [_aggregate(facts, aggregates, each) for each in host.aggregates])
    by_lower_name: dict[str, list[str]] = {}
    for host in listed.entries:
        by_lower_name.setdefault(host.name.lower(), []).append(host.name)
    zones = frozenset(zone for host in listed.entries if (zone := _zone_of(host)) is not None)
    return Cloud(pool, facts, ServerGroups(), listed.entries, options, by_lower_name, zones)


def _fill(pool: Pool, facts: HostFacts, row: int, host: HostEntry) -> None:
    """Everything about one host but its aggregates. What it has used is one claim, of consumer ``row``."""
    used = {"VCPU": host.vcpus_used, "MEMORY_MB": host.memory_mb_used, "DISK_GB": host.disk_gb_used}
    used |= {name: each.used for name, each in host.inventories.items()}
    pool.set_inventory(row, {name: Inventory(amount) for name, amount in used.items()})
    claimed = any(used.values())
    if claimed:
        pool.claim(row, [(row, pool.classes.amounts(used))])
    # Only now what there is: more may be used than that, which no claim could have taken.
    pool.set_inventory(
        row,
        {
            "VCPU": Inventory(host.vcpus, 0, host.cpu_allocation_ratio),
            "MEMORY_MB": Inventory(host.memory_mb, 0, host.ram_allocation_ratio),
            "DISK_GB": Inventory(host.disk_gb, 0, host.disk_allocation_ratio),
        }
        | {name: each.inventory() for name, each in host.inventories.items()},
    )
    pool.set_traits(row, host.traits)
    zone = _zone_of(host)
    if zone is not None:
        pool.set_zone(row, zone)
    if not host.enabled:
        pool.set_status(row, enabled=False)
    instances = len(host.instances) if host.num_instances is None else host.num_instances
    free_gb = host.disk_gb - host.disk_gb_used
    least_gb = free_gb if host.disk_available_least is None else min(free_gb, host.disk_available_least)
    numbers = {
        "num_instances": instances - claimed,
        "num_io_ops": host.num_io_ops,
        "failed_builds": host.failed_builds,
        "hypervisor_version": host.hypervisor_version,
        "pci_devices_free": host.pci_devices_free,
        "disk_gb_used": free_gb - least_gb,
    }
    facts.add(pool.rows, row, **{name: number for name, number in numbers.items() if number})
    facts.describe(
        row,
        Described(
            uuid=host.uuid,
            hypervisor_type=host.hypervisor_type,
            host_ip=host.host_ip,
            cell=host.cell,
            cpu_info=host.cpu_info,
            stats=_stats(host, instances),
            metrics=host.metrics,
            supported_instances=_supported(host),
        ),
    )
    for each in host.instances:
        if isinstance(each, InstanceEntry):
            facts.add_instance(row, each.id, canonical(each.image_properties))
        else:
            facts.add_instance(row, each)


def _stats(host: HostEntry, instances: int) -> Mapping[str, Any]:
    """What a compute service reports beside its resources; Nova reads three of its own facts from there."""
    own = {"num_instances": instances, "io_workload": host.num_io_ops, "failed_builds": host.failed_builds}
    return {key: str(value) for key, value in own.items()} | host.stats


def _supported(host: HostEntry) -> tuple[tuple[str, ...], ...]:
    """What the host runs. Where the file does not say: x86_64 machines of its hypervisor type, fully virtualised.

    A QEMU host runs both qemu and kvm, as libvirt reports it.
    """
    if host.supported_instances is not None:
        return host.supported_instances
    if host.hypervisor_type is None:
        return ()
    kind = host.hypervisor_type.lower()
    architecture = str(host.cpu_info.get("arch", "x86_64"))
    return tuple((architecture, each, "hvm") for each in (("qemu", "kvm") if kind in ("qemu", "kvm") else (kind,)))


def _zone_of(host: HostEntry) -> str | None:
    """The zone given, or that of the first of its aggregates that is one."""
    zones = (each.metadata.get("availability_zone") for each in host.aggregates)
    return host.zone or next((zone for zone in zones if zone), None)


def _aggregate(
    facts: HostFacts, known: dict[tuple[str, tuple[tuple[str, str], ...]], str], entry: AggregateEntry
) -> str:
    """The aggregate's name in the pool. One name with other metadata on another host is another aggregate."""
    key = (entry.name, tuple(sorted(entry.metadata.items())))
    if key not in known:
        namesakes = sum(name == entry.name for name, _ in known)
        known[key] = f"{entry.name} ({namesakes + 1})" if namesakes else entry.name
        facts.set_metadata(known[key], entry.metadata)
    return known[key]


def check_hints(listed: Listed[RequestEntry]) -> None:
    """See that the query of every ``query`` hint can be read.

    Raises: InputError at the hint.
    """
    for number, entry in enumerate(listed.entries):
        query = entry.scheduler_hints.get("query")
        text = query[0] if isinstance(query, list) and len(query) == 1 else query
        if text is None:
            continue
        try:
            if not isinstance(json.loads(text), list):
                raise ValueError
        except (ValueError, TypeError):
            raise listed.error((number, "scheduler_hints", "query"), "must be a text, and that a JSON list") from None
