"""Quotas, limits and usage."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from sundog.api.compute.schemas.common import MOST_INT, Limit, Part, Truth, Whole
from sundog.api.kit.bodies import Body, Query

Most = Annotated[Whole, Field(ge=-1, le=MOST_INT)]


class Quota_2_57(Part):
    """Limits of what is Nova's own."""

    instances: Most | None = None
    cores: Most | None = None
    ram: Most | None = None
    metadata_items: Most | None = None
    key_pairs: Most | None = None
    server_groups: Most | None = None
    server_group_members: Most | None = None


class Quota_2_36(Quota_2_57):
    """And of files that are put into servers."""

    injected_files: Most | None = None
    injected_file_content_bytes: Most | None = None
    injected_file_path_bytes: Most | None = None


class Quota(Quota_2_36):
    """And of networks, which limit nothing."""

    fixed_ips: Most | None = None
    floating_ips: Most | None = None
    security_groups: Most | None = None
    security_group_rules: Most | None = None


class ForcedQuota(Quota):
    """Limits, whatever is used already."""

    force: Truth = False


class ForcedQuota_2_36(Quota_2_36):
    """Limits, whatever is used already."""

    force: Truth = False


class ForcedQuota_2_57(Quota_2_57):
    """Limits, whatever is used already."""

    force: Truth = False


class UpdateQuota(Body):
    """Changed limits of a project or a user."""

    quota_set: ForcedQuota


class UpdateQuota_2_36(Body):
    """Changed limits of a project or a user."""

    quota_set: ForcedQuota_2_36


class UpdateQuota_2_57(Body):
    """Changed limits of a project or a user."""

    quota_set: ForcedQuota_2_57


AnyUpdateQuota = UpdateQuota | UpdateQuota_2_36 | UpdateQuota_2_57


class UpdateClass(Body):
    """Changed limits of a class."""

    quota_class_set: Quota


class UpdateClass_2_50(Body):
    """Changed limits of a class."""

    quota_class_set: Quota_2_36


class UpdateClass_2_57(Body):
    """Changed limits of a class."""

    quota_class_set: Quota_2_57


AnyUpdateClass = UpdateClass | UpdateClass_2_50 | UpdateClass_2_57


class OfUser(Query):
    """Whose limits, if not the project's."""

    user_id: str | None = None


class OfUser_2_75(OfUser):
    """No other keys."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class OfProject(Query):
    """Whose limits, if not those of the caller's own project."""

    tenant_id: str | None = None


class OfProject_2_75(OfProject):
    """No other keys."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Period(Query):
    """From when to when, and whether servers are told one by one."""

    start: str | None = None
    end: str | None = None
    detailed: str = "0"


class Period_2_40(Period):
    """Page by page."""

    limit: Limit | None = None
    marker: str | None = None


class Period_2_75(Period_2_40):
    """No other keys."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class OfOne_2_1(Query):
    """From when to when."""

    start: str | None = None
    end: str | None = None


class OfOne_2_40(OfOne_2_1):
    """Page by page."""

    limit: Limit | None = None
    marker: str | None = None


class OfOne_2_75(OfOne_2_40):
    """No other keys."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
