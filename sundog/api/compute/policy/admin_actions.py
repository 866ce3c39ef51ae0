"""What administrators may do to a server's state."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN

CHECKS: Final = {
    "os_compute_api:os-admin-actions:reset_state": ADMIN,
    "os_compute_api:os-admin-actions:inject_network_info": ADMIN,
}
