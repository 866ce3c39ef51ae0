"""For each operation a request about project A's things: its path, query, body and headers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sundog.api.kit.service import Operation, Service
from tests.unit.api.rbac.world import PUBLIC_KEY, World

PREPARED: Final = frozenset({"compute", "identity", "image", "metrics", "network", "placement", "sundog"})
"""Services for whose operations there is something to ask about. Of others no more is expected than that nobody gets
what the table denies."""

NOWHERE: Final = "0123456789abcdef0123456789abcdef"

_AFTER: Final = {
    "identity": {
        "users": "user member", "application_credentials": "application credential", "credentials": "credential",
        "policies": "policy", "regions": "region", "services": "service of catalogue", "endpoints": "endpoint",
        "domains": "acme", "projects": "A", "groups": "group", "roles": "member role", "implies": "implied role",
    },
    "image": {"images": "image", "members": "service"},
    "network": {
        "networks": "network", "subnets": "subnet", "ports": "port", "routers": "router", "quotas": "A",
        "floatingips": "floating IP", "security-groups": "security group", "security-group-rules": "rule",
        "subnetpools": "subnet pool",
    },
    "sundog": {"servers": "server"},
    "placement": {"resource_providers": "provider", "allocations": "consumer"},
    "compute": {
        "servers": "server", "os-server-groups": "server group", "os-keypairs": "keypair", "os-quota-sets": "A",
        "os-simple-tenant-usage": "A", "os-interface": "port", "os-security-groups": "security group",
        "os-security-group-rules": "rule", "images": "image",
    },
}  # fmt: skip
"""By service and what comes before it in a path: which of the world's ids stands there."""

_NOBODYS: Final = {"compute": frozenset({"flavors", "extensions", "os-aggregates"})}
"""By service, what belongs to no project: it is asked for as a member of one's own."""

STREAMS: Final = frozenset({"sundog GET /events"})
"""Operations whose answers never end."""

_TEXTS: Final = {
    "tags": "t", "schemas": "image", "inventories": "VCPU", "resource_classes": "CUSTOM_X", "traits": "CUSTOM_T",
    "extensions": "security-group", "flavors": "1", "metadata": "k", "os-extra_specs": "k", "os-aggregates": "1",
}  # fmt: skip
"""What stands there where it is no id."""

_ELSE: Final = {
    "DELETE /v3/regions/{region_id}": "bare region",
    "DELETE /v3/domains/{domain_id}": "closed domain",
    "PUT /v2/images/{image_id}/file": "queued image",
    "PUT /v2/images/{image_id}/stage": "queued image",
    "POST /v2/images/{image_id}/import": "queued image",
}
"""By operation, what stands there instead."""

_KEEPER: Final = re.compile(r"(PATCH|DELETE) /v3/roles/{role_id}$|/v3/roles/{prior_id}")


@dataclass(frozen=True, slots=True)
class Request:
    """A request; ``about_a`` tells that it is about something of project A, not about the caller's own."""

    method: str
    path: str
    about_a: bool
    options: dict[str, Any] = field(default_factory=dict)


def request_for(world: World, service: Service, operation: Operation) -> Request:
    """The request for an operation."""
    key = f"{operation.method} {operation.path}"
    options: dict[str, Any] = {"headers": _headers(world, service, operation)}
    body = BODIES.get(f"{service.name} {key}")
    if operation.action is not None:
        said = _ACTIONS_BEFORE.get(f"{operation.action} {operation.until}", ACTIONS.get(operation.action))
        options["json"] = {operation.action: _with_ids(world, said)}
    elif body is not None:
        options["json"] = body(world)
    if key in ("PUT /v2/images/{image_id}/file", "PUT /v2/images/{image_id}/stage"):
        options["content"] = b"data"
        options["headers"]["content-type"] = "application/octet-stream"
    if service.name == "image" and operation.method == "PATCH":
        options["headers"]["content-type"] = "application/openstack-images-v2.1-json-patch"
    if key == "GET /usages":
        options["params"] = {"project_id": world.ids["A"]}
    if "/os-keypairs" in operation.path and operation.method != "POST" and not is_of_oneself(operation):
        options["params"] = {"user_id": world.ids["user member"]}
    if "/os-simple-tenant-usage" in key:
        options["params"] = {"start": "2024-01-01T00:00:00"}
    if key == "GET /v2.1/os-migrations":
        options["params"] = {"project_id": world.ids["A"]}
    if key == "GET /allocation_candidates":
        options["params"] = {"resources": "VCPU:1"}
    nobodys = set(operation.path.split("/")) & _NOBODYS.get(service.name, frozenset())
    about_a = (
        ("{" in operation.path and not nobodys) or f"{service.name} {key}" in NAMES_A or key.endswith("/auth/tokens")
    )
    return Request(operation.method, service.prefix + _path(world, service, operation), about_a, options)


