"""The kinds of things that there are, and how all of them are listed, shown, made and changed alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from sundog.api.kit.context import Context
from sundog.api.kit.policy import Rule
from sundog.api.network import filters, views
from sundog.api.network.policy import RULES
from sundog.api.network.schemas import Listing
from sundog.control.network.refusals import missing
from sundog.control.viewer import Viewer
from sundog.errors import Invalid


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing: its names in paths and bodies, how one is told, and what may be asked of a list of them.

    ``error`` begins the name of the exception for one that is not there. ``columns`` are attributes by which the store
    can look rows up itself, with the names of their columns. ``inner`` are attributes that are no plain values.
    """

    one: str
    many: str
    error: str
    view: Callable[[Any], dict[str, Any]]
    columns: Mapping[str, str]
    inner: tuple[str, ...] = ()

    def rule(self, action: str, attribute: str = "") -> Rule | None:
        """The rule for an action, or for one attribute in it, if there is one."""
        return RULES.get(f"{action}_{self.one}:{attribute}" if attribute else f"{action}_{self.one}")

    @property
    def guarded(self) -> list[tuple[str, Rule]]:
        """The attributes that not everybody sees."""
        head = f"get_{self.one}:"
        return [(name.removeprefix(head), rule) for name, rule in RULES.items() if name.startswith(head)]


_ANY: Final = {"id": "id", "name": "name", "project_id": "project_id", "tenant_id": "project_id"}
_UNNAMED: Final = {name: column for name, column in _ANY.items() if name != "name"}

NETWORK: Final = Kind("network", "networks", "Network", views.network, _ANY, ("subnets",))
SUBNET: Final = Kind(
    "subnet",
    "subnets",
    "Subnet",
    views.subnet,
    {**_ANY, "network_id": "network_id", "cidr": "cidr"},
    ("allocation_pools", "dns_nameservers", "host_routes"),
)
SUBNET_POOL: Final = Kind("subnetpool", "subnetpools", "SubnetPool", views.subnetpool, _ANY, ("prefixes",))
PORT: Final = Kind(
    "port",
    "ports",
    "Port",
    views.port,
    {
        **_ANY,
        "network_id": "network_id",
        "device_id": "device_id",
        "device_owner": "device_owner",
        "mac_address": "mac_address",
        "binding:host_id": "host_id",
    },
    (
        "fixed_ips",
        "security_groups",
        "allowed_address_pairs",
        "extra_dhcp_opts",
        "binding:profile",
        "binding:vif_details",
    ),
)
GROUP: Final = Kind(
    "security_group", "security_groups", "SecurityGroup", views.security_group, _ANY, ("security_group_rules",)
)
RULE: Final = Kind(
    "security_group_rule",
    "security_group_rules",
    "SecurityGroupRule",
    views.security_group_rule,
    {**_UNNAMED, "security_group_id": "security_group_id"},
)
ROUTER: Final = Kind("router", "routers", "Router", views.router, _ANY, ("external_gateway_info", "routes"))
FLOATING_IP: Final = Kind(
    "floatingip",
    "floatingips",
    "FloatingIP",
    views.floatingip,
    {
        **_UNNAMED,
        "floating_network_id": "floating_network_id",
        "floating_ip_address": "floating_ip_address",
    },
)


def viewer(ctx: Context) -> Viewer:
    """For whom things are looked up. Administrators and other services see all, as far as policy lets them."""
    return Viewer(ctx.who.project_id, sees_all=ctx.who.is_admin or "service" in ctx.who.roles)


def told(ctx: Context, kind: Kind, record: Any, fields: Sequence[str] = ()) -> dict[str, Any]:
    """A thing, without the attributes that the caller may not see; only ``fields`` if there are any."""
    item, target = kind.view(record), views.target(record)
    for name, rule in kind.guarded:
        if name in item and not ctx.may(rule, target):
            del item[name]
    return {name: value for name, value in item.items() if name in fields} if fields else item


def listed(ctx: Context, kind: Kind, part: Any, query: Listing) -> dict[str, Any]:
    """The things that the caller may see and the query asks for, with links to the pages around."""
    rule = kind.rule("get")
    assert rule is not None
    ctx.may(rule, {"project_id": ctx.who.project_id})
    asked = filters.asked(ctx.request)
    only = {kind.columns[name]: values for name, values in asked.items() if name in kind.columns}
    records = part.list_all(viewer(ctx), only)
    items = [told(ctx, kind, each) for each in records if ctx.may(rule, views.target(each))]
    return filters.page(ctx, kind.many, items, query, asked, kind.inner)


