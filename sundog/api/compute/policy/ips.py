"""Addresses of a server."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import PROJECT_READER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:ips:show": PROJECT_READER_OR_ADMIN,
    "os_compute_api:ips:index": PROJECT_READER_OR_ADMIN,
}
