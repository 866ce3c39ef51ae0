"""Security groups: of a server, and by themselves until 2.35."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-security-groups:get": PROJECT_READER_OR_ADMIN,
    "os_compute_api:os-security-groups:show": PROJECT_READER_OR_ADMIN,
    "os_compute_api:os-security-groups:create": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:os-security-groups:update": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:os-security-groups:delete": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:os-security-groups:rule:create": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:os-security-groups:rule:delete": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:os-security-groups:list": PROJECT_READER_OR_ADMIN,
    "os_compute_api:os-security-groups:add": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:os-security-groups:remove": PROJECT_MEMBER_OR_ADMIN,
}
