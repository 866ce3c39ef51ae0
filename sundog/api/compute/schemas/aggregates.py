"""Aggregates."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from sundog.api.compute.schemas.common import Name, Part
from sundog.api.kit.bodies import Body

_HOST: Final = re.compile(r"[a-zA-Z0-9-._]*")
_KEY: Final = re.compile(r"[a-zA-Z0-9-_:. ]{1,255}")


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(f"{value[:255]!r} does not match '^[a-zA-Z0-9-._]*$'")
    return value


def _zone(value: str) -> str:
    if ":" in value:
        raise ValueError("a zone's name must not hold a colon, which stands before a host")
    return value


def _keys(value: dict[str, str | None]) -> dict[str, str | None]:
    for key in value:
        if not _KEY.fullmatch(key):
            raise ValueError(f"Additional properties are not allowed ({key[:255]!r} was unexpected)")
    return value


HostName = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_host)]
Zone = Annotated[Name, AfterValidator(_zone)]
Metadata = Annotated[dict[str, Annotated[str, Field(max_length=255)] | None], AfterValidator(_keys)]
LooseName = Annotated[str, Field(min_length=1, max_length=255)]


def _stripped(value: str) -> str:
    text = value.strip()
    if not text or not text.isprintable():
        raise ValueError("An invalid 'name' value was provided. The name must be printable characters.")
    return text


class NewAggregate(Part):
    """An aggregate to be."""

    name: Name
    availability_zone: Zone | None = None


class CreateAggregate(Body):
    """A new aggregate."""

    aggregate: NewAggregate


class ChangedAggregate(Part):
    """What may be changed of an aggregate: one of the two at least."""

    name: Annotated[LooseName, AfterValidator(_stripped)] | None = None
    availability_zone: Zone | None = None

    @model_validator(mode="after")
    def _something(self) -> ChangedAggregate:
        if not self.model_fields_set:
            raise ValueError("{} is not valid under any of the given schemas")
        if "name" in self.model_fields_set and self.name is None:
            raise ValueError("None is not of type 'string'")
        return self


class UpdateAggregate(Body):
    """A changed aggregate."""

    aggregate: ChangedAggregate


class OneHost(Part):
    """A host by its name."""

    host: HostName


class NewMetadata(Part):
    """Keys to be set, or with null to be removed."""

    metadata: Metadata


class AddHost(Body):
    """A host that comes."""

    add_host: OneHost


class RemoveHost(Body):
    """A host that goes."""

    remove_host: OneHost


class SetMetadata(Body):
    """Changed metadata."""

    set_metadata: NewMetadata
