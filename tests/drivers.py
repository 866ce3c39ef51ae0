"""Small simulated clouds for tests of drivers: hosts, servers, images, and a recorder of what happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from sundog.backends.contract import ImageReference, PortSpec, ServerKey, ServerSpec
from sundog.backends.simulated import HostSpec, SimulatedDriver, Timings, load_timings
from sundog.core.pool import Inventory
from sundog.errors import SundogError
from sundog.runtime import clock, warp

T = TypeVar("T")

MIB = 2**20
GIB = 2**30

# Every step takes just its median, a whole number where that is possible, so that traces can be written down.
PLAIN = load_timings(
    spread=0.0,
    seconds={
        "define": 1, "start": 1, "destroy": 1, "guest_shutdown": 5, "pause": 1, "plug": 1, "unplug": 1, "grow_disk": 1,
        "set_password": 1, "query": 0, "fence": 3,
        "migrate": 1,
    },
    detect=8,
    reconnect=1,
    host_boot=100,
    disk_mib_s=256,
    store_mib_s=1000,
    disk_used=0.0,
    boot={"fetch_mib_s": 100, "cache": 4},
    migration={"bandwidth_mib_s": 1000, "rounds": 2, "pause": 0.5},
)  # fmt: skip


def make_hosts(count: int = 3, *, racks: Sequence[str] = (), zones: Sequence[str] = (), **facts: Any) -> list[HostSpec]:
    """``count`` hosts alike, called h0, h1 …, whose uuids are their names; racks and zones go round."""
    inventory = {"VCPU": Inventory(8), "MEMORY_MB": Inventory(16384), "DISK_GB": Inventory(100)}
    return [
        HostSpec(
            f"h{i}", f"h{i}", inventory,
            rack=racks[i % len(racks)] if racks else None, zone=zones[i % len(zones)] if zones else None, **facts,
        )
        for i in range(count)
    ]  # fmt: skip


def make_driver(
    world: warp.World, hosts: int | Sequence[HostSpec] = 3, *, timings: Timings = PLAIN, **options: Any
) -> SimulatedDriver:
    """A driver over ``hosts`` alike."""
    return SimulatedDriver(world, make_hosts(hosts) if isinstance(hosts, int) else hosts, timings=timings, **options)


def make_image(name: str = "cirros", *, mib: float = 200, **facts: Any) -> ImageReference:
    """An image that takes 2 s to fetch with ``PLAIN`` timings, unless it has another size."""
    return ImageReference(name, round(mib * MIB), **facts)


def make_spec(uuid: str = "s1", generation: int = 1, *, memory_mib: int = 1024, **facts: Any) -> ServerSpec:
    """A server of one vCPU."""
    facts.setdefault("image", make_image())
    return ServerSpec(uuid, generation, facts.pop("name", uuid), "p1", 1, memory_mib, root_gib=1, **facts)


def make_port(number: int = 1) -> PortSpec:
    """A port on one network."""
    return PortSpec(f"port-{number}", "net", f"fa:16:3e:00:00:{number:02x}", (f"10.0.0.{number}",))


def key(uuid: str = "s1", generation: int = 1) -> ServerKey:
    """Which copy."""
    return ServerKey(uuid, generation)


def play(
    main: Callable[[SimulatedDriver], Coroutine[Any, Any, T]],
    hosts: int | Sequence[HostSpec] = 3,
    *,
    seed: int = 0,
    timings: Timings = PLAIN,
    **options: Any,
) -> T:
    """Run ``main`` with a driver in a world of its own; at the end nothing may be under way any more."""

    async def run(world: warp.World) -> T:
        driver = make_driver(world, hosts, timings=timings, **options)
        result = await main(driver)
        await asyncio.sleep(100_000)
        under_way = driver.statistics()
        assert under_way == type(under_way)(0, 0, 0, 0, 0)
        return result

    return warp.run(run, seed=seed, horizon=10_000_000)


class Recorder:
    """Writes down what happens: events as they come, and calls as they end."""

    def __init__(self, driver: SimulatedDriver) -> None:
        self.lines: list[tuple[float, str]] = []
        self._stream = driver.events()
        self._task = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        async for event in self._stream:
            what = f"{event.kind} {event.host}"
            self.lines.append((event.time, what if event.server is None else f"{what} {short(event.server)}"))

    def say(self, what: str) -> None:
        """Write a line."""
        self.lines.append((round(clock.now(), 6), what))

    def call(self, what: str, work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        """Start ``work``, and write down how it ends."""

        async def run() -> None:
            try:
                await work
                self.say(f"{what}: done")
            except SundogError as error:
                self.say(f"{what}: {type(error).__name__}")

        return asyncio.get_running_loop().create_task(run())

    async def stop(self) -> list[tuple[float, str]]:
        """What was written, once everything of this instant has been."""
        await asyncio.sleep(0)
        self._stream.close()
        await self._task
        return self.lines


def short(server: ServerKey) -> str:
    """A copy, in a trace."""
    return f"{server.uuid}/{server.generation}"


async def copies(driver: SimulatedDriver, host: str) -> list[str]:
    """What a host holds, in short: ``s1/2 running``, with ``kept`` and ``busy``."""
    return [
        " ".join([short(copy.key), str(copy.power_state), *["kept"] * copy.kept, *["busy"] * copy.busy])
        for copy in await driver.list_servers(host, deadline=60)
    ]
