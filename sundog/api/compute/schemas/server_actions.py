"""What is said with the actions on a server, by version where it differs. The key of the body is the action's name."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator

from sundog.api.compute.schemas.common import Count, Name, Part, Truth, Uuid, Whole
from sundog.api.compute.schemas.server_parts import (
    Base64,
    Certificates,
    Description,
    DiskConfig,
    File,
    FlavorRef,
    Fqdn,
    Hostname,
    Ip,
    Ipv4,
    Ipv6,
    Metadata,
)
from sundog.api.compute.schemas.servers import Gone, Steps

# ---------------------------------------------------------------- reboot, resize, rebuild


class RebootKind(Part):
    type: Literal["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]


class Reboot(Part):
    reboot: RebootKind


class NewSize(Part):
    flavorRef: FlavorRef
    disk_config: DiskConfig | None = Field(None, alias="OS-DCF:diskConfig")

    @field_validator("disk_config", mode="before")
    @classmethod
    def _not_null(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("None is not one of ['AUTO', 'MANUAL']")
        return value


class Resize(Part):
    resize: NewSize


class NewContents(Part):
    imageRef: Uuid
    name: Name = ""
    adminPass: str = ""
    metadata: Metadata = {}
    preserve_ephemeral: Truth = False
    disk_config: DiskConfig = Field("MANUAL", alias="OS-DCF:diskConfig")
    accessIPv4: Ipv4 = ""
    accessIPv6: Ipv6 = ""
    personality: list[File] = []


class NewContents_2_19(NewContents):
    description: Description = None


class NewContents_2_54(NewContents_2_19):
    key_name: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class NewContents_2_57(NewContents_2_54):
    personality: Gone = None  # type: ignore[assignment]
    user_data: Base64 | None = None


class NewContents_2_63(NewContents_2_57):
    trusted_image_certificates: Certificates = None


class NewContents_2_90(NewContents_2_63):
    hostname: Hostname = ""


class NewContents_2_94(NewContents_2_90):
    hostname: Fqdn = ""


class Rebuild(Part):
    rebuild: NewContents


class Rebuild_2_19(Rebuild):
    rebuild: NewContents_2_19


class Rebuild_2_54(Rebuild):
    rebuild: NewContents_2_54


class Rebuild_2_57(Rebuild):
    rebuild: NewContents_2_57


class Rebuild_2_63(Rebuild):
    rebuild: NewContents_2_63


class Rebuild_2_90(Rebuild):
    rebuild: NewContents_2_90


class Rebuild_2_94(Rebuild):
    rebuild: NewContents_2_94


REBUILD: Final[Steps] = {
    "2.1": Rebuild,
    "2.19": Rebuild_2_19,
    "2.54": Rebuild_2_54,
    "2.57": Rebuild_2_57,
    "2.63": Rebuild_2_63,
    "2.90": Rebuild_2_90,
    "2.94": Rebuild_2_94,
}

# ---------------------------------------------------------------- lock, rescue


class Reason(Part):
    locked_reason: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class Lock(Part):
    lock: Any


class Lock_2_73(Part):
    lock: Reason | None


LOCK: Final[Steps] = {"2.1": Lock, "2.73": Lock_2_73}


class RescueSystem(Part):
    adminPass: str = ""
    rescue_image_ref: Uuid | None = None


class Rescue(Part):
    rescue: RescueSystem | None


class Place(Part):
    availability_zone: Name


class Place_2_91(Part):
    availability_zone: str | None = None
    host: str | None = None


class Unshelve(Part):
    unshelve: Any


class Unshelve_2_77(Part):
    unshelve: Place | None


class Unshelve_2_91(Part):
    unshelve: Place_2_91 | None


UNSHELVE: Final[Steps] = {"2.1": Unshelve, "2.77": Unshelve_2_77, "2.91": Unshelve_2_91}

# ---------------------------------------------------------------- images


class NewImage(Part):
    name: Name
    metadata: Metadata = {}


class CreateImage(Part):
    new: NewImage = Field(alias="createImage")


class NewBackup(NewImage):
    backup_type: str
    rotation: Count


class CreateBackup(Part):
    new: NewBackup = Field(alias="createBackup")


# ---------------------------------------------------------------- password and console


class Password(Part):
    adminPass: str


class ChangePassword(Part):
    change: Password = Field(alias="changePassword")


class Lines(Part):
    length: Annotated[Whole, Field(ge=-1)] | None = None


class GetConsoleOutput(Part):
    wanted: Lines = Field(alias="os-getConsoleOutput")


class VncKind(Part):
    type: Literal["novnc", "xvpvnc"]


class SpiceKind(Part):
    type: Literal["spice-html5"]


class SerialKind(Part):
    type: Literal["serial"]


class GetVncConsole(Part):
    console: VncKind = Field(alias="os-getVNCConsole")


class GetSpiceConsole(Part):
    console: SpiceKind = Field(alias="os-getSPICEConsole")


class GetSerialConsole(Part):
    console: SerialKind = Field(alias="os-getSerialConsole")


# ---------------------------------------------------------------- moves


class Target(Part):
    host: Fqdn | None = None


class Migrate(Part):
    """Before 2.56 nothing of it was looked at."""

    migrate: Any


class Migrate_2_56(Part):
    migrate: Target | None


MIGRATE: Final[Steps] = {"2.1": Migrate, "2.56": Migrate_2_56}


class LiveTarget(Part):
    host: Fqdn | None
    block_migration: Truth
    disk_over_commit: Truth


class LiveTarget_2_25(Part):
    host: Fqdn | None
    block_migration: Literal["auto"] | Truth


class LiveTarget_2_30(LiveTarget_2_25):
    force: Truth = False


class MigrateLive(Part):
    target: LiveTarget = Field(alias="os-migrateLive")


class MigrateLive_2_25(Part):
    target: LiveTarget_2_25 = Field(alias="os-migrateLive")


class MigrateLive_2_30(Part):
    target: LiveTarget_2_30 = Field(alias="os-migrateLive")


MIGRATE_LIVE: Final[Steps] = {
    "2.1": MigrateLive,
    "2.25": MigrateLive_2_25,
    "2.30": MigrateLive_2_30,
    "2.68": MigrateLive_2_25,
}


class Refuge_2_14(Part):
    host: Fqdn | None = None
    adminPass: str = ""

    @field_validator("host", mode="before")
    @classmethod
    def _not_null(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("None is not of type 'string'")
        return value


class Refuge(Refuge_2_14):
    onSharedStorage: Truth


class Refuge_2_29(Refuge_2_14):
    force: Truth = False


class Evacuate(Part):
    evacuate: Refuge


class Evacuate_2_14(Part):
    evacuate: Refuge_2_14


class Evacuate_2_29(Part):
    evacuate: Refuge_2_29


EVACUATE: Final[Steps] = {
    "2.1": Evacuate,
    "2.14": Evacuate_2_14,
    "2.29": Evacuate_2_29,
    "2.68": Evacuate_2_14,
}


class State(Part):
    state: Literal["active", "error"]


class ResetState(Part):
    wanted: State = Field(alias="os-resetState")


# ---------------------------------------------------------------- network


class GroupName(Part):
    name: Annotated[str, Field(min_length=1)]


class AddSecurityGroup(Part):
    group: GroupName = Field(alias="addSecurityGroup")


class RemoveSecurityGroup(Part):
    group: GroupName = Field(alias="removeSecurityGroup")


class FloatingAddress(Part):
    address: Ip
    fixed_address: Ip | None = None


class AddFloatingIp(Part):
    added: FloatingAddress = Field(alias="addFloatingIp")


class OneAddress(Part):
    address: Ip


class RemoveFloatingIp(Part):
    removed: OneAddress = Field(alias="removeFloatingIp")


class OneNetwork(Part):
    networkId: Annotated[str, Field(min_length=1, max_length=36)] | int


class AddFixedIp(Part):
    added: OneNetwork = Field(alias="addFixedIp")


class RemoveFixedIp(Part):
    removed: OneAddress = Field(alias="removeFixedIp")
