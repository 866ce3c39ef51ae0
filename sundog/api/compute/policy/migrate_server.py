"""Moving a server."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN, PROJECT_MANAGER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-migrate-server:migrate": PROJECT_MANAGER_OR_ADMIN,
    "os_compute_api:os-migrate-server:migrate:host": ADMIN,
    "os_compute_api:os-migrate-server:migrate_live": PROJECT_MANAGER_OR_ADMIN,
    "os_compute_api:os-migrate-server:migrate_live:host": ADMIN,
}
