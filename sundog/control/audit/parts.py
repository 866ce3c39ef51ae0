"""What audits look at."""

from __future__ import annotations

from typing import Protocol

from sundog.control.compute import Compute
from sundog.control.image import Images
from sundog.control.network import Network
from sundog.control.placement import Placement
from sundog.control.store import Store


class Audited(Protocol):
    """A cloud, as far as audits look at it. Compute must know its hosts (``hosts.register``), and need not work."""

    @property
    def store(self) -> Store:
        """What it knows."""
        ...

    @property
    def placement(self) -> Placement:
        """Places."""
        ...

    @property
    def network(self) -> Network:
        """Ports and addresses."""
        ...

    @property
    def image(self) -> Images:
        """Images."""
        ...

    @property
    def compute(self) -> Compute:
        """Servers and hosts."""
        ...
