"""From the query string of a list of servers to the question that the control plane is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas.servers import ListServers, refused_filters
from sundog.api.kit.context import Context
from sundog.api.kit.paging import MOST_ITEMS
from sundog.control.compute.records import ServerQuery
from sundog.control.viewer import EVERYTHING, Viewer
from sundog.core.lifecycle.statuses import states_of
from sundog.errors import Forbidden, Invalid, NotFound

_TRUE: Final = frozenset(("1", "t", "true", "on", "y", "yes"))
_FALSE: Final = frozenset(("0", "f", "false", "off", "n", "no"))

_PAGING: Final = frozenset(("sort_key", "sort_dir", "limit", "marker"))

_EVERYBODYS: Final[Mapping[str, tuple[str, ...]]] = {
    "2.1": ("reservation_id", "name", "status", "image", "flavor", "ip", "changes-since", "all_tenants"),
    "2.5": ("ip6",),
    "2.26": ("tags", "tags-any", "not-tags", "not-tags-any"),
    "2.66": ("changes-before",),
    "2.73": ("locked",),
    "2.83": (
        "availability_zone",
        "config_drive",
        "key_name",
        "created_at",
        "launched_at",
        "terminated_at",
        "power_state",
        "task_state",
        "vm_state",
        "progress",
        "user_id",
    ),
    "2.90": ("hostname",),
}
"""Filters that need no policy, by the version that brought them. Others are left out of account."""

_EXACTLY: Final = {"user_id": "user_id", "image": "image_id", "image_ref": "image_id", "uuid": "id"}
_LIKE: Final = {
    "name": "name",
    "display_name": "name",
    "description": "description",
    "display_description": "description",
    "hostname": "hostname",
    "key_name": "key_name",
    "reservation_id": "reservation_id",
    "availability_zone": "availability_zone",
    "locked_by": "locked_by",
    "root_device_name": "root_device_name",
    "access_ip_v4": "access_ip_v4",
    "access_ip_v6": "access_ip_v6",
}
_NUMBERS: Final = ("launch_index", "power_state", "progress")
_TIMES: Final = ("created_at", "launched_at", "terminated_at")
_NEVER: Final = ("kernel_id", "ramdisk_id")
"""What no server has here."""

_SORTED_BY: Final = {
    "display_name": "name",
    "display_description": "description",
    "image_ref": "image_id",
    "uuid": "id",
    "node": "host",
    "auto_disk_config": "disk_config",
    "locked": "locked_by",
    **{
        name: name
        for name in (
            "access_ip_v4",
            "access_ip_v6",
            "availability_zone",
            "config_drive",
            "created_at",
            "host",
            "hostname",
            "key_name",
            "launch_index",
            "launched_at",
            "locked_by",
            "power_state",
            "progress",
            "project_id",
            "root_device_name",
            "task_state",
            "terminated_at",
            "updated_at",
            "user_id",
            "vm_state",
        )
    },
}
"""Columns by the names of the wire. Other keys, which Nova takes and ignores, sort nothing."""


@dataclass(frozen=True, slots=True)
class Question:
    """For whom servers are looked up, and which; ``query`` is None where there can be none."""

    viewer: Viewer
    query: ServerQuery | None
    limit: int


class _Nothing(Exception):
    """No server can meet a filter."""


@dataclass(slots=True)
class _Draft:
    equals: dict[str, Any] = field(default_factory=dict)
    like: dict[str, str] = field(default_factory=dict)

    def equal(self, column: str, value: Any) -> None:
        if self.equals.setdefault(column, value) != value:
            raise _Nothing


def question(ctx: Context, query: ListServers, *, all_tenants_rule: str) -> Question:
    """What is asked for.

    Raises: Invalid for a filter, a sort key or a limit that is none; Forbidden for servers of others, or deleted ones,
    unless policy allows them.
    """
    told = _allowed(ctx, query)
    viewer, project = _whose(ctx, told, all_tenants_rule)
    limit = MOST_ITEMS if query.limit is None else min(query.limit, MOST_ITEMS)
    try:
        found: ServerQuery | None = _query(ctx, query, told, project, limit)
    except _Nothing:
        found = None
    return Question(viewer, None if limit == 0 else found, limit)


def _allowed(ctx: Context, query: ListServers) -> dict[str, Any]:
    """The filters that the caller may use, by the names of the wire."""
    told = {
        name: value
        for name, value in query.model_dump(by_alias=True, exclude_unset=True).items()
        if name not in _PAGING and value is not None
    }
    if not ctx.may(RULES["os_compute_api:servers:allow_all_filters"], {"project_id": ctx.who.project_id or ""}):
        known = {name for since, names in _EVERYBODYS.items() if ctx.at_least(since) for name in names}
        told = {name: value for name, value in told.items() if name in known}
    refused = [name for name in refused_filters(query) if name in told]
    if refused:
        raise Invalid(f"Invalid filter field: {refused[0]}.", filter=refused[0])
    return told


def _whose(ctx: Context, told: dict[str, Any], rule: str) -> tuple[Viewer, str | None]:
    """For whom, and of which project only."""
    wanted = told.pop("tenant_id", None), told.pop("project_id", None)
    text = told.pop("all_tenants", None)
    if text is not None and _is_all(text):
        ctx.require(RULES[rule], {"project_id": ctx.who.project_id or ""})
        return EVERYTHING, wanted[0] or wanted[1]
    return Viewer(ctx.who.project_id or ""), None


def _is_all(text: str) -> bool:
    """Nova takes the key without a value for yes, and refuses what is neither yes nor no."""
    word = text.strip().lower()
    if word == "" or word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise Invalid(
        f"Invalid all_tenants value: {text[:64]!r} is neither {', '.join(sorted(_TRUE))} nor "
        f"{', '.join(sorted(_FALSE))}"
    )


def _query(ctx: Context, query: ListServers, told: dict[str, Any], project: str | None, limit: int) -> ServerQuery:
    vm_states, task_states = _states(ctx, told)
    deleted = _deleted(ctx, told, vm_states)
    since, before = told.pop("changes-since", None), told.pop("changes-before", None)
    if since is not None and before is not None and before < since:
        raise Invalid("The value of changes-since must be less than or equal to changes-before.")
    tags = {name: _tags(told.pop(name, None)) for name in ("tags", "tags-any", "not-tags", "not-tags-any")}
    fixed_ip, fixed_ip6 = told.pop("ip", None), told.pop("ip6", None)
    draft = _Draft()
    if project is not None:
        draft.equal("project_id", project)
    for name, value in told.items():
        _narrow(ctx, draft, name, value)
    return ServerQuery(
        equals=draft.equals,
        like=draft.like,
        vm_states=vm_states,
        task_states=task_states,
        deleted=deleted,
        changes_since=since,
        changes_before=before,
        tags=tags["tags"],
        tags_any=tags["tags-any"],
        not_tags=tags["not-tags"],
        not_tags_any=tags["not-tags-any"],
        fixed_ip=fixed_ip,
        fixed_ip6=fixed_ip6,
        sort=_sort(ctx, query),
        marker=query.marker,
        limit=limit,
    )


def _states(ctx: Context, told: dict[str, Any]) -> tuple[list[str] | None, list[str | None] | None]:
    """The vm states and task states that are asked for, by their own names or by statuses."""
    vm_state, task_state = told.pop("vm_state", None), told.pop("task_state", None)
    vm_states = None if vm_state is None else [vm_state]
    task_states: list[str | None] | None = None if task_state is None else [task_state]
    statuses = told.pop("status", None)
    if statuses is not None:
        found, tasks = states_of(statuses)
        if not found:
            if ctx.at_least("2.38"):
                raise Invalid("Invalid status value")
            raise _Nothing
        vm_states = list(found)
        task_states = task_states if tasks is None else list(tasks)
    return vm_states, task_states


def _deleted(ctx: Context, told: dict[str, Any], vm_states: list[str] | None) -> bool | None:
    """Whether deleted servers are asked for: those that changed since some time may be deleted, too."""
    text = told.pop("deleted", None)
    if vm_states == ["deleted"]:
        if not ctx.who.is_admin:
            raise Forbidden("Only administrators may list deleted instances")
        return True
    if text is not None:
        return text.strip().lower() in _TRUE
    return None if "changes-since" in told or "changes-before" in told else False


def _tags(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(text.split(","))


def _narrow(ctx: Context, draft: _Draft, name: str, value: Any) -> None:
    """Add one filter. One that Nova has no column for means nothing."""
    if name in _EXACTLY:
        draft.equal(_EXACTLY[name], value)
    elif name in _LIKE:
        draft.like[_LIKE[name]] = value
    elif name in _NUMBERS:
        draft.equal(name, _number(value))
    elif name in _TIMES:
        draft.equal(name, _time(value))
    elif name in ("host", "node"):
        draft.equal("host", _host(ctx, value))
    elif name == "flavor":
        draft.equal("flavor_id", value)
    elif name == "config_drive":
        draft.equal("config_drive", value.strip().lower() in _TRUE)
    elif name == "auto_disk_config":
        draft.equal("disk_config", "AUTO" if value.strip().lower() in _TRUE else "MANUAL")
    elif name == "locked":
        draft.equal("locked", _locked(value))
    elif name in _NEVER and value:
        raise _Nothing


def _number(text: str) -> int:
    digits = text.removeprefix("-")
    if not digits.isdecimal() or len(digits) > 9:
        raise _Nothing
    return int(text)


def _time(text: str) -> datetime:
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise _Nothing from None
    return told if told.tzinfo is not None else told.replace(tzinfo=UTC)


def _host(ctx: Context, name: str) -> str:
    try:
        uuid: str = ctx.cloud.compute.hosts.by_name(name).uuid
    except NotFound:
        raise _Nothing from None
    return uuid


def _locked(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise Invalid(f"Invalid locked value: {text[:64]!r} is neither yes nor no")
    return word in _TRUE


def _sort(ctx: Context, query: ListServers) -> list[tuple[str, bool]]:
    """Columns and whether they go down. A key without a direction has that of the first."""
    keys = list(query.sort_key) or ["created_at"]
    directions = [each.strip() for each in query.sort_dir] or ["desc"]
    if len(directions) > len(keys):
        raise Invalid("Invalid input received: Sort direction size exceeds sort key size")
    wrong = [each for each in directions if each not in ("asc", "desc")]
    if wrong:
        raise Invalid("Unknown sort direction, must be one of: asc, desc", direction=wrong[0][:64])
    directions += directions[:1] * (len(keys) - len(directions))
    if not ctx.who.is_admin:
        for key in ("host", "node"):
            if key in keys:
                raise Forbidden(f"Only administrators can sort servers by {key}")
    columns = _SORTED_BY if ctx.at_least("2.73") else {**_SORTED_BY, "locked": None}
    pairs = [
        (column, direction == "desc")
        for key, direction in zip(keys, directions, strict=True)
        if (column := columns.get(key)) is not None
    ]
    # A column that is there twice sorts by its first direction.
    return [pair for index, pair in enumerate(pairs) if pair[0] not in dict(pairs[:index])]