def is_of_oneself(operation: Operation) -> bool:
    """Keypairs are everybody's own, until administrators can name a user."""
    return "/os-keypairs" in operation.path and operation.until is not None and str(operation.until) in ("2.1", "2.9")


def _path(world: World, service: Service, operation: Operation) -> str:
    after, before, parts = _AFTER.get(service.name, {}), "", []
    key = f"{operation.method} {operation.path}"
    for part in operation.path.split("/"):
        if not part.startswith("{"):
            before = part
            parts.append(part)
            continue
        name = _ELSE.get(key) or after.get(before, "")
        if name == "member role" and _KEEPER.search(key):
            name = "role"
        if name == "image" and "/members" in operation.path:
            name = "shared image"
        parts.append(world.ids[name] if name else _TEXTS.get(before, NOWHERE))
    return "/".join(parts)


def _headers(world: World, service: Service, operation: Operation) -> dict[str, str]:
    headers = {}
    if operation.path.endswith("/auth/tokens"):
        headers["x-subject-token"] = world.tokens["member"]
    if service.history is not None:
        version = operation.until or service.history.newest
        headers["openstack-api-version"] = f"{service.history.service_type} {version}"
    return headers


def _kind(kind: str, /, **values: Any) -> Callable[[World], Any]:
    """A body whose values that begin with ``id:`` are ids of the world."""
    return lambda world: {kind: _with_ids(world, values)}


def _with_ids(world: World, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _with_ids(world, each) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_ids(world, each) for each in value]
    return world.ids[value.removeprefix("id:")] if isinstance(value, str) and value.startswith("id:") else value


_TAGS: Final = lambda _world: {"tags": ["t", "u"]}  # noqa: E731

