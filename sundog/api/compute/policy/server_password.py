"""The password that a server has made up itself."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-server-password:show": PROJECT_READER_OR_ADMIN,
    "os_compute_api:os-server-password:clear": PROJECT_MEMBER_OR_ADMIN,
}
