"""Extra specs of flavors."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN, PROJECT_READER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-flavor-extra-specs:show": PROJECT_READER_OR_ADMIN,
    "os_compute_api:os-flavor-extra-specs:create": ADMIN,
    "os_compute_api:os-flavor-extra-specs:update": ADMIN,
    "os_compute_api:os-flavor-extra-specs:delete": ADMIN,
    "os_compute_api:os-flavor-extra-specs:index": PROJECT_READER_OR_ADMIN,
}
