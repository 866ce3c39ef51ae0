"""What other services tell of a server."""

from __future__ import annotations

from typing import Final

from sundog.api.compute.policy.checks import SERVICE_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-server-external-events:create": SERVICE_OR_ADMIN,
}
