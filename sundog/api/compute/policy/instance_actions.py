"""What was asked of a server."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN, PROJECT_READER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-instance-actions:events:details": ADMIN,
    "os_compute_api:os-instance-actions:events": ADMIN,
    "os_compute_api:os-instance-actions:list": PROJECT_READER_OR_ADMIN,
    "os_compute_api:os-instance-actions:show": PROJECT_READER_OR_ADMIN,
}
