"""All of compute, a part for each kind of thing, over a driver of hosts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from sundog.backends.contract import ComputeDriver
from sundog.control.compute.actions import Actions
from sundog.control.compute.aggregates import Aggregates
from sundog.control.compute.books import Books
from sundog.control.compute.consoles import Consoles
from sundog.control.compute.explaining import Explaining
from sundog.control.compute.flavors import Flavors
from sundog.control.compute.groups import ServerGroups
from sundog.control.compute.hosts import Hosts
from sundog.control.compute.hypervisors import Hypervisors
from sundog.control.compute.interfaces import Interfaces
from sundog.control.compute.keypairs import Keypairs
from sundog.control.compute.metadata import Metadata
from sundog.control.compute.migrations import Migrations
from sundog.control.compute.moves import Moves
from sundog.control.compute.power import Power
from sundog.control.compute.quotas import Quotas
from sundog.control.compute.rebuilding import Rebuilding
from sundog.control.compute.reconciling import Reconciler
from sundog.control.compute.sagas import SAGAS
from sundog.control.compute.scheduling import Scheduling
from sundog.control.compute.servers import Servers
from sundog.control.compute.settings import DEFAULT, Settings
from sundog.control.compute.snapshots import Snapshots
from sundog.control.compute.usages import Usages
from sundog.control.compute.work import Parts, Worker
from sundog.control.image import Images
from sundog.control.network import Network
from sundog.control.placement import Placement
from sundog.control.store import Store
from sundog.control.store.tables import compute as tables
from sundog.core.scheduler.policies import Policy
from sundog.core.scheduler.policies.nova import Nova
from sundog.runtime.clock import utcnow
from sundog.runtime.ids import Ids

_LOG: Final = logging.getLogger("sundog.compute")


class Compute:
    """Compute over a store and a driver. Between :meth:`start` and :meth:`stop` it works by itself.

    ``policy`` decides where servers go, Nova's own unless another is given.
    """

    def __init__(
        self,
        store: Store,
        ids: Ids,
        driver: ComputeDriver,
        *,
        placement: Placement,
        network: Network,
        images: Images,
        policy: Policy | None = None,
        policy_name: str = "nova",
        settings: Settings = DEFAULT,
        seed: int = 0,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        self.books = Books(store, ids, now)
        self.driver = driver
        self.flavors = Flavors(self.books)
        self.keypairs = Keypairs(self.books)
        self.groups = ServerGroups(self.books)
        self.aggregates = Aggregates(self.books, placement)
        self.quotas = Quotas(self.books)
        self.usages = Usages(self.books)
        self.hosts = Hosts(self.books, placement, driver)
        self.hypervisors = Hypervisors(self.books, placement, self.hosts)
        self.scheduling = Scheduling(placement, policy or Nova(), policy_name=policy_name, seed=seed)
        self.books.moved = self.scheduling.moved
        parts = Parts(
            self.books, driver, placement, network, images, self.hosts, self.scheduling, settings
        )  # fmt: skip
        self.worker = Worker(parts, SAGAS)
        self.reconciler = Reconciler(parts, self.worker)
        self.servers = Servers(parts, self.worker)
        self.power = Power(parts, self.worker)
        self.interfaces = Interfaces(parts, self.worker)
        self.consoles = Consoles(parts, self.worker)
        self.rebuilding = Rebuilding(parts, self.worker)
        self.snapshots = Snapshots(parts, self.worker)
        self.metadata = Metadata(self.books, self.hosts, settings.metadata_secret)
        self.explaining = Explaining(parts)
        self.actions = Actions(self.books)
        self.moves = Moves(parts, self.worker)
        self.migrations = Migrations(parts, self.worker)
        self._tasks: list[asyncio.Task[Any]] = []

    async def start(self) -> None:
        """Take over the driver's hosts, go on with what was under way, and follow what happens from now on."""
        events = self.driver.events()
        await self.hosts.register()
        self.aggregates.load(self.scheduling.scheduler.pool, self.scheduling.facts)
        self.scheduling.load(self._members())
        self.consoles.forget_expired()
        self.worker.resume()
        self.migrations.resume()
        self.reconciler.wake(self.hosts.answering())
        loop = asyncio.get_running_loop()
        for name, work in (
            ("events", self.reconciler.follow(events)),
            ("reconciler", self.reconciler.serve()),
            ("sweep", self.reconciler.sweep()),
            ("shelved", self.moves.offload_in_time()),
        ):
            task = loop.create_task(work, name=f"compute {name}")
            task.add_done_callback(_complain)
            self._tasks.append(task)

    async def stop(self) -> None:
        """Leave everything as it is; the next start goes on."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            await asyncio.wait([task])
        self._tasks.clear()
        await self.worker.stop()

    def _members(self) -> list[tuple[str, str]]:
        s = tables.servers.c
        with self.books.reading() as tx:
            rows = tx.find(tables.servers, s.group_id.is_not(None), s.host.is_not(None), s.deleted_at.is_(None))
            return [(row["group_id"], row["host"]) for row in rows]


def _complain(task: asyncio.Task[Any]) -> None:
    """What compute does by itself never ends by an error; nobody would notice."""
    if not task.cancelled() and task.exception() is not None:
        _LOG.error("%s has ended, and nobody does it any more", task.get_name(), exc_info=task.exception())
