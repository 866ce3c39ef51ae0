"""Server groups."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sundog.api.compute.schemas.common import Limit, Name, Part, Positive, StrictQuery
from sundog.api.kit.bodies import Body, Query

Policy_2_1 = Literal["anti-affinity", "affinity"]
Policy = Literal["anti-affinity", "affinity", "soft-anti-affinity", "soft-affinity"]


class NewGroup(Part):
    """A server group to be, with one policy."""

    name: Name
    policies: Annotated[list[Policy_2_1], Field(min_length=1, max_length=1)]


class NewGroup_2_15(Part):
    """A server group to be, with one policy, which may be soft."""

    name: Name
    policies: Annotated[list[Policy], Field(min_length=1, max_length=1)]


class Rules(Part):
    """What loosens a policy."""

    max_server_per_host: Positive | None = None


class NewGroup_2_64(Part):
    """A server group to be."""

    name: Name
    policy: Policy
    rules: Rules = Rules()


class CreateGroup(Body):
    """A new server group."""

    server_group: NewGroup


class CreateGroup_2_15(Body):
    """A new server group."""

    server_group: NewGroup_2_15


class CreateGroup_2_64(Body):
    """A new server group."""

    server_group: NewGroup_2_64


class ListGroups(Query):
    """Whose groups, and which part of them."""

    all_projects: str | None = None
    limit: Limit | None = None
    offset: Limit = 0


class ListGroups_2_75(StrictQuery):
    """No other keys."""

    all_projects: str | None = None
    limit: Limit | None = None
    offset: Limit = 0