def shown(ctx: Context, kind: Kind, part: Any, identifier: str) -> Any:
    """A thing that the caller may see.

    Raises: NotFound.
    """
    record = part.show(viewer(ctx), identifier)
    rule = kind.rule("get")
    assert rule is not None
    if not ctx.may(rule, views.target(record)):
        raise missing(kind.error, identifier)
    return record


def allowed(ctx: Context, kind: Kind, part: Any, identifier: str, action: str) -> Any:
    """A thing with which the caller may do what ``action`` says.

    Raises: NotFound; Forbidden.
    """
    record = shown(ctx, kind, part, identifier)
    rule = kind.rule(action)
    assert rule is not None
    ctx.require(rule, views.target(record))
    return record


def several(body: BaseModel, kind: Kind) -> Sequence[Any]:
    """The things in the body of a create, be it one or many.

    Raises: Invalid if it is neither, or both.
    """
    one, many = getattr(body, kind.one), getattr(body, kind.many)
    if (one is None) == (many is None):
        raise Invalid(f"Unable to find '{kind.one}' in request body")
    return [one] if one is not None else list(many)


def made(ctx: Context, kind: Kind, body: BaseModel, records: Sequence[Any]) -> dict[str, Any]:
    """The answer to a create: one or many, as was asked."""
    items = [told(ctx, kind, each) for each in records]
    return {kind.one: items[0]} if getattr(body, kind.many) is None else {kind.many: items}


def new(ctx: Context, kind: Kind, part: BaseModel, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a body says of something new, with the project that it will belong to.

    ``about`` is what policy is to know beside the project.

    Raises: Forbidden for what the caller may not do or set; Invalid for another's project.
    """
    values = given(part)
    project_id = _project(ctx, values)
    target = {"project_id": project_id, "shared": False, "external": False, **(about or {})}
    rule = kind.rule("create")
    assert rule is not None
    ctx.require(rule, target)
    guard(ctx, kind, "create", part, target)
    return values | {"project_id": project_id}


def changed(
    ctx: Context, kind: Kind, part: BaseModel, record: Any, about: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What a body says is to change.

    Raises: Forbidden for an attribute that the caller may not set.
    """
    guard(ctx, kind, "update", part, {**views.target(record), **(about or {})})
    return given(part)


def guard(ctx: Context, kind: Kind, action: str, part: BaseModel, target: Mapping[str, Any]) -> None:
    """Raises: Forbidden for an attribute that the caller may not set. In a create, defaults may be said by all."""
    for name in type(part).model_fields:
        field, value = type(part).model_fields[name], getattr(part, name)
        if name not in part.model_fields_set or (action == "create" and value == field.default):
            continue
        wire = field.alias or name
        about = {**target, "network_device": str(value).startswith("network:")} if name == "device_owner" else target
        for attribute in (wire, *_inner(wire, value)):
            rule = kind.rule(action, attribute)
            if rule is not None:
                ctx.require(rule, about)


def given(part: BaseModel) -> dict[str, Any]:
    """What was said, by the names of the control plane; what is None inside of parts is left out."""
    values = part.model_dump(exclude_unset=True)
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: each for name, each in value.items() if each is not None}
    return value


def _inner(wire: str, value: Any) -> Iterable[str]:
    """The attributes that are said inside of another one."""
    parts = value if isinstance(value, list) else [value]
    names = {name for each in parts if isinstance(each, BaseModel) for name in each.model_fields_set}
    return [f"{wire}:{name}" for name in sorted(names)]


def _project(ctx: Context, values: dict[str, Any]) -> str:
    """The project of something new, taken out of ``values``.

    Raises: Invalid.
    """
    told = {name: values.pop(name, None) for name in ("project_id", "tenant_id")}
    named = {value for value in told.values() if value is not None}
    if len(named) > 1:
        raise Invalid("'project_id' and 'tenant_id' do not match")
    own = ctx.who.project_id
    project_id = named.pop() if named else own
    if project_id is None:
        raise Invalid("Running without keystone AuthN requires that project_id is specified")
    if project_id != own and not viewer(ctx).sees_all:
        raise Invalid(
            "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin "
            "privileges"
        )
    return project_id


def on_network(ctx: Context, network_id: str) -> dict[str, Any]:
    """What policy is to know of the network that something is on.

    Raises: NotFound.
    """
    network = ctx.cloud.network.networks.show(viewer(ctx), network_id)
    return {"network:project_id": network.project_id, "shared": network.shared, "external": network.external}
