"""What the schemas of servers and of their actions share: texts of many forms, networks and devices."""

from __future__ import annotations

import base64
import binascii
import importlib
import ipaddress
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sundog.api.compute.schemas.common import Part, Truth, Uuid, Whole, check_uuid


def _ipv4(value: str) -> str:
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        raise ValueError(f"{value[:64]!r} is not a 'ipv4'") from None


def _ipv6(value: str) -> str:
    try:
        # Python takes anything at all as the zone of an address.
        return str(ipaddress.IPv6Address(value.replace("%", "/")))
    except ValueError:
        raise ValueError(f"{value[:64]!r} is not a 'ipv6'") from None


def _address(value: str) -> str:
    return _ipv6(value) if ":" in value else _ipv4(value)


def _base64(value: str) -> str:
    try:
        base64.decodebytes(value.encode())
    except (binascii.Error, ValueError):
        raise ValueError("it is not a 'base64'") from None
    return value


def _different(value: list[str]) -> list[str]:
    if len(set(value)) != len(value):
        raise ValueError("it has non-unique elements")
    return value


def _uuid_or_nothing(value: str) -> str:
    return value and check_uuid(value)


def _regex(value: str) -> str:
    if len(value) > MOST_REGEX:
        raise ValueError(f"it is longer than {MOST_REGEX} characters")
    try:
        re.compile(value)
        choices = _choices(_PARSER.parse(value))
    except (re.error, RecursionError, OverflowError):
        raise ValueError(f"{value!r} is not a 'regex'") from None
    if choices > MOST_CHOICES:
        raise ValueError(f"{value!r} could keep the service busy: repeat less, and nothing that repeats itself")
    return value


_PARSER: Final[Any] = importlib.import_module("re._parser")
"""Python's own parser of regular expressions, which has no other way in."""


def _choices(parsed: Any) -> int:
    """Of how many things an expression may take more or fewer; far too many where that is nested, or refers back.

    Each multiplies the time that a text takes by its length, and nesting makes it grow exponentially.
    """
    found = 0
    for kind, told in parsed:
        name = str(kind)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = told
            within = _choices(inner)
            found += within * int(most) if least == most else (1 if within == 0 else _FAR_TOO_MANY)
        elif name == "SUBPATTERN":
            found += _choices(told[-1])
        elif name == "BRANCH":
            found += 1 + sum(_choices(each) for each in told[1])
        elif name in ("GROUPREF", "GROUPREF_EXISTS", "ASSERT", "ASSERT_NOT", "ATOMIC_GROUP"):
            found += _FAR_TOO_MANY
    return found


def _time(value: str) -> datetime:
    try:
        # A plus in a query string that was not escaped comes as a space.
        told = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)$", r"+\1", value))
    except ValueError:
        raise ValueError(f"{value[:64]!r} is not a 'date-time'") from None
    return told if told.tzinfo is not None else told.replace(tzinfo=UTC)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


MOST_REGEX: Final = 1000
"""A filter may be so long; a longer one serves nobody but who wants to see the service busy."""

MOST_CHOICES: Final = 3
_FAR_TOO_MANY: Final = 100

Ipv4 = Annotated[str, AfterValidator(_ipv4)]
Ipv6 = Annotated[str, AfterValidator(_ipv6)]
Ip = Annotated[str, AfterValidator(_address)]
Base64 = Annotated[str, Field(max_length=65535), AfterValidator(_base64)]
Regex = Annotated[str, AfterValidator(_regex)]
Time = Annotated[datetime, BeforeValidator(_time)]
Hostname = Annotated[str, Field(min_length=2, max_length=63, pattern=r"^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$")]
Fqdn = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-._]*$")]
TagText = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^,/]*$")]
Description = Annotated[str, Field(max_length=255)] | None
DiskConfig = Literal["AUTO", "MANUAL"]
FlavorRef = Annotated[str, Field(min_length=1), BeforeValidator(lambda told: str(told) if type(told) is int else told)]
Metadata = dict[
    Annotated[str, Field(pattern=r"^[a-zA-Z0-9-_:. ]{1,255}$")],
    Annotated[str, Field(max_length=255)],
]
Certificates = (
    Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=50), AfterValidator(_different)]
    | None
)
ImageRef = Annotated[str, AfterValidator(_uuid_or_nothing)]
Uuids = Annotated[list[Uuid], BeforeValidator(_listed)]


class File(Part):
    """A file to put into a server: personality, which was given up in 2.57."""

    path: str = ""
    contents: Base64 = ""


class SecurityGroup(Part):
    """A security group by its name or id."""

    name: Annotated[str, Field(min_length=1, max_length=255)] = ""


class AnyNetwork(Part):
    """A network to be on, or a port to have. The id of the network is looked at later."""

    fixed_ip: Ip | None = None
    port: Uuid | None = None
    uuid: str | None = None


class TaggedAnyNetwork(AnyNetwork):
    """With a name for the device, which the guest sees."""

    tag: TagText = ""


class Network(AnyNetwork):
    """A network whose id must be a UUID."""

    uuid: Uuid | None = None


class TaggedNetwork(Network):
    """With a name for the device, which the guest sees."""

    tag: TagText = ""


class OldDevice(Part):
    """A block device, as it was said before ``block_device_mapping_v2``: all of them are volumes."""

    virtual_name: Annotated[str, Field(max_length=255)] = ""
    volume_id: Uuid | None = None
    snapshot_id: Uuid | None = None
    volume_size: Annotated[Whole, Field(ge=1)] | None = None
    device_name: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9._/-]*$")] = ""
    delete_on_termination: Truth = False
    no_device: Any = None
    connection_info: str = ""


class Device(OldDevice):
    """A block device: where its data come from, and where they go."""

    source_type: Literal["volume", "image", "snapshot", "blank"] | None = None
    uuid: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9._-]*$")] | None = None
    image_id: Uuid | None = None
    destination_type: Literal["local", "volume"] | None = None
    guest_format: Annotated[str, Field(max_length=255)] = ""
    device_type: Annotated[str, Field(max_length=255)] = ""
    disk_bus: Annotated[str, Field(max_length=255)] = ""
    boot_index: Whole | None = None


class TaggedDevice(Device):
    """With a name for the device, which the guest sees."""

    tag: TagText = ""


class TypedDevice(TaggedDevice):
    """With a type for the volume that is made."""

    volume_type: Annotated[str, Field(max_length=255)] | None = None
