"""The password of a server's administrator."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import PROJECT_MEMBER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-admin-password": PROJECT_MEMBER_OR_ADMIN,
}
