"""From what a client says of a new or changed server to what the control plane is asked. Pure, but for policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas.common import check_uuid
from sundog.api.kit.context import Context
from sundog.control.compute.records import AskedNetwork, Flavor, Host, NewServer, Server
from sundog.errors import Conflict, Forbidden, Invalid, NotFound

Told = Mapping[str, Any]
"""A part of a body by the names of the wire, with what the client said and nothing else."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone, and perhaps a host that the server must be on, from ``zone``, ``zone:host`` or ``zone:host:node``."""

    name: str | None = None
    host: str | None = None
    node: str | None = None


def parse_zone(text: str | None) -> Zone:
    """What an availability zone says.

    Raises: Invalid for too many parts.
    """
    if not text:
        return Zone()
    zone, *rest = text.split(":")
    if len(rest) > 2:
        raise Invalid("Invalid input received: Unable to parse availability_zone")
    host, node = (*rest, "", "")[:2]
    return Zone(zone or None, host or None, node or None)


def parse_networks(told: Sequence[Told] | str | None) -> Sequence[AskedNetwork] | None:
    """The networks that are asked for: None lets the cloud choose, empty is none.

    Raises: Invalid for a port that is there twice or with an address, or a network that is not a UUID.
    """
    if told == "none":
        return ()
    if not told or isinstance(told, str):
        return None
    asked: list[AskedNetwork] = []
    for each in told:
        port, address, tag = (each.get(name) for name in ("port", "fixed_ip", "tag"))
        if port is None:
            asked.append(AskedNetwork(_network_id(each), fixed_ip=address, tag=tag))
            continue
        if any(before.port_id == port for before in asked):
            raise Invalid(f"Port ID '{port}' was specified twice: you cannot attach a port multiple times.")
        if address is not None:
            raise Invalid(
                f"Specified Fixed IP '{address}' cannot be used with port '{port}': the two cannot be specified "
                "together."
            )
        asked.append(AskedNetwork(port_id=port, tag=tag))
    return asked


def _network_id(told: Told) -> str:
    network_id = told.get("uuid")
    if network_id is None:
        raise Invalid("Bad network format: missing 'uuid'")
    try:
        return check_uuid(network_id)
    except ValueError:
        raise Invalid(f"Bad networks format: network uuid is not in proper format ({network_id[:255]})") from None


def check_devices(told: Told, flavor: Flavor) -> None:
    """Block devices: there is no block storage, so that they can say no more than what happens without them.

    That is the image on the local disk, and blank local disks which the flavor has room for. Raises: Invalid.
    """
    old, new = told.get("block_device_mapping", ()), told.get("block_device_mapping_v2", ())
    if old and new:
        raise Invalid("Using different block_device_mapping syntaxes is not allowed in the same request.")
    for each in old:
        what = "snapshot" if each.get("snapshot_id") else "volume"
        raise _no_device(f"failed to get {what} {each.get(what + '_id', '')}.")
    blank: dict[str, int] = {"swap": 0, "ephemeral": 0}
    for each in new:
        _check_device(each, bool(told.get("imageRef")))
        if each.get("source_type") == "blank":
            kind = "swap" if each.get("guest_format") == "swap" else "ephemeral"
            blank[kind] += each.get("volume_size") or 0
    if blank["swap"] > flavor.swap_mb:
        raise Invalid("Swap drive requested is larger than instance type allows.")
    if blank["ephemeral"] > flavor.ephemeral_gb:
        raise Invalid(
            "Ephemeral disks requested are larger than the instance type allows. If no size is given in one block "
            "device mapping, flavor ephemeral size will be used."
        )


def _check_device(told: Told, has_image: bool) -> None:
    source, goes_to, uuid = told.get("source_type"), told.get("destination_type"), told.get("uuid")
    if source == "blank" and uuid:
        raise _no_device("Invalid device UUID.")
    if source not in ("blank", None) and not uuid:
        raise _no_device("Missing device UUID.")
    if source == "image" and goes_to == "local":
        if not has_image or told.get("boot_index") != 0:
            raise _no_device("Mapping image to local is not supported.")
        return
    if source == "blank" and goes_to == "local":
        return
    what = source if source in ("volume", "snapshot", "image") else "volume"
    raise _no_device(f"failed to get {what} {uuid or told.get(f'{what}_id') or ''}.")


def _no_device(why: str) -> Invalid:
    return Invalid(f"Block Device Mapping is Invalid: {why}")


