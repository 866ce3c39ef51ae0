"""What compute's use cases are told and tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

from sundog.control.principal import Principal
from sundog.control.store import Row
from sundog.control.viewer import Viewer

_T = TypeVar("_T")


def record(kind: type[_T], row: Row | Mapping[str, Any], **more: Any) -> _T:
    """A record out of a row of its table, where the names are the same; ``more`` has what the row has not."""
    return kind(**{name: row[name] for name in names_of(kind) if name not in more and name in row}, **more)


def names_of(kind: type[Any]) -> Iterable[str]:
    """The names of the fields of a kind of record; as ``dataclasses.fields``, without making a list of them."""
    names: Mapping[str, Any] = kind.__dataclass_fields__
    return names


def as_json(value: Any) -> dict[str, Any]:
    """A record whose fields are JSON's, as it is stored."""
    return {name: getattr(value, name) for name in names_of(type(value))}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for something, and by which request; it is written down with what was asked."""

    user_id: str
    project_id: str
    request_id: str = ""
    is_admin: bool = False

    @staticmethod
    def of(principal: Principal, request_id: str) -> Caller:
        """The bearer of a token."""
        return Caller(principal.user_id, principal.project_id or "", request_id, principal.is_admin)

    @property
    def principal(self) -> Principal:
        """The caller as other services see them."""
        return Principal(
            self.user_id, project_id=self.project_id, roles=("admin", "member") if self.is_admin else ("member",)
        )

    @property
    def viewer(self) -> Viewer:
        """For whom things are looked up: an administrator sees those of all projects."""
        return Viewer(self.project_id, sees_all=self.is_admin)


# ---------------------------------------------------------------- what servers are made of


@dataclass(frozen=True, slots=True)
class Flavor:
    """A size of servers. Memory and swap are in MiB, disks in GiB. ``id`` is what clients call its id."""

    id: str
    name: str
    vcpus: int
    memory_mb: int
    root_gb: int = 0
    ephemeral_gb: int = 0
    swap_mb: int = 0
    rxtx_factor: float = 1.0
    is_public: bool = True
    disabled: bool = False
    description: str | None = None
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ServerFlavor:
    """The flavor that a server has, as it was when the server got it: a later change of the flavor is not one of it."""

    id: str
    name: str
    vcpus: int
    memory_mb: int
    root_gb: int
    ephemeral_gb: int
    swap_mb: int
    extra_specs: Mapping[str, str]

    @staticmethod
    def of(flavor: Flavor) -> ServerFlavor:
        """What a new server keeps of a flavor."""
        return record(ServerFlavor, {each.name: getattr(flavor, each.name) for each in fields(flavor)})


@dataclass(frozen=True, slots=True)
class ServerImage:
    """The image that a server was made from, as it was then. ``min_disk_gb`` and ``min_ram_mb`` are its demands."""

    id: str
    name: str
    size_bytes: int
    disk_format: str
    checksum: str = ""
    min_disk_gb: int = 0
    min_ram_mb: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)


# ---------------------------------------------------------------- servers


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a server is in ERROR. ``details`` is for administrators only."""

    code: int
    message: str
    created: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """A server as it is in the store. ``power_state`` is Nova's number; ``host`` the uuid of the host it is on.

    ``key`` is the keypair as it was at creation (``{"name", "type", "public_key"}``). ``kept`` holds what a resize, a
    rescue or a shelving needs later. ``tags`` are in their order.
    """

    id: str
    number: int
    project_id: str
    user_id: str
    name: str
    hostname: str
    description: str | None
    reservation_id: str
    launch_index: int
    vm_state: str
    task_state: str | None
    power_state: int
    progress: int
    locked_by: str | None
    locked_reason: str | None
    fault: Fault | None
    host: str | None
    generation: int
    availability_zone: str | None
    group_id: str | None
    hints: Mapping[str, Any]
    flavor: ServerFlavor
    image_id: str | None
    image: ServerImage | None
    key_name: str | None
    key: Mapping[str, str] | None
    user_data: str | None
    config_drive: bool
    disk_config: str
    root_device_name: str
    access_ip_v4: str | None
    access_ip_v6: str | None
    metadata: Mapping[str, str]
    trusted_certs: Sequence[str] | None
    kept: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    launched_at: datetime | None
    terminated_at: datetime | None
    deleted_at: datetime | None
    tags: tuple[str, ...] = ()

    @property
    def is_locked(self) -> bool:
        """Whether its owner may not change it."""
        return self.locked_by is not None