BODIES: Final[dict[str, Callable[[World], Any]]] = {
    # ---- identity
    "identity POST /v3/users": _kind("user", name="new", domain_id="id:acme"),
    "identity PATCH /v3/users/{user_id}": _kind("user", description="d"),
    "identity POST /v3/groups": _kind("group", name="new", domain_id="id:acme"),
    "identity PATCH /v3/groups/{group_id}": _kind("group", description="d"),
    "identity POST /v3/projects": _kind("project", name="new", domain_id="id:acme"),
    "identity PATCH /v3/projects/{project_id}": _kind("project", description="d"),
    "identity PUT /v3/projects/{project_id}/tags": _TAGS,
    "identity POST /v3/domains": _kind("domain", name="new"),
    "identity PATCH /v3/domains/{domain_id}": _kind("domain", description="d"),
    "identity POST /v3/roles": _kind("role", name="new"),
    "identity PATCH /v3/roles/{role_id}": _kind("role", description="d"),
    "identity POST /v3/regions": _kind("region", id="near"),
    "identity PUT /v3/regions/{region_id}": _kind("region", description="d"),
    "identity PATCH /v3/regions/{region_id}": _kind("region", description="d"),
    "identity POST /v3/services": _kind("service", type="y"),
    "identity PATCH /v3/services/{service_id}": _kind("service", name="y"),
    "identity POST /v3/endpoints": _kind(
        "endpoint", service_id="id:service of catalogue", interface="public", url="http://y"
    ),
    "identity PATCH /v3/endpoints/{endpoint_id}": _kind("endpoint", url="http://z"),
    "identity POST /v3/policies": _kind("policy", type="x", blob="{}"),
    "identity PATCH /v3/policies/{policy_id}": _kind("policy", blob="[]"),
    "identity POST /v3/credentials": _kind("credential", type="x", blob="{}", user_id="id:user member"),
    "identity PATCH /v3/credentials/{credential_id}": _kind("credential", blob="[]"),
    "identity POST /v3/users/{user_id}/application_credentials": _kind("application_credential", name="new"),
    # ---- image
    "image POST /v2/images": lambda world: {"name": "new"},
    "image PATCH /v2/images/{image_id}": lambda world: [{"op": "replace", "path": "/name", "value": "new"}],
    "image POST /v2/images/{image_id}/members": lambda world: {"member": world.ids["B"]},
    "image PUT /v2/images/{image_id}/members/{member_id}": lambda world: {"status": "accepted"},
    "image POST /v2/images/{image_id}/import": lambda world: {"method": {"name": "glance-direct"}},
    # ---- network
    "network POST /v2.0/networks": _kind("network", name="new"),
    "network PUT /v2.0/networks/{network_id}": _kind("network", name="new"),
    "network POST /v2.0/subnets": _kind("subnet", network_id="id:network", cidr="10.1.0.0/24"),
    "network PUT /v2.0/subnets/{subnet_id}": _kind("subnet", name="new"),
    "network POST /v2.0/subnetpools": _kind("subnetpool", name="new", prefixes=["10.8.0.0/16"]),
    "network PUT /v2.0/subnetpools/{subnetpool_id}": _kind("subnetpool", name="new"),
    "network POST /v2.0/ports": _kind("port", network_id="id:network"),
    "network PUT /v2.0/ports/{port_id}": _kind("port", name="new"),
    "network POST /v2.0/routers": _kind("router", name="new"),
    "network PUT /v2.0/routers/{router_id}": _kind("router", name="new"),
    "network PUT /v2.0/routers/{router_id}/add_router_interface": lambda world: {
        "subnet_id": world.ids["loose subnet"]
    },
    "network PUT /v2.0/routers/{router_id}/remove_router_interface": lambda world: {"subnet_id": world.ids["subnet"]},
    "network PUT /v2.0/routers/{router_id}/add_extraroutes": _kind("router", routes=[]),
    "network PUT /v2.0/routers/{router_id}/remove_extraroutes": _kind("router", routes=[]),
    "network POST /v2.0/floatingips": _kind("floatingip", floating_network_id="id:public"),
    "network PUT /v2.0/floatingips/{floatingip_id}": _kind("floatingip", description="d"),
    "network POST /v2.0/security-groups": _kind("security_group", name="new"),
    "network PUT /v2.0/security-groups/{security_group_id}": _kind("security_group", name="new"),
    "network POST /v2.0/security-group-rules": _kind(
        "security_group_rule", security_group_id="id:security group", direction="ingress", protocol="udp"
    ),
    "network PUT /v2.0/quotas/{project_id}": _kind("quota", port=5),
    # ---- compute
    "compute POST /v2.1/servers": _kind(
        "server", name="new", flavorRef="1", imageRef="id:image", networks=[{"uuid": "id:network"}]
    ),
    "compute PUT /v2.1/servers/{server_id}": _kind("server", name="new"),
    "compute POST /v2.1/servers/{server_id}/metadata": _kind("metadata", k="w"),
    "compute PUT /v2.1/servers/{server_id}/metadata": _kind("metadata", k="w"),
    "compute PUT /v2.1/servers/{server_id}/metadata/{key}": _kind("meta", k="w"),
    "compute PUT /v2.1/servers/{server_id}/tags": lambda world: {"tags": ["t", "u"]},
    "compute POST /v2.1/servers/{server_id}/os-interface": _kind("interfaceAttachment", net_id="id:network"),
    "compute POST /v2.1/servers/{server_id}/remote-consoles": _kind("remote_console", protocol="serial", type="serial"),
    "compute POST /v2.1/os-server-groups": _kind("server_group", name="new", policy="affinity"),
    "compute POST /v2.1/os-keypairs": _kind("keypair", name="new", public_key=PUBLIC_KEY, user_id="id:user member"),
    "compute PUT /v2.1/os-quota-sets/{project_id}": _kind("quota_set", cores=5),
    "compute POST /v2.1/os-aggregates": _kind("aggregate", name="new"),
    "compute PUT /v2.1/os-aggregates/{aggregate_id}": _kind("aggregate", name="new"),
    "compute POST /v2.1/os-aggregates/{aggregate_id}/action": _kind("add_host", host="h"),
    "compute POST /v2.1/flavors/{flavor_id}/action": _kind("addTenantAccess", tenant="id:A"),
    "compute POST /v2.1/images/{image_id}/metadata": _kind("metadata", k="w"),
    "compute PUT /v2.1/images/{image_id}/metadata": _kind("metadata", k="w"),
    "compute PUT /v2.1/images/{image_id}/metadata/{key}": _kind("meta", k="w"),
    "compute PUT /v2.1/os-hosts/{name}": lambda world: {"status": "enable"},
    "compute POST /v2.1/os-security-groups": _kind("security_group", name="new", description="d"),
    "compute PUT /v2.1/os-security-groups/{group_id}": _kind("security_group", name="new", description="d"),
    "compute POST /v2.1/os-security-group-rules": _kind(
        "security_group_rule", parent_group_id="id:security group", ip_protocol="udp", from_port=53, to_port=53
    ),
    # ---- sundog
    "sundog POST /faults": _kind("fault", kind="kill", scope={}),
    "sundog POST /fleet/drain": _kind("drain", scope={}),
    "sundog POST /fleet/undrain": _kind("undrain", scope={}),
    "sundog POST /fleet/hosts": _kind("hosts", type="compute"),
    "sundog PUT /clock": _kind("clock", rate=60),
    "sundog POST /clock/step": _kind("step", seconds=1),
} | {
    f"network {method} /v2.0/{collection}/{{identifier}}/tags": _TAGS
    for method in ("PUT", "POST")
    for collection in ("networks", "subnets", "ports", "security-groups", "routers", "floatingips", "subnetpools")
}
"""By service, method and path."""

