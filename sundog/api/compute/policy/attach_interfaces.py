"""Interfaces of a server."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-attach-interfaces:list": PROJECT_READER_OR_ADMIN,
    "os_compute_api:os-attach-interfaces:show": PROJECT_READER_OR_ADMIN,
    "os_compute_api:os-attach-interfaces:create": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:os-attach-interfaces:delete": PROJECT_MEMBER_OR_ADMIN,
}
