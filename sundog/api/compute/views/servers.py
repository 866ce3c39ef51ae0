"""Servers, by version and by who looks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sundog.api.compute.policy import RULES
from sundog.api.compute.views.common import BASE, when_to_microsecond
from sundog.api.kit.context import Context
from sundog.control.compute.records import Address, Fault, Host, Server, ServerFlavor
from sundog.core.lifecycle.statuses import status_of
from sundog.core.scheduler.image_properties import KNOWN, OLD_NAMES

_PROGRESSING: Final = frozenset(("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"))
_FAULTY: Final = frozenset(("ERROR", "DELETED"))
_HOMELESS: Final = "shelved_offloaded"
"""The state of a server that is on no host, though it may be known where it was."""

_EXTRA_SPECS: Final = RULES["os_compute_api:servers:show:flavor-extra-specs"]
_ATTRIBUTES: Final = RULES["os_compute_api:os-extended-server-attributes"]
_HOST_STATUS: Final = RULES["os_compute_api:servers:show:host_status"]
_HOST_UNKNOWN: Final = RULES["os_compute_api:servers:show:host_status:unknown-only"]


@dataclass(frozen=True, slots=True)
class Around:
    """What is told with servers and is not in them: addresses and security groups by server, hosts by uuid."""

    addresses: Mapping[str, Sequence[Address]] = field(default_factory=dict)
    security_groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    hosts: Mapping[str, Host] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shape:
    """Which parts are told. Each is said in the version that brought it, or asked of policy once for all servers.

    ``full`` is False for the short form that an update and a rebuild answered before 2.75. ``host_status`` is None for
    nobody's, or whether it is told whatever it is (True), or only when it is unknown (False).
    """

    root: str
    full: bool = True
    fault_details: bool = False
    launch_details: bool = False
    locked: bool = False
    host_status: bool | None = None
    description: bool = False
    tags: bool = False
    flavor: bool = False
    extra_specs: bool = False
    certificates: bool = False
    groups: bool = False
    locked_reason: bool = False
    hostname: bool = False
    pinned_zone: bool = False
    image_properties: bool = False
    hints: bool = False
    attributes: bool = False
    user_data: bool = True
    keypair: bool = True


def shape(ctx: Context, project_id: str, *, groups: bool = True, short: bool = False, rebuilt: bool = False) -> Shape:
    """What is told to a client of servers of a project.

    ``groups``: not in a list. ``short``: of an answer that was short before 2.75; ``rebuilt``: and is a rebuild's.
    """
    target = {"project_id": project_id}
    since = ctx.at_least
    full = not short or since("2.75")
    flavor = since("2.47")
    host_status: bool | None = None
    if full and since("2.16"):
        if ctx.may(_HOST_STATUS, target):
            host_status = True
        elif ctx.may(_HOST_UNKNOWN, target):
            host_status = False
    return Shape(
        root=ctx.link(""),
        full=full,
        fault_details=ctx.who.is_admin,
        launch_details=since("2.3"),
        locked=since("2.9"),
        host_status=host_status,
        description=since("2.19"),
        tags=since("2.26"),
        flavor=flavor,
        extra_specs=flavor and ctx.may(_EXTRA_SPECS, target),
        certificates=since("2.63"),
        groups=groups and since("2.71"),
        locked_reason=since("2.73"),
        hostname=since("2.90"),
        pinned_zone=full and since("2.96"),
        image_properties=since("2.98"),
        hints=since("2.100"),
        attributes=full and ctx.may(_ATTRIBUTES, target),
        user_data=not rebuilt,
        keypair=full or (rebuilt and since("2.54")),
    )


def basic(root: str, server: Server) -> dict[str, Any]:
    """A server in the short list."""
    return {"id": server.id, "name": server.name, "links": _links(root, server.id)}


def created(root: str, server: Server, security_groups: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """What is told of a server that was just asked for."""
    return {
        "id": server.id,
        "links": _links(root, server.id),
        "OS-DCF:diskConfig": server.disk_config,
        "security_groups": list(security_groups),
    }


def detailed(shape: Shape, server: Server, around: Around) -> dict[str, Any]:
    """All that is told of a server. This is done a thousand times for a page: no look-up and no policy in here."""
    status = status_of(server.vm_state, server.task_state, deleted=server.deleted_at is not None)
    host = _host(server, around.hosts)
    building = server.vm_state == "building"
    told: dict[str, Any] = {
        "id": server.id,
        "name": server.name,
        "status": status,
        "tenant_id": server.project_id,
        "user_id": server.user_id,
        "metadata": server.metadata,
        "hostId": host_id(server.project_id, host.name) if host is not None else "",
        "image": _image(shape, server),
        "flavor": _flavor(shape, server.flavor),
        "created": _second(server.created_at),
        "updated": _second(server.updated_at),
        "addresses": {} if building else addresses(around.addresses.get(server.id, ()), extended=shape.full),
        "accessIPv4": server.access_ip_v4 or "",
        "accessIPv6": server.access_ip_v6 or "",
        "links": _links(shape.root, server.id),
        "OS-DCF:diskConfig": server.disk_config,
    }
    if status in _FAULTY and server.fault is not None:
        told["fault"] = _fault(server.fault, details=shape.fault_details)
    if status in _PROGRESSING:
        told["progress"] = server.progress
    if shape.keypair:
        told["key_name"] = server.key_name
    if shape.full:
        told |= _full(server, host, around.security_groups.get(server.id, ()))
    if shape.attributes:
        told |= _attributes(shape, server, host)
    if shape.locked:
        told["locked"] = server.locked_by is not None
    if shape.host_status is not None:
        host_status = status_of_host(host)
        if shape.host_status or host_status == "UNKNOWN":
            told["host_status"] = host_status
    if shape.description:
        told["description"] = server.description
    if shape.tags:
        told["tags"] = list(server.tags)
    if shape.certificates:
        told["trusted_image_certificates"] = None if server.trusted_certs is None else list(server.trusted_certs)
    if shape.groups:
        told["server_groups"] = [] if server.group_id is None else [server.group_id]
    if shape.locked_reason:
        told["locked_reason"] = server.locked_reason
    if shape.hostname:
        told["OS-EXT-SRV-ATTR:hostname"] = server.hostname
    if shape.pinned_zone:
        told["pinned_availability_zone"] = server.availability_zone
    if shape.hints:
        told["scheduler_hints"] = dict(server.hints)
    return told


def addresses(known: Iterable[Address], *, extended: bool = False) -> dict[str, list[dict[str, Any]]]:
    """Addresses by the name of their network, the fixed ones first."""
    by_network: dict[str, list[dict[str, Any]]] = {}
    floating: list[tuple[list[dict[str, Any]], dict[str, Any]]] = []
    for each in known:
        told: dict[str, Any] = {"version": each.version, "addr": each.address}
        if extended:
            told["OS-EXT-IPS:type"] = each.kind
            told["OS-EXT-IPS-MAC:mac_addr"] = each.mac
        on = by_network.setdefault(each.network, [])
        if each.kind == "floating":
            floating.append((on, told))
        else:
            on.append(told)
    for on, told in floating:
        on.append(told)
    return by_network


def host_id(project_id: str, host_name: str) -> str:
    """A host's name as a project may see it: the same for all its servers there, another for each project."""
    return hashlib.sha224(f"{project_id}{host_name}".encode()).hexdigest()


