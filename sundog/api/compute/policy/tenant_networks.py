"""Networks of a project, until 2.35."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import PROJECT_READER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-tenant-networks:list": PROJECT_READER_OR_ADMIN,
    "os_compute_api:os-tenant-networks:show": PROJECT_READER_OR_ADMIN,
}
