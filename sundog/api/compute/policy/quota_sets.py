"""Quotas of a project."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN, ANYBODY, PROJECT_READER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-quota-sets:update": ADMIN,
    "os_compute_api:os-quota-sets:defaults": ANYBODY,
    "os_compute_api:os-quota-sets:show": PROJECT_READER_OR_ADMIN,
    "os_compute_api:os-quota-sets:delete": ADMIN,
    "os_compute_api:os-quota-sets:detail": PROJECT_READER_OR_ADMIN,
}
