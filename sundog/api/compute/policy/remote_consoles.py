"""Remote consoles."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import PROJECT_MEMBER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-remote-consoles": PROJECT_MEMBER_OR_ADMIN,
}
