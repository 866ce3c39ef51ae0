"""NUMA topology of a server."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN, PROJECT_READER_OR_ADMIN

CHECKS: Final = {
    "compute:server:topology:index": PROJECT_READER_OR_ADMIN,
    "compute:server:topology:host:index": ADMIN,
}
