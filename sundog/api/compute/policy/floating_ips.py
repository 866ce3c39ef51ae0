"""Floating IPs, until 2.35."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-floating-ips:add": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:os-floating-ips:remove": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:os-floating-ips:list": PROJECT_READER_OR_ADMIN,
    "os_compute_api:os-floating-ips:create": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:os-floating-ips:show": PROJECT_READER_OR_ADMIN,
    "os_compute_api:os-floating-ips:delete": PROJECT_MEMBER_OR_ADMIN,
}
