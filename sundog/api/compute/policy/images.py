"""Images, until 2.35 and 2.38. Nova asks nothing here and leaves it to Glance, whose defaults these are."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:images:list": PROJECT_READER_OR_ADMIN,
    "os_compute_api:images:update": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:images:delete": PROJECT_MEMBER_OR_ADMIN,
}
