"""Migrations of one server."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN, PROJECT_MANAGER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:servers:migrations:show": ADMIN,
    "os_compute_api:servers:migrations:force_complete": PROJECT_MANAGER_OR_ADMIN,
    "os_compute_api:servers:migrations:delete": PROJECT_MANAGER_OR_ADMIN,
    "os_compute_api:servers:migrations:index": PROJECT_MANAGER_OR_ADMIN,
    "os_compute_api:servers:migrations:index:host": ADMIN,
}
