"""What is said of the parts of servers: metadata, tags, interfaces, consoles, events, migrations."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator

from sundog.api.compute.schemas.common import Count, NoQuery, Part, StrictQuery, Uuid
from sundog.api.compute.schemas.server_parts import Ip, Metadata, TagText, Time
from sundog.api.compute.schemas.servers import MOST_TAGS, Steps
from sundog.api.kit.bodies import Query


class AnyQuery(Query):
    """A query string of which nothing is taken."""


def nothing(since: str = "2.1") -> Steps:
    """The query strings of what takes none: before 2.102 whatever came was not looked at."""
    return {since: AnyQuery, "2.102": NoQuery}


# ---------------------------------------------------------------- metadata and tags


class SeveralItems(Part):
    metadata: Metadata


class OneItem(Part):
    meta: Annotated[Metadata, Field(min_length=1, max_length=1)]


class Tags(Part):
    tags: Annotated[list[TagText], Field(max_length=MOST_TAGS)]


# ---------------------------------------------------------------- interfaces


class FixedIp(Part):
    ip_address: Ip


class Interface(Part):
    net_id: Uuid | None = None
    port_id: Uuid | None = None
    fixed_ips: Annotated[list[FixedIp], Field(min_length=1, max_length=1)] = []

    @field_validator("net_id", "port_id", mode="before")
    @classmethod
    def _not_null(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("None is not of type 'string'")
        return value


class Interface_2_49(Interface):
    tag: TagText = ""


class AttachInterface(Part):
    """What to attach; with nothing said, what the cloud chooses."""

    attached: Interface = Field(Interface(), alias="interfaceAttachment")


class AttachInterface_2_49(Part):
    attached: Interface_2_49 = Field(Interface_2_49(), alias="interfaceAttachment")


ATTACH: Final[Steps] = {"2.1": AttachInterface, "2.49": AttachInterface_2_49}

# ---------------------------------------------------------------- consoles


class Console(Part):
    protocol: Literal["vnc", "spice", "serial", "rdp"]
    type: Literal["novnc", "xvpvnc", "spice-html5", "serial", "rdp-html5"]


class Console_2_8(Part):
    protocol: Literal["vnc", "spice", "serial", "rdp", "mks"]
    type: Literal["novnc", "xvpvnc", "spice-html5", "serial", "rdp-html5", "webmks"]


class Console_2_99(Console_2_8):
    type: Literal[  # type: ignore[assignment]
        "novnc", "xvpvnc", "spice-html5", "serial", "rdp-html5", "webmks", "spice-direct"
    ]


class CreateConsole(Part):
    remote_console: Console


class CreateConsole_2_8(Part):
    remote_console: Console_2_8


class CreateConsole_2_99(Part):
    remote_console: Console_2_99


CONSOLE: Final[Steps] = {"2.6": CreateConsole, "2.8": CreateConsole_2_8, "2.99": CreateConsole_2_99}

TOKENS: Final[Steps] = {"2.1": AnyQuery, "2.99": NoQuery}

# ---------------------------------------------------------------- actions and migrations


class ListActions_2_58(StrictQuery):
    limit: Count | None = None
    marker: str | None = None
    changes_since: Time | None = Field(None, alias="changes-since")


class ListActions_2_66(ListActions_2_58):
    changes_before: Time | None = Field(None, alias="changes-before")


ACTIONS: Final[Steps] = {"2.1": AnyQuery, "2.58": ListActions_2_58, "2.66": ListActions_2_66}


class ListMigrations(Query):
    hidden: str | None = None
    host: str | None = None
    instance_uuid: str | None = None
    source_compute: str | None = None
    status: str | None = None
    migration_type: str | None = None
    project_id: str | None = None


class ListMigrations_2_59(StrictQuery):
    hidden: str | None = None
    host: str | None = None
    instance_uuid: str | None = None
    source_compute: str | None = None
    status: str | None = None
    migration_type: str | None = None
    limit: Count | None = None
    marker: str | None = None
    changes_since: Time | None = Field(None, alias="changes-since")


class ListMigrations_2_66(ListMigrations_2_59):
    changes_before: Time | None = Field(None, alias="changes-before")


class ListMigrations_2_80(ListMigrations_2_66):
    user_id: str | None = None
    project_id: str | None = None


MIGRATIONS: Final[Steps] = {
    "2.1": ListMigrations,
    "2.59": ListMigrations_2_59,
    "2.66": ListMigrations_2_66,
    "2.80": ListMigrations_2_80,
}

# ---------------------------------------------------------------- events from other services


class Event(Part):
    name: Literal["network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted"]
    server_uuid: Uuid
    status: Literal["failed", "completed", "in-progress"] = "completed"
    tag: Annotated[str, Field(max_length=255)] | None = None


class Event_2_51(Event):
    name: Literal[  # type: ignore[assignment]
        "network-changed",
        "network-vif-plugged",
        "network-vif-unplugged",
        "network-vif-deleted",
        "volume-extended",
    ]


class Event_2_76(Event_2_51):
    name: Literal[  # type: ignore[assignment]
        "network-changed",
        "network-vif-plugged",
        "network-vif-unplugged",
        "network-vif-deleted",
        "volume-extended",
        "power-update",
    ]


class Event_2_82(Event_2_76):
    name: Literal[  # type: ignore[assignment]
        "network-changed",
        "network-vif-plugged",
        "network-vif-unplugged",
        "network-vif-deleted",
        "volume-extended",
        "power-update",
        "accelerator-request-bound",
    ]


class Event_2_93(Event_2_82):
    name: Literal[  # type: ignore[assignment]
        "network-changed",
        "network-vif-plugged",
        "network-vif-unplugged",
        "network-vif-deleted",
        "volume-extended",
        "power-update",
        "accelerator-request-bound",
        "volume-reimaged",
    ]


class Events(Part):
    events: Annotated[list[Event], Field(min_length=1)]


class Events_2_51(Part):
    events: Annotated[list[Event_2_51], Field(min_length=1)]


class Events_2_76(Part):
    events: Annotated[list[Event_2_76], Field(min_length=1)]


class Events_2_82(Part):
    events: Annotated[list[Event_2_82], Field(min_length=1)]


class Events_2_93(Part):
    events: Annotated[list[Event_2_93], Field(min_length=1)]


EVENTS: Final[Steps] = {
    "2.1": Events,
    "2.51": Events_2_51,
    "2.76": Events_2_76,
    "2.82": Events_2_82,
    "2.93": Events_2_93,
}
