"""Keypairs, which belong to users."""

from __future__ import annotations

from typing import Final

from sundog.api.compute.policy.checks import USER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-keypairs:index": USER_OR_ADMIN,
    "os_compute_api:os-keypairs:create": USER_OR_ADMIN,
    "os_compute_api:os-keypairs:delete": USER_OR_ADMIN,
    "os_compute_api:os-keypairs:show": USER_OR_ADMIN,
}
