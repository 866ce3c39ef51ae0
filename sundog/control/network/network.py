"""All of the network, a part for each kind of thing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sundog.backends.networks import NetworkDriver
from sundog.control.network.books import Books
from sundog.control.network.floating import FloatingIps
from sundog.control.network.groups import SecurityGroupRules, SecurityGroups
from sundog.control.network.networks import Networks
from sundog.control.network.pools import SubnetPools
from sundog.control.network.ports import Ports
from sundog.control.network.quotas import Quotas
from sundog.control.network.routers import Routers
from sundog.control.network.subnets import Subnets
from sundog.control.network.tags import Tags
from sundog.control.network.wirer import Unwired, Wirer, Wires
from sundog.control.store import Store
from sundog.runtime.clock import utcnow
from sundog.runtime.ids import Ids


class Network:
    """The network over a store. ``ids`` is where new things get their ids and MACs from, ``now`` their times.

    ``driver`` makes the wires that servers send over; without one they are on paper only.
    """

    def __init__(
        self, store: Store, ids: Ids, now: Callable[[], datetime] = utcnow, *, driver: NetworkDriver | None = None
    ) -> None:
        self.books = Books(store, ids, now)
        self.wires: Wires = Unwired() if driver is None else Wirer(self.books, driver)
        self.networks = Networks(self.books)
        self.subnets = Subnets(self.books)
        self.subnet_pools = SubnetPools(self.books)
        self.ports = Ports(self.books)
        self.groups = SecurityGroups(self.books)
        self.rules = SecurityGroupRules(self.books)
        self.routers = Routers(self.books)
        self.floating_ips = FloatingIps(self.books)
        self.quotas = Quotas(self.books)
        self.tags = Tags(self.books)
