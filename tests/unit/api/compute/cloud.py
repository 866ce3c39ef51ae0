"""A cloud with compute alone, in the same process: three hosts, the flavors of a new cloud, and no servers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sundog.api.compute import SERVICE
from sundog.api.kit.application import application
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import Desk
from sundog.backends.simulated import SimulatedDriver
from sundog.control.compute import Compute
from sundog.control.compute.bootstrap import bootstrap
from sundog.control.image import ImageFiles, Images
from sundog.control.network import Network
from sundog.control.placement import Placement
from sundog.control.principal import Principal
from sundog.control.viewer import EVERYTHING
from sundog.core.pool import Pool, ResourceClasses
from sundog.errors import NotFound, Unauthorized
from sundog.runtime import warp
from sundog.runtime.ids import Ids
from sundog.runtime.seeds import Streams
from tests.drivers import PLAIN, make_hosts
from tests.unit.api.client import Client
from tests.unit.control.compute.rows import fresh_store

MEMBER = ("member", "reader")
BEARERS = {
    "alice": Principal("u1", project_id="project-a", roles=MEMBER),
    "reader": Principal("u2", project_id="project-a", roles=("reader",)),
    "bob": Principal("u3", project_id="project-b", roles=MEMBER),
    "admin": Principal("u4", project_id="project-admin", roles=("admin", "manager", *MEMBER)),
    "nobody": Principal("u5"),
}


def authenticate(token: str) -> Principal:
    if token not in BEARERS:
        raise Unauthorized("The request you have made requires authentication.")
    return BEARERS[token]


def ticking():
    """A clock that goes on a second with each look at it."""
    seconds = count()
    return lambda: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=next(seconds))


class Projects:
    """Knows those of the bearers."""

    def show(self, project_id: str) -> str:
        if project_id not in {each.project_id for each in BEARERS.values()}:
            raise NotFound(f"Could not find project: {project_id}.")
        return project_id


class Person(Client):
    """A client that asks for a version: ``alice.get(path, v="2.61")``."""

    def __call__(self, method: str, path: str, *, v: str | None = None, headers: Any = None, **options: Any):
        told = {} if v is None else {"openstack-api-version": f"compute {v}"}
        return super().__call__(method, f"/compute/v2.1{path}", headers=told | (headers or {}), **options)


class Cloud:
    """Its application, and clients of it. Nothing happens by itself: no task of compute's runs."""

    def __init__(self, folder: Path) -> None:
        self.store = fresh_store()
        ids, now = Ids(Streams(1).stream("ids")), ticking()
        self.placement = Placement(self.store, Pool(ResourceClasses()), new_uuid=ids.uuid, now=now)
        self.network, images = Network(self.store, ids, now), Images(self.store, ids, ImageFiles(folder))
        specs = [replace(each, uuid=str(ids.uuid())) for each in make_hosts(3)]
        driver = SimulatedDriver(warp.World(seed=1), specs, timings=PLAIN)
        self.compute = Compute(
            self.store, ids, driver, placement=self.placement, network=self.network, images=images, now=now
        )
        asyncio.run(self.compute.hosts.register())
        self.compute.aggregates.load(self.placement.pool, self.compute.scheduling.facts)
        bootstrap(self.compute)
        self.viewer = EVERYTHING
        numbers = iter(range(1, 1_000_000))
        cloud = SimpleNamespace(
            compute=self.compute, network=self.network, identity=SimpleNamespace(projects=Projects())
        )
        desk = Desk(cloud, Policy(SERVICE.rules), authenticate, lambda: f"req-{next(numbers)}")
        self.app = application([SERVICE], desk)
        self.alice, self.reader, self.bob, self.admin, self.nobody = (
            Person(self.app, x_auth_token=token) for token in BEARERS
        )


def refused(answer: Any, status: int) -> str:
    """The message of a refusal, which is of this status."""
    assert answer.status_code == status, answer.text
    [(_name, told)] = answer.json().items()
    assert told["code"] == status
    return told["message"]
