"""What a server's console showed."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import PROJECT_MEMBER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-console-output": PROJECT_MEMBER_OR_ADMIN,
}
