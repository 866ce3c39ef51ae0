"""What passes requests on to the network, until 2.35."""

from __future__ import annotations

from sundog.api.compute.schemas.common import Part


class AllocateFloatingIp(Part):
    """The external network, by its name or id; without one any."""

    pool: str | None = None
