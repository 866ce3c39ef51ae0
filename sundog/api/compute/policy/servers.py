"""Servers."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN, NOBODY, PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:servers:index": PROJECT_READER_OR_ADMIN,
    "os_compute_api:servers:detail": PROJECT_READER_OR_ADMIN,
    "os_compute_api:servers:index:get_all_tenants": ADMIN,
    "os_compute_api:servers:detail:get_all_tenants": ADMIN,
    "os_compute_api:servers:allow_all_filters": ADMIN,
    "os_compute_api:servers:show": PROJECT_READER_OR_ADMIN,
    "os_compute_api:servers:show:flavor-extra-specs": PROJECT_READER_OR_ADMIN,
    "os_compute_api:servers:show:host_status": ADMIN,
    "os_compute_api:servers:show:host_status:unknown-only": ADMIN,
    "os_compute_api:servers:create": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:servers:create:forced_host": ADMIN,
    "compute:servers:create:requested_destination": ADMIN,
    "os_compute_api:servers:create:attach_volume": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:servers:create:attach_network": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:servers:create:trusted_certs": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:servers:create:zero_disk_flavor": ADMIN,
    "network:attach_external_network": ADMIN,
    "os_compute_api:servers:delete": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:servers:update": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:servers:confirm_resize": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:servers:revert_resize": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:servers:reboot": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:servers:resize": PROJECT_MEMBER_OR_ADMIN,
    "compute:servers:resize:cross_cell": NOBODY,
    "os_compute_api:servers:rebuild": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:servers:rebuild:trusted_certs": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:servers:create_image": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:servers:create_image:allow_volume_backed": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:servers:start": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:servers:stop": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:servers:trigger_crash_dump": PROJECT_MEMBER_OR_ADMIN,
}