ACTIONS: Final[dict[str, Any]] = {
    "reboot": {"type": "HARD"}, "rescue": {}, "os-resetState": {"state": "active"}, "resize": {"flavorRef": "2"},
    "rebuild": {"imageRef": "id:image"}, "createImage": {"name": "i"}, "changePassword": {"adminPass": "x"},
    "createBackup": {"name": "b", "backup_type": "daily", "rotation": 1}, "os-getConsoleOutput": {},
    "os-getVNCConsole": {"type": "novnc"}, "os-getSPICEConsole": {"type": "spice-html5"},
    "os-getSerialConsole": {"type": "serial"}, "os-migrateLive": {"host": None, "block_migration": "auto"},
    "evacuate": {}, "addSecurityGroup": {"name": "g"}, "removeSecurityGroup": {"name": "g"},
    "addFloatingIp": {"address": "203.0.113.9"}, "removeFloatingIp": {"address": "203.0.113.9"},
    "addFixedIp": {"networkId": "id:network"}, "removeFixedIp": {"address": "10.0.0.9"},
}  # fmt: skip
"""What actions on servers say; others say null."""

_ACTIONS_BEFORE: Final[dict[str, Any]] = {
    "os-migrateLive 2.24": {"host": None, "block_migration": False, "disk_over_commit": False},
    "evacuate 2.13": {"onSharedStorage": False},
}
"""What some of them had to say until a microversion."""

NAMES_A: Final = frozenset({
    "identity POST /v3/users", "identity POST /v3/groups", "identity POST /v3/projects",
    "identity POST /v3/credentials", "network POST /v2.0/subnets", "network POST /v2.0/ports",
    "network POST /v2.0/security-group-rules", "placement GET /usages", "compute GET /v2.1/os-migrations",
})  # fmt: skip
"""Operations that are about A by what their bodies or queries say."""

SEEN_BY: Final = {"network POST /v2.0/subnets": "get_network", "network POST /v2.0/ports": "get_network",
                  "network POST /v2.0/security-group-rules": "get_security_group"}  # fmt: skip
"""Whoever may not do as the rule says does not learn that the thing that a body names is there."""
