"""What clients send: bodies and query strings."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictInt, StringConstraints, model_validator

from sundog.api.kit.bodies import Body, Query
from sundog.control.image.inspection import CONTAINER_FORMATS, DISK_FORMATS
from sundog.errors import Forbidden, Invalid

UUID: Final = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

READ_ONLY: Final = (
    "created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self", "file", "schema",
    "stores", "os_hash_algo", "os_hash_value",
)  # fmt: skip
RESERVED: Final = ("location", "locations", "deleted", "deleted_at")
RESERVED_PREFIX: Final = "os_glance_"
LONGEST_NAME: Final = 255

Tag = Annotated[str, StringConstraints(max_length=255)]


def check_writable(name: str) -> None:
    """Raises: Forbidden for what no client may set, which belongs to Glance."""
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.", attribute=name)
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise Forbidden(f"Attribute '{name}' is reserved.", attribute=name)


def check_length(name: str) -> None:
    """Raises: Invalid for a property without name, or with one that is too long."""
    if not name:
        raise Invalid("Custom property should have a name.")
    if len(name) > LONGEST_NAME:
        raise Invalid("Custom property should not be greater than 255 characters.")


class Fields(Body):
    """What a client may say of an image. Any other key is a property, whose value is a text."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str] = Field(init=False)

    name: str | None = Field(None, max_length=255)
    owner: str | None = Field(None, max_length=255)
    visibility: Literal["public", "private", "shared", "community"] = "shared"
    protected: StrictBool = False
    os_hidden: StrictBool = False
    disk_format: Literal[DISK_FORMATS] | None = None  # type: ignore[valid-type]
    container_format: Literal[CONTAINER_FORMATS] | None = None  # type: ignore[valid-type]
    min_disk: StrictInt = 0
    min_ram: StrictInt = 0
    tags: list[Tag] = []

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, told: Any) -> Any:
        for name in told if isinstance(told, dict) else ():
            check_writable(name)
            check_length(name)
        return told


class CreateImage(Fields):
    """An image to be made."""

    id: str | None = Field(None, pattern=UUID)


class AddTag(Body):
    """A tag, which comes in the path."""

    tag: Tag


class AddMember(Body):
    """With whom to share an image."""

    model_config = ConfigDict(extra="ignore")

    member: str = Field(min_length=1, max_length=255)


class UpdateMember(Body):
    """What a member says to an image."""

    model_config = ConfigDict(extra="ignore")

    status: str


class ImportMethod(Body):
    """How to import, with what the way needs."""

    model_config = ConfigDict(extra="allow")

    name: str


class ImportImage(Body):
    """An import. Stores may be named, although there is only one."""

    model_config = ConfigDict(extra="allow")

    method: ImportMethod
    stores: list[str] | None = None
    all_stores: StrictBool = False
    all_stores_must_succeed: StrictBool = True


class ListImages(Query):
    """Which images, in which order, how many. Any other key is a filter."""

    model_config = ConfigDict(extra="allow")

    limit: str | None = None
    marker: str | None = None
    member_status: str = "accepted"
    tag: list[str] = []
    sort: str | None = None
    sort_key: list[str] = []
    sort_dir: list[str] = []
