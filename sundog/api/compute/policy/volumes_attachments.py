"""Volumes of a server."""

from __future__ import annotations

from typing import Final

from sundog.api.compute.policy.checks import SERVICE_OR_ADMIN
from sundog.api.kit.policy import PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-volumes-attachments:index": PROJECT_READER_OR_ADMIN,
    "os_compute_api:os-volumes-attachments:create": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:os-volumes-attachments:show": PROJECT_READER_OR_ADMIN,
    "os_compute_api:os-volumes-attachments:update": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:os-volumes-attachments:swap": SERVICE_OR_ADMIN,
    "os_compute_api:os-volumes-attachments:delete": PROJECT_MEMBER_OR_ADMIN,
}
