"""Flavors, their extra specs, and who has access to them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, RootModel

from sundog.api.compute.schemas.common import Count, Limit, Name, Part, Positive, StrictQuery, Truth
from sundog.api.kit.bodies import Body, Query

_ID: Final = re.compile(r"(?! )[a-zA-Z0-9. _-]+(?<! )", re.ASCII)
_FACTOR: Final = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_KEY: Final = re.compile(r"[a-zA-Z0-9-_:. ]{1,255}", re.ASCII)
_MOST_FACTOR: Final = 3.40282e38


def _id(value: Any) -> Any:
    """Text; a number is taken for its digits."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is not of type 'string', 'number', 'null'")
    text = str(value)
    if isinstance(value, str) and (not _ID.fullmatch(text) or len(text) > 255):
        raise ValueError(f"{text[:255]!r} does not match '^(?! )[a-zA-Z0-9. _-]+(?<! )$'")
    return text


def _factor(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is not of type 'number', 'string'")
    if isinstance(value, str) and not _FACTOR.fullmatch(value):
        raise ValueError(f"{value[:255]!r} does not match '^[0-9]+(\\.[0-9]+)?$'")
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _described(value: str) -> str:
    # Ends of lines are what a description of several lines has; nothing else that cannot be printed.
    if any(not (each.isprintable() or each in "\n\r\t" or each.isspace()) or each == "\0" for each in value):
        raise ValueError("the description holds characters that cannot be printed")
    return value


def _spec_keys(value: dict[str, Any]) -> dict[str, Any]:
    for key in value:
        if not _KEY.fullmatch(key):
            raise ValueError(f"Additional properties are not allowed ({key[:255]!r} was unexpected)")
    return value


def _spec_value(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is not of type 'string', 'number'")
    if len(str(value)) > 255:
        raise ValueError(f"{str(value)[:64]!r}... is too long")
    return value


Id = Annotated[str | None, BeforeValidator(_id)]
Factor = Annotated[float, BeforeValidator(_factor), Field(gt=0, le=_MOST_FACTOR)]
Description = Annotated[str, Field(max_length=65535), AfterValidator(_described)]
Specs = Annotated[dict[str, Annotated[Any, BeforeValidator(_spec_value)]], AfterValidator(_spec_keys)]


class NewFlavor(Part):
    """A flavor to be."""

    name: Name
    id: Id = None
    ram: Positive
    vcpus: Positive
    disk: Count
    ephemeral: Count = Field(0, alias="OS-FLV-EXT-DATA:ephemeral")
    swap: Count = 0
    rxtx_factor: Factor = 1.0
    is_public: Truth = Field(True, alias="os-flavor-access:is_public")


class NewFlavor_2_55(NewFlavor):
    """With a description."""

    description: Description | None = None


class NewFlavor_2_102(Part):
    """Without a factor."""

    name: Name
    id: Id = None
    ram: Positive
    vcpus: Positive
    disk: Count
    ephemeral: Count = Field(0, alias="OS-FLV-EXT-DATA:ephemeral")
    swap: Count = 0
    is_public: Truth = Field(True, alias="os-flavor-access:is_public")
    description: Description | None = None


class CreateFlavor(Body):
    """A new flavor."""

    flavor: NewFlavor


class CreateFlavor_2_55(Body):
    """A new flavor."""

    flavor: NewFlavor_2_55


class CreateFlavor_2_102(Body):
    """A new flavor."""

    flavor: NewFlavor_2_102


class ChangedFlavor(Part):
    """What may be changed of a flavor."""

    description: Description | None


class UpdateFlavor(Body):
    """A changed flavor."""

    flavor: ChangedFlavor


SortKey = Literal[
    "created_at", "description", "disabled", "ephemeral_gb", "flavorid", "id", "is_public", "memory_mb", "name",
    "root_gb", "rxtx_factor", "swap", "updated_at", "vcpu_weight", "vcpus",
]  # fmt: skip
SortKey_2_102 = Literal[
    "created_at", "description", "disabled", "ephemeral_gb", "flavorid", "id", "is_public", "memory_mb", "name",
    "root_gb", "swap", "updated_at", "vcpu_weight", "vcpus",
]  # fmt: skip


class ListFlavors(Query):
    """Which flavors, in which order. ``is_public`` and the least sizes are read where it is known who asks."""

    limit: Limit | None = None
    marker: str | None = None
    is_public: str | None = None
    min_ram: str | None = Field(None, alias="minRam")
    min_disk: str | None = Field(None, alias="minDisk")
    sort_key: SortKey = "flavorid"
    sort_dir: Literal["asc", "desc"] = "asc"


class ListFlavors_2_75(ListFlavors):
    """No other keys."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)


class ListFlavors_2_102(StrictQuery):
    """By name too."""

    limit: Limit | None = None
    marker: str | None = None
    is_public: str | None = None
    min_ram: str | None = Field(None, alias="minRam")
    min_disk: str | None = Field(None, alias="minDisk")
    sort_key: SortKey_2_102 = "flavorid"
    sort_dir: Literal["asc", "desc"] = "asc"
    name: str | None = Field(None, max_length=255)


class CreateSpecs(Body):
    """Extra specs. Numbers may stand for their text."""

    extra_specs: Specs


class UpdateSpec(RootModel[Annotated[Specs, Field(min_length=1, max_length=1)]]):
    """One extra spec."""


class Tenant(Part):
    """A project."""

    tenant: Annotated[str, Field(min_length=1, max_length=255)]


class AddAccess(Body):
    """Access given to a project."""

    addTenantAccess: Tenant


class RemoveAccess(Body):
    """Access taken away from a project."""

    removeTenantAccess: Tenant
