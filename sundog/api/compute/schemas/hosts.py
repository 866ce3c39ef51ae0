"""Services, hypervisors, and hosts by their old name."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from sundog.api.compute.schemas.aggregates import HostName
from sundog.api.compute.schemas.common import Limit, Part, StrictQuery, Truth
from sundog.api.kit.bodies import Query

Reason = Annotated[str, Field(min_length=1, max_length=255)]
Binary = Annotated[str, Field(min_length=1, max_length=255)]


class OneService(Part):
    """A service by its host and binary."""

    host: HostName
    binary: Binary
    disabled_reason: Reason | None = None


class OneService_2_11(OneService):
    """And whether it is down, whatever it seems."""

    forced_down: Truth | None = None


class ChangedService(Part):
    """What may be changed of a service that the path names."""

    status: Literal["enabled", "disabled"] | None = None
    disabled_reason: Reason | None = None
    forced_down: Truth | None = None


class ListServices(Query):
    """Which services."""

    host: str | None = None
    binary: str | None = None


class ListServices_2_75(ListServices):
    """No other keys."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Page(Query):
    """Which page."""

    limit: Limit | None = None
    marker: str | None = None


class ListHypervisors_2_53(StrictQuery):
    """Which hypervisors, and whether their servers are told too."""

    limit: Limit | None = None
    marker: str | None = None
    pattern: HostName | None = Field(None, alias="hypervisor_hostname_pattern")
    with_servers: Truth = False


class ShowHypervisor_2_53(StrictQuery):
    """Whether its servers are told too."""

    with_servers: Truth = False


Able = Literal["enable", "disable", "Enable", "Disable", "ENABLE", "DISABLE"]


class ListHosts(Query):
    """Which hosts."""

    zone: str | None = None


class ChangedHost(Part):
    """What may be changed of a host, until 2.42: one of the two. Null is not the same as nothing."""

    status: Able | None = None
    maintenance_mode: Able | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        said = {name: getattr(self, name) for name in self.model_fields_set}
        if not said or None in said.values():
            raise ValueError("'status' or 'maintenance_mode' is a required property, and is 'enable' or 'disable'")
        return self