def status_of_host(host: Host | None) -> str:
    """Nova's host status: empty for no host."""
    if host is None:
        return ""
    if host.forced_down:
        return "DOWN"
    if host.disabled:
        return "MAINTENANCE"
    return "UP" if host.is_up else "UNKNOWN"


def hosts_of(servers: Iterable[Server], by_uuid: Callable[[str], Host | None]) -> dict[str, Host]:
    """The hosts that servers are on, each looked up once."""
    found = {uuid: by_uuid(uuid) for uuid in dict.fromkeys(each.host for each in servers) if uuid is not None}
    return {uuid: host for uuid, host in found.items() if host is not None}


# ---------------------------------------------------------------- parts


def _host(server: Server, hosts: Mapping[str, Host]) -> Host | None:
    if server.host is None or server.vm_state == _HOMELESS:
        return None
    return hosts.get(server.host)


def _full(server: Server, host: Host | None, security_groups: Sequence[str]) -> dict[str, Any]:
    zone = host.zone if host is not None else server.availability_zone
    told: dict[str, Any] = {
        "OS-EXT-AZ:availability_zone": "" if server.vm_state == _HOMELESS else zone or "",
        "config_drive": "True" if server.config_drive else "",
        "OS-SRV-USG:launched_at": when_to_microsecond(server.launched_at),
        "OS-SRV-USG:terminated_at": when_to_microsecond(server.terminated_at),
        "OS-EXT-STS:task_state": server.task_state,
        "OS-EXT-STS:vm_state": server.vm_state,
        "OS-EXT-STS:power_state": server.power_state,
        "os-extended-volumes:volumes_attached": [],
    }
    if security_groups:
        told["security_groups"] = [{"name": name} for name in security_groups]
    return told


