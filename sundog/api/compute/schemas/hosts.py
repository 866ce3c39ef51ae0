"""Services and hypervisors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

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
