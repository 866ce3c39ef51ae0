"""Further fixed addresses of a server, until 2.43."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import PROJECT_MEMBER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-multinic:add": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:os-multinic:remove": PROJECT_MEMBER_OR_ADMIN,
}