def _attributes(shape: Shape, server: Server, host: Host | None) -> dict[str, Any]:
    name = None if host is None else host.name
    told: dict[str, Any] = {
        "OS-EXT-SRV-ATTR:host": name,
        "OS-EXT-SRV-ATTR:instance_name": f"instance-{server.number:08x}",
        "OS-EXT-SRV-ATTR:hypervisor_hostname": name,
    }
    if shape.launch_details:
        told |= {
            "OS-EXT-SRV-ATTR:hostname": server.hostname,
            "OS-EXT-SRV-ATTR:kernel_id": "",
            "OS-EXT-SRV-ATTR:launch_index": server.launch_index,
            "OS-EXT-SRV-ATTR:ramdisk_id": "",
            "OS-EXT-SRV-ATTR:reservation_id": server.reservation_id,
            "OS-EXT-SRV-ATTR:root_device_name": server.root_device_name,
        }
        if shape.user_data:
            told["OS-EXT-SRV-ATTR:user_data"] = server.user_data
    return told


def _image(shape: Shape, server: Server) -> dict[str, Any] | str:
    if server.image_id is None:
        return ""
    href = f"{shape.root}/images/{server.image_id}"
    told: dict[str, Any] = {"id": server.image_id, "links": [{"rel": "bookmark", "href": href}]}
    if shape.image_properties:
        properties = {} if server.image is None else server.image.properties
        told["properties"] = {
            name: value
            for name, value in properties.items()
            if value is not None and (name in KNOWN or name in OLD_NAMES)
        }
    return told


def _flavor(shape: Shape, flavor: ServerFlavor) -> dict[str, Any]:
    if not shape.flavor:
        href = f"{shape.root}/flavors/{flavor.id}"
        return {"id": flavor.id, "links": [{"rel": "bookmark", "href": href}]}
    told: dict[str, Any] = {
        "vcpus": flavor.vcpus,
        "ram": flavor.memory_mb,
        "disk": flavor.root_gb,
        "ephemeral": flavor.ephemeral_gb,
        "swap": flavor.swap_mb,
        "original_name": flavor.name,
    }
    if shape.extra_specs:
        told["extra_specs"] = dict(flavor.extra_specs)
    return told


def _fault(fault: Fault, *, details: bool) -> dict[str, Any]:
    created = f"{fault.created[:19]}Z"
    told: dict[str, Any] = {"code": fault.code, "created": created, "message": fault.message}
    if fault.details and (details or fault.code != 500):
        told["details"] = fault.details
    return told


def _links(root: str, server_id: str) -> list[dict[str, str]]:
    return [
        {"rel": "self", "href": f"{root}{BASE}/servers/{server_id}"},
        {"rel": "bookmark", "href": f"{root}/servers/{server_id}"},
    ]


def _second(value: datetime) -> str:
    # Quicker than strftime by far.
    return value.isoformat()[:19] + "Z"
