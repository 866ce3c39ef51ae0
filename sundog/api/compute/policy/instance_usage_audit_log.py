"""The audit log of usage."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN

CHECKS: Final = {
    "os_compute_api:os-instance-usage-audit-log:list": ADMIN,
    "os_compute_api:os-instance-usage-audit-log:show": ADMIN,
}
