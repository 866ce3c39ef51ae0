"""Classes of quotas."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN

CHECKS: Final = {
    "os_compute_api:os-quota-class-sets:show": ADMIN,
    "os_compute_api:os-quota-class-sets:update": ADMIN,
}
