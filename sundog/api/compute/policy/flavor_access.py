"""Which projects have access to a flavor."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN

CHECKS: Final = {
    "os_compute_api:os-flavor-access:add_tenant_access": ADMIN,
    "os_compute_api:os-flavor-access:remove_tenant_access": ADMIN,
    "os_compute_api:os-flavor-access": ADMIN,
}