@dataclass(frozen=True, slots=True)
class AskedNetwork:
    """A port that a new server, or an attachment, is to have: one that there is, or a new one on a network."""

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class NewServer:
    """What a client asks for. ``networks``: None lets the cloud choose, empty is none.

    ``user_data`` is base 64. ``forced_host`` and ``requested_host`` are names of hosts: the first skips the filters,
    the second does not. ``security_groups`` are names or ids.
    """

    name: str
    flavor: Flavor
    image_id: str | None
    description: str | None = None
    hostname: str | None = None
    networks: Sequence[AskedNetwork] | None = None
    security_groups: Sequence[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    key_name: str | None = None
    user_data: str | None = None
    config_drive: bool = False
    disk_config: str = "MANUAL"
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    availability_zone: str | None = None
    forced_host: str | None = None
    requested_host: str | None = None
    group_id: str | None = None
    hints: Mapping[str, Any] = field(default_factory=dict)
    trusted_certs: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class ServerQuery:
    """Which servers, in which order, and which page of them.

    ``equals`` are columns and the value that each must have, or ``flavor_id`` and ``locked``; ``like`` regular
    expressions by column (``name``, ``hostname``), which match anywhere. ``vm_states`` and ``task_states`` are those
    that it may be in (None: any). ``deleted``: only those that are deleted, only those that are not, or with None both.
    ``changes_since`` and ``changes_before`` are about ``updated_at``. ``tags`` must all be there, one of ``tags_any``,
    not all of ``not_tags``, none of ``not_tags_any``. ``fixed_ip`` matches addresses of ports. ``sort`` are columns and
    whether they go down. ``marker`` is the id of the last server of the page before.
    """

    equals: Mapping[str, Any] = field(default_factory=dict)
    like: Mapping[str, str] = field(default_factory=dict)
    vm_states: Sequence[str] | None = None
    task_states: Sequence[str | None] | None = None
    deleted: bool | None = False
    changes_since: datetime | None = None
    changes_before: datetime | None = None
    tags: Sequence[str] = ()
    tags_any: Sequence[str] = ()
    not_tags: Sequence[str] = ()
    not_tags_any: Sequence[str] = ()
    fixed_ip: str | None = None
    fixed_ip6: str | None = None
    sort: Sequence[tuple[str, bool]] = (("created_at", True),)
    marker: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a server: of a port, or floating (``kind`` is ``fixed`` or ``floating``)."""

    network: str
    version: int
    address: str
    mac: str
    kind: str = "fixed"


# ---------------------------------------------------------------- what was asked of them


@dataclass(frozen=True, slots=True)
class ActionEvent:
    """A step of an action. ``result`` is ``Success`` or ``Error``, None while it is under way."""

    number: int
    name: str
    host: str | None
    started_at: datetime
    finished_at: datetime | None
    result: str | None
    details: str | None


@dataclass(frozen=True, slots=True)
class Action:
    """What was asked of a server: Nova's instance action. ``phase`` is ``doing``, ``undoing`` or ``done``.

    ``args`` is what its saga must know to go on after a crash.
    """

    number: int
    server_id: str
    request_id: str
    action: str
    user_id: str
    project_id: str
    message: str | None
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    args: Mapping[str, Any]
    phase: str


@dataclass(frozen=True, slots=True)
class Migration:
    """A move of a server from one host to another, by their uuids; ``uuid`` is the consumer of what ``source`` holds.

    ``type`` is ``resize``, ``migration``, ``live-migration`` or ``evacuation``.
    """

    number: int
    uuid: str
    server_id: str
    project_id: str
    user_id: str
    type: str
    status: str
    source: str
    target: str | None
    source_generation: int
    target_generation: int
    old_flavor: ServerFlavor
    new_flavor: ServerFlavor
    created_at: datetime
    updated_at: datetime


# ---------------------------------------------------------------- hosts


@dataclass(frozen=True, slots=True)
class Host:
    """A host as the control plane knows it. ``is_up`` is False for one that does not answer or was said to be down.

    ``zone`` is its availability zone, from its aggregates.
    """

    number: int
    uuid: str
    name: str
    service_id: str
    disabled: bool
    disabled_reason: str | None
    forced_down: bool
    created_at: datetime
    updated_at: datetime
    is_up: bool
    zone: str
    hypervisor_type: str = ""
    hypervisor_version: int = 0
    address: str = ""
