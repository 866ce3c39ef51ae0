"""Migrations of all servers."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN, PROJECT_MANAGER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-migrations:index": PROJECT_MANAGER_OR_ADMIN,
    "os_compute_api:os-migrations:index:all_projects": ADMIN,
    "os_compute_api:os-migrations:index:host": ADMIN,
}