def new_server(ctx: Context, told: Told, hints: Told, flavor: Flavor) -> NewServer:
    """A new server as it is asked for.

    Raises: Invalid; Forbidden for a part of it that policy does not let the caller ask for.
    """
    own = {"project_id": ctx.who.project_id or "", "user_id": ctx.who.user_id}
    zone = parse_zone(told.get("availability_zone"))
    if zone.host or zone.node:
        ctx.require(RULES["os_compute_api:servers:create:forced_host"], own)
    if told.get("trusted_image_certificates"):
        ctx.require(RULES["os_compute_api:servers:create:trusted_certs"], own)
    wished = [told[name] for name in ("host", "hypervisor_hostname") if told.get(name)]
    if wished:
        ctx.require(RULES["compute:servers:create:requested_destination"], own)
        if zone.host or zone.node:
            raise Invalid(
                "One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are "
                "mutually exclusive."
            )
    if told.get("block_device_mapping") or told.get("block_device_mapping_v2"):
        ctx.require(RULES["os_compute_api:servers:create:attach_volume"], own)
    check_devices(told, flavor)
    if not told.get("imageRef"):
        raise Invalid("Missing imageRef attribute")
    networks = told.get("networks")
    if networks and networks != "none":
        ctx.require(RULES["os_compute_api:servers:create:attach_network"], own)
    zero = RULES["os_compute_api:servers:create:zero_disk_flavor"]
    if flavor.root_gb == 0 and not ctx.may(zero, own):
        raise Forbidden("Only volume-backed servers are allowed for flavors with zero disk.", rule=zero.name)
    forced, requested = _host(ctx, zone.host, zone.node), _host(ctx, *wished)
    name = told["name"].strip()
    return NewServer(
        name=name,
        flavor=flavor,
        image_id=told["imageRef"],
        description=told.get("description") if ctx.at_least("2.19") else name,
        hostname=told.get("hostname"),
        networks=parse_networks(networks),
        security_groups=[each["name"] for each in told.get("security_groups", ()) if each.get("name")],
        metadata=told.get("metadata", {}),
        tags=told.get("tags", ()),
        key_name=told.get("key_name"),
        user_data=told.get("user_data"),
        config_drive=told.get("config_drive", False),
        disk_config=told.get("OS-DCF:diskConfig", "MANUAL"),
        access_ip_v4=told.get("accessIPv4"),
        access_ip_v6=told.get("accessIPv6"),
        availability_zone=zone.name if forced is None or _zone_of(ctx, forced) == zone.name else None,
        forced_host=forced,
        requested_host=requested,
        group_id=_group(hints),
        hints=hints,
        trusted_certs=told.get("trusted_image_certificates"),
    )


def counts(told: Told) -> tuple[int, int]:
    """The least and the most servers that are asked for.

    Raises: Invalid if the least is more than the most, or several are to have one hostname.
    """
    least = told.get("min_count", 1)
    most = told.get("max_count", least)
    if least > most:
        raise Invalid("min_count must be <= max_count")
    if most > 1 and told.get("hostname"):
        raise Invalid("Unable to allocate a single hostname to multiple instances")
    return least, most


def changes_of(told: Told) -> dict[str, Any]:
    """What an update or a rebuild changes, by the names of the record."""
    names = {
        "name": "name",
        "description": "description",
        "hostname": "hostname",
        "accessIPv4": "access_ip_v4",
        "accessIPv6": "access_ip_v6",
        "OS-DCF:diskConfig": "disk_config",
        "metadata": "metadata",
        "key_name": "key_name",
        "user_data": "user_data",
        "trusted_image_certificates": "trusted_certs",
    }
    changes = {field: told[name] for name, field in names.items() if name in told}
    if "name" in changes:
        changes["name"] = changes["name"].strip()
    return changes


def pinned(server: Server, host: Host | None, zone: str | None) -> str | None:
    """The zone that a server is to be pinned to.

    Raises: Conflict unless that is none, the one that it is pinned to, or the one that it is in and it is pinned to
    none.
    """
    if zone is None or zone == server.availability_zone:
        return zone
    if server.availability_zone is not None:
        raise Conflict(
            "Cannot change pinned availability zone directly. Unpin first by setting pinned_availability_zone to null."
        )
    here = "" if host is None else host.zone
    if zone != here:
        raise Conflict(
            f"Server can only be pinned to its current availability zone '{here}', but '{zone}' was requested."
        )
    return zone


def _group(hints: Told) -> str | None:
    group = hints.get("group")
    if group is not None and not isinstance(group, str):
        raise Invalid("Invalid input received: Server group scheduler hint must be a UUID.")
    return group or None


def _host(ctx: Context, *names: str | None) -> str | None:
    """A host and its node, which have one name.

    Raises: Invalid for one that is not there, or a node of another host.
    """
    told = [each for each in names if each]
    if not told:
        return None
    try:
        ctx.cloud.compute.hosts.by_name(told[-1])
    except NotFound:
        raise Invalid(f"Compute host {told[-1]} could not be found.", host=told[-1]) from None
    if told[0] != told[-1]:
        raise Invalid(f"Compute host {told[0]} could not be found.", host=told[0])
    return told[0]


def _zone_of(ctx: Context, host: str) -> str:
    """The zone of a host. A server that is forced onto it is in that one, whatever the client says."""
    zone: str = ctx.cloud.compute.hosts.by_name(host).zone
    return zone
