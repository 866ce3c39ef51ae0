"""What the tests of moves share."""

from __future__ import annotations

import pytest

from sundog.control.compute import Settings
from sundog.control.compute.records import Server
from sundog.errors import NotFound
from tests.computing import ADMIN, OWNER, Small, audit, compare

QUICK = Settings(quick=30.0, long=300.0)


async def built(cloud: Small, *, stopped: bool = False) -> Server:
    """A new server, at work or stopped."""
    server = cloud.create()
    await cloud.idle()
    if stopped:
        cloud.compute.power.stop(OWNER, server.id)
        await cloud.idle()
    return cloud.show(server)


async def agreed(cloud: Small) -> None:
    """Everything has come to its end, hosts that were away have been looked at, and the books are right."""
    await cloud.idle()
    await compare(cloud)
    audit(cloud)


async def deleted(cloud: Small, server: Server) -> None:
    """Nothing of it is left, whatever was under way on it."""
    cloud.compute.servers.delete(ADMIN, server.id)
    await cloud.idle()
    audit(cloud)
    assert cloud.copies() == {}
    assert cloud.placement.books.consumers == {}
    with pytest.raises(NotFound):
        cloud.show(server)
