"""Services of the control plane."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN

CHECKS: Final = {
    "os_compute_api:os-services:list": ADMIN,
    "os_compute_api:os-services:update": ADMIN,
    "os_compute_api:os-services:delete": ADMIN,
}
