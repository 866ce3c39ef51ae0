"""What is said of servers, by version: a step subclasses the last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from sundog.api.compute.schemas.common import Count, Name, Part, Positive, StrictQuery, Truth, Uuid
from sundog.api.compute.schemas.server_parts import (
    AnyNetwork,
    Base64,
    Certificates,
    Description,
    Device,
    DiskConfig,
    File,
    FlavorRef,
    Fqdn,
    Hostname,
    ImageRef,
    Ip,
    Ipv4,
    Ipv6,
    Metadata,
    Network,
    OldDevice,
    Regex,
    SecurityGroup,
    TaggedAnyNetwork,
    TaggedDevice,
    TaggedNetwork,
    TagText,
    Time,
    TypedDevice,
    Uuids,
)
from sundog.api.kit.bodies import Query

MOST_TAGS: Final = 50


def _gone(_value: Any) -> Any:
    raise PydanticCustomError("extra_forbidden", "Extra inputs are not permitted")


Gone = Annotated[None, BeforeValidator(_gone)]
"""A key that a version took away."""

# ---------------------------------------------------------------- create


class Hints(Part):
    """Scheduler hints: those that are known have a form, and others are kept as they are."""

    model_config = ConfigDict(extra="allow", populate_by_name=False)

    group: Uuid | list[Uuid] | None = None
    different_host: Uuids = []
    same_host: Uuids = []
    query: str | dict[str, Any] | None = None
    target_cell: Name = ""
    different_cell: str | list[str] = []
    build_near_host_ip: Ip | None = None
    cidr: Annotated[str, Field(pattern=r"^/[0-9a-f.:]+$")] | None = None


class NewServer(Part):
    name: Name
    flavorRef: FlavorRef
    imageRef: ImageRef = ""
    adminPass: str = ""
    metadata: Metadata = {}
    networks: list[AnyNetwork] = []
    disk_config: DiskConfig = Field("MANUAL", alias="OS-DCF:diskConfig")
    accessIPv4: Ipv4 = ""
    accessIPv6: Ipv6 = ""
    personality: list[File] = []
    availability_zone: Name = ""
    block_device_mapping: list[OldDevice] = []
    block_device_mapping_v2: list[Device] = []
    config_drive: Truth = False
    key_name: Name = ""
    min_count: Positive = 1
    max_count: Positive = 1
    return_reservation_id: Truth = False
    security_groups: list[SecurityGroup] = []
    user_data: Base64 = ""


class NewServer_2_19(NewServer):
    description: Description = None


class NewServer_2_32(NewServer_2_19):
    networks: list[TaggedAnyNetwork] = []  # type: ignore[assignment]
    block_device_mapping_v2: list[TaggedDevice] = []  # type: ignore[assignment]


class NewServer_2_33(NewServer_2_19):
    networks: list[TaggedAnyNetwork] = []  # type: ignore[assignment]


class NewServer_2_37(NewServer_2_33):
    networks: list[Network] | Literal["none", "auto"]  # type: ignore[assignment]


class NewServer_2_42(NewServer_2_37):
    networks: list[TaggedNetwork] | Literal["none", "auto"]  # type: ignore[assignment]
    block_device_mapping_v2: list[TaggedDevice] = []  # type: ignore[assignment]


class NewServer_2_52(NewServer_2_42):
    tags: Annotated[list[TagText], Field(max_length=MOST_TAGS)] = []


class NewServer_2_57(NewServer_2_52):
    personality: Gone = None  # type: ignore[assignment]


class NewServer_2_63(NewServer_2_57):
    trusted_image_certificates: Certificates = None


class NewServer_2_67(NewServer_2_63):
    block_device_mapping_v2: list[TypedDevice] = []  # type: ignore[assignment]


class NewServer_2_74(NewServer_2_67):
    host: Fqdn = ""
    hypervisor_hostname: Fqdn = ""


class NewServer_2_90(NewServer_2_74):
    hostname: Hostname = ""


class NewServer_2_94(NewServer_2_90):
    hostname: Fqdn = ""


class CreateServer(Part):
    server: NewServer
    hints: Hints | None = Field(None, alias="os:scheduler_hints")
    old_hints: Hints | None = Field(None, alias="OS-SCH-HNT:scheduler_hints")


class CreateServer_2_19(CreateServer):
    server: NewServer_2_19


class CreateServer_2_32(CreateServer):
    server: NewServer_2_32


class CreateServer_2_33(CreateServer):
    server: NewServer_2_33


class CreateServer_2_37(CreateServer):
    server: NewServer_2_37


class CreateServer_2_42(CreateServer):
    server: NewServer_2_42


class CreateServer_2_52(CreateServer):
    server: NewServer_2_52


class CreateServer_2_57(CreateServer):
    server: NewServer_2_57


class CreateServer_2_63(CreateServer):
    server: NewServer_2_63


class CreateServer_2_67(CreateServer):
    server: NewServer_2_67


class CreateServer_2_74(CreateServer):
    server: NewServer_2_74


class CreateServer_2_90(CreateServer):
    server: NewServer_2_90


class CreateServer_2_94(CreateServer):
    server: NewServer_2_94


Steps = Mapping[str, type[BaseModel]]
"""Models by the first version that each is for."""

CREATE: Final[Steps] = {
    "2.1": CreateServer,
    "2.19": CreateServer_2_19,
    "2.32": CreateServer_2_32,
    "2.33": CreateServer_2_33,
    "2.37": CreateServer_2_37,
    "2.42": CreateServer_2_42,
    "2.52": CreateServer_2_52,
    "2.57": CreateServer_2_57,
    "2.63": CreateServer_2_63,
    "2.67": CreateServer_2_67,
    "2.74": CreateServer_2_74,
    "2.90": CreateServer_2_90,
    "2.94": CreateServer_2_94,
}

# ---------------------------------------------------------------- update


class ChangedServer(Part):
    name: Name = ""
    disk_config: DiskConfig = Field("MANUAL", alias="OS-DCF:diskConfig")
    accessIPv4: Ipv4 = ""
    accessIPv6: Ipv6 = ""


class ChangedServer_2_19(ChangedServer):
    description: Description = None


class ChangedServer_2_90(ChangedServer_2_19):
    hostname: Hostname = ""


class ChangedServer_2_94(ChangedServer_2_90):
    hostname: Fqdn = ""


class ChangedServer_2_104(ChangedServer_2_94):
    pinned_availability_zone: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class UpdateServer(Part):
    server: ChangedServer


class UpdateServer_2_19(UpdateServer):
    server: ChangedServer_2_19


class UpdateServer_2_90(UpdateServer):
    server: ChangedServer_2_90


class UpdateServer_2_94(UpdateServer):
    server: ChangedServer_2_94


class UpdateServer_2_104(UpdateServer):
    server: ChangedServer_2_104


UPDATE: Final[Steps] = {
    "2.1": UpdateServer,
    "2.19": UpdateServer_2_19,
    "2.90": UpdateServer_2_90,
    "2.94": UpdateServer_2_94,
    "2.104": UpdateServer_2_104,
}

# ---------------------------------------------------------------- list


_Sortable: TypeAlias = Literal[
    "access_ip_v4",
    "access_ip_v6",
    "auto_disk_config",
    "availability_zone",
    "config_drive",
    "created_at",
    "display_description",
    "display_name",
    "host",
    "hostname",
    "image_ref",
    "instance_type_id",
    "kernel_id",
    "key_name",
    "launch_index",
    "launched_at",
    "locked_by",
    "node",
    "power_state",
    "progress",
    "project_id",
    "ramdisk_id",
    "root_device_name",
    "task_state",
    "terminated_at",
    "updated_at",
    "user_id",
    "uuid",
    "vm_state",
]

_Ignored: TypeAlias = Literal[
    "architecture",
    "cell_name",
    "cleaned",
    "default_ephemeral_device",
    "default_swap_device",
    "deleted",
    "deleted_at",
    "disable_terminate",
    "ephemeral_gb",
    "ephemeral_key_uuid",
    "id",
    "key_data",
    "launched_on",
    "locked",
    "memory_mb",
    "os_type",
    "reservation_id",
    "root_gb",
    "shutdown_terminate",
    "user_data",
    "vcpus",
    "vm_mode",
]


class ListServers(Query):
    """Which servers. Of a key that is there several times the last one counts, but for ``status`` and the sort keys."""

    # What begins with an underscore, and the names of Nova's other tables, are refused by the handler.
    model_config = ConfigDict(extra="allow", populate_by_name=False)

    user_id: str | None = None
    project_id: str | None = None
    tenant_id: str | None = None
    launch_index: str | None = None
    image_ref: str | None = None
    image: str | None = None
    kernel_id: Regex | None = None
    ramdisk_id: Regex | None = None
    hostname: Regex | None = None
    key_name: Regex | None = None
    power_state: Regex | None = None
    vm_state: str | None = None
    task_state: str | None = None
    host: str | None = None
    node: Regex | None = None
    flavor: Regex | None = None
    reservation_id: Regex | None = None
    launched_at: Regex | None = None
    terminated_at: Regex | None = None
    availability_zone: Regex | None = None
    name: Regex | None = None
    display_name: Regex | None = None
    description: Regex | None = None
    display_description: Regex | None = None
    locked_by: Regex | None = None
    uuid: str | None = None
    root_device_name: Regex | None = None
    config_drive: Regex | None = None
    access_ip_v4: Regex | None = None
    access_ip_v6: Regex | None = None
    auto_disk_config: Regex | None = None
    progress: Regex | None = None
    sort_key: list[_Sortable | _Ignored] = []
    sort_dir: list[str] = []
    all_tenants: str | None = None
    soft_deleted: str | None = None
    deleted: str | None = None
    status: list[str] = []
    changes_since: Time | None = Field(None, alias="changes-since")
    ip: Regex | None = None
    ip6: Regex | None = None
    created_at: Regex | None = None
    limit: Count | None = None
    marker: str | None = None


class ListServers_2_26(ListServers):
    tags: Regex | None = None
    tags_any: Regex | None = Field(None, alias="tags-any")
    not_tags: Regex | None = Field(None, alias="not-tags")
    not_tags_any: Regex | None = Field(None, alias="not-tags-any")


class ListServers_2_66(ListServers_2_26):
    changes_before: Time | None = Field(None, alias="changes-before")


class ListServers_2_73(ListServers_2_66):
    locked: str | None = None


_JOINED: Final = (
    "block_device_mapping",
    "services",
    "metadata",
    "system_metadata",
    "info_cache",
    "security_groups",
    "pci_devices",
)
"""Names of Nova's other tables, which no filter may be about."""


class ListServers_2_75(ListServers_2_73):
    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    sort_key: list[_Sortable | Literal["locked"]] = []  # type: ignore[assignment]


LIST: Final[Steps] = {
    "2.1": ListServers,
    "2.26": ListServers_2_26,
    "2.66": ListServers_2_66,
    "2.73": ListServers_2_73,
    "2.75": ListServers_2_75,
}


def refused_filters(query: ListServers) -> list[str]:
    """Keys of a query that Nova refuses by name."""
    return [key for key in query.model_extra or () if key in _JOINED or key.startswith("_")]


class ShowServer(Query):
    """Nothing that anything depends on."""


SHOW: Final[Steps] = {"2.1": ShowServer, "2.102": StrictQuery}
