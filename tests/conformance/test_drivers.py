"""``check_driver``: our drivers pass it, and every clause catches a driver that breaks it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sundog.backends.conformance import CLAUSES, DriverCheck, check_driver
from sundog.backends.contract import EventKind, HostState, PowerState, ServerKey
from sundog.backends.durations import Duration
from sundog.backends.simulated import OrderedTrouble, SimulatedDriver, load_timings
from sundog.backends.timed import Stopwatch, TimedDriver
from sundog.errors import BackendFailed, ContractBroken, NoSuchServer, OutcomeUnknown
from sundog.runtime import warp
from sundog.runtime.ids import Ids
from tests.drivers import make_driver, make_image, make_spec


def checked(
    make: Callable[[SimulatedDriver], Any] = lambda driver: driver,
    *,
    hosts: int = 3,
    trouble: bool = True,
    only: tuple[str, ...] = (),
    **options: Any,
) -> DriverCheck:
    """Check what ``make`` makes of a simulated driver, in a world of its own."""

    async def main(world: warp.World) -> DriverCheck:
        driver = make_driver(world, hosts, **options)
        return await check_driver(
            make(driver), image=make_image(), ids=Ids(world.streams.stream("ids")), only=only,
            trouble=OrderedTrouble(driver.faults) if trouble else None,
        )  # fmt: skip

    return warp.run(main, horizon=1_000_000)


def test_the_simulated_driver_keeps_the_contract() -> None:
    found = checked(timings=load_timings(spread=0.5))
    assert found == DriverCheck("simulated", tuple(CLAUSES), ())


def test_a_driver_whose_times_are_taken_keeps_the_contract() -> None:
    told: list[Duration] = []
    watch = Stopwatch(told.append, hears_fetches=True)
    found = checked(lambda driver: TimedDriver(driver, watch), timings=load_timings(spread=0.5), fetched=watch.fetched)
    assert found == DriverCheck("simulated", tuple(CLAUSES), ())
    assert {each.operation for each in told} >= {"spawn", "fetch", "live_migrate", "snapshot", "resize_revert", "fence"}


def test_what_cannot_be_tried_is_said_with_the_reason() -> None:
    found = checked(hosts=1, trouble=False)
    assert found.skipped == (
        "resize: it takes 2 hosts that are up",
        "revert: it takes 2 hosts that are up",
        "live-migration: it takes 2 hosts that are up",
        "live-migration-force: it takes 2 hosts that are up",
        "evacuation: it takes 2 hosts that are up",
        "console-moves: it takes 2 hosts that are up",
        "failure: it takes somebody who can provoke trouble",
        "lost-reply: it takes somebody who can provoke trouble",
        "hang: it takes somebody who can provoke trouble",
        "host-down: it takes 2 hosts that are up",
    )
    assert len(found.clauses) + len(found.skipped) == len(CLAUSES)


def test_a_clause_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no clause 'spwan'; the clauses are capabilities"):
        checked(only=("spwan",))


# ---------------------------------------------------------------------------------- broken in one way for each clause


class Wrapped:
    """A driver that is in order, for others to break."""

    def __init__(self, inner: SimulatedDriver) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class ChangesItsMind(Wrapped):
    said = 0

    @property
    def capabilities(self) -> Any:
        self.said += 1
        return replace(self.inner.capabilities, pause=self.said % 2 == 0)


class SaysNothingOfItself(Wrapped):
    capabilities = None


class ShufflesHosts(Wrapped):
    asked = 0

    async def hosts(self, **options: Any) -> Any:
        self.asked += 1
        found = await self.inner.hosts(**options)
        return found[:: -1 if self.asked % 2 else 1]


class HasHostsWithoutMemory(Wrapped):
    async def hosts(self, **options: Any) -> Any:
        return [replace(host, inventory={"VCPU": host.inventory["VCPU"]}) for host in await self.inner.hosts(**options)]


class HasNoHosts(Wrapped):
    async def hosts(self, **options: Any) -> Any:
        return []


class ListsBackwards(Wrapped):
    async def list_servers(self, host: str, **options: Any) -> Any:
        return (await self.inner.list_servers(host, **options))[::-1]


class FindsNothingNowhere(Wrapped):
    async def list_servers(self, host: str, **options: Any) -> Any:
        return await self.inner.list_servers(host, **options) if host in ("h0", "h1", "h2") else ()


class StopsWhatIsNotThere(Wrapped):
    async def power_off(self, host: str, server: Any, **options: Any) -> None:
        with contextlib.suppress(NoSuchServer):
            await self.inner.power_off(host, server, **options)


class PretendsToHaveConsoles(Wrapped):
    async def open_console(self, host: str, server: Any, kind: str, **options: Any) -> Any:
        return await self.inner.open_console(host, server, "serial", **options)


class ForgetsPorts(Wrapped):
    async def spawn(self, host: str, spec: Any, **options: Any) -> None:
        await self.inner.spawn(host, replace(spec, ports=()), **options)


class AlwaysStarts(Wrapped):
    async def spawn(self, host: str, spec: Any, **options: Any) -> None:
        await self.inner.spawn(host, spec, **{**options, "start": True})


class SpawnsTwice(Wrapped):
    async def spawn(self, host: str, spec: Any, **options: Any) -> None:
        await self.inner.destroy(host, spec.key, deadline=options["deadline"])
        await self.inner.spawn(host, spec, **options)


class SpawnsOverOthers(Wrapped):
    async def spawn(self, host: str, spec: Any, **options: Any) -> None:
        for generation in range(spec.generation + 2):
            if generation != spec.generation:
                await self.inner.destroy(host, ServerKey(spec.uuid, generation), deadline=options["deadline"])
        await self.inner.spawn(host, spec, **options)


class BootsAnything(Wrapped):
    async def spawn(self, host: str, spec: Any, **options: Any) -> None:
        await self.inner.spawn(host, replace(spec, image=make_image()), **options)


class DestroysOnlyOnce(Wrapped):
    async def destroy(self, host: str, server: Any, *, deadline: float) -> None:
        if not any(copy.key == server for copy in await self.inner.list_servers(host, deadline=deadline)):
            raise NoSuchServer("it is not there")
        await self.inner.destroy(host, server, deadline=deadline)


class DestroysAllGenerations(Wrapped):
    async def destroy(self, host: str, server: Any, *, deadline: float) -> None:
        for generation in range(5):
            await self.inner.destroy(host, ServerKey(server.uuid, generation), deadline=deadline)


class DestroysNothing(Wrapped):
    async def destroy(self, host: str, server: Any, *, deadline: float) -> None:
        pass


class DestroysOnlyWhatIsIdle(Wrapped):
    async def destroy(self, host: str, server: Any, *, deadline: float) -> None:
        copies = await self.inner.list_servers(host, deadline=deadline)
        if not any(copy.key == server and copy.busy for copy in copies):
            await self.inner.destroy(host, server, deadline=deadline)


class KnowsNoGenerations(Wrapped):
    async def power_off(self, host: str, server: Any, **options: Any) -> None:
        for copy in await self.inner.list_servers(host, deadline=60):
            if copy.uuid == server.uuid:
                server = copy.key
        await self.inner.power_off(host, server, **options)


class RebuildsOnlyOnce(Wrapped):
    async def rebuild(self, host: str, spec: Any, **options: Any) -> None:
        if any(copy.key == spec.key for copy in await self.inner.list_servers(host, deadline=60)):
            raise BackendFailed("it was rebuilt already")
        await self.inner.rebuild(host, spec, **options)


class StopsOnlyOnce(Wrapped):
    async def power_off(self, host: str, server: Any, **options: Any) -> None:
        copies = await self.inner.list_servers(host, deadline=60)
        if any(copy.key == server and copy.power_state is PowerState.SHUTDOWN for copy in copies):
            raise BackendFailed("it is off already")
        await self.inner.power_off(host, server, **options)


class PausesWhatIsOff(Wrapped):
    async def pause(self, host: str, server: Any, **options: Any) -> None:
        with contextlib.suppress(BackendFailed):
            await self.inner.pause(host, server, **options)


class ResumesNothing(Wrapped):
    async def resume(self, host: str, server: Any, **options: Any) -> None:
        pass


class RescuesToDeath(Wrapped):
    async def rescue(self, host: str, server: Any, image: Any, **options: Any) -> None:
        await self.inner.rescue(host, server, image, **options)
        await self.inner.power_off(host, server, **options)


class Overtakes(Wrapped):
    async def power_on(self, host: str, server: Any, **options: Any) -> None:
        await asyncio.sleep(20)
        await self.inner.power_on(host, server, **options)


class KeepsNothing(Wrapped):
    async def resize_begin(self, host: str, server: Any, target: str, spec: Any, **options: Any) -> None:
        await self.inner.resize_begin(host, server, target, spec, **options)
        await self.inner.destroy(host, server, **options)


class ConfirmsAnything(Wrapped):
    async def resize_confirm(self, host: str, server: Any, **options: Any) -> None:
        await self.inner.destroy(host, server, **options)


class RevertsToNothing(Wrapped):
    async def resize_revert(self, host: str, server: Any, **options: Any) -> None:
        await self.inner.resize_revert(host, server, **{**options, "start": False})


class RevertsOverTheNew(Wrapped):
    async def resize_revert(self, host: str, server: Any, **options: Any) -> None:
        await self.inner.destroy(host, ServerKey(server.uuid, 2), deadline=options["deadline"])
        await self.inner.resize_revert(host, server, **options)


class MigratesByCopying(Wrapped):
    async def live_migrate(self, host: str, server: Any, target: str, *, generation: int, deadline: float) -> None:
        spec = replace(make_spec(server.uuid), generation=generation)
        await self.inner.spawn(target, spec, deadline=deadline)


class RemembersTheDead(Wrapped):
    async def spawn(self, host: str, spec: Any, **options: Any) -> None:
        if spec.generation > 1 and host == "h1":
            raise BackendFailed("this server was seen before")
        await self.inner.spawn(host, spec, **options)


class CountsBadly(Wrapped):
    async def snapshot(self, *args: Any, **options: Any) -> Any:
        record = await self.inner.snapshot(*args, **options)
        return replace(record, size_bytes=record.size_bytes + 1)


class SnapshotsIntoTheVoid(Wrapped):
    async def snapshot(self, host: str, server: Any, sink: Any, **options: Any) -> Any:
        class Forgiving:
            async def write(self, data: bytes) -> None:
                with contextlib.suppress(OSError):
                    await sink.write(data)

        return await self.inner.snapshot(host, server, Forgiving(), **options)


class UnplugsOnlyOnce(Wrapped):
    async def unplug(self, host: str, server: Any, port: str, **options: Any) -> None:
        if not any(port in copy.ports for copy in await self.inner.list_servers(host, deadline=60)):
            raise BackendFailed("there is no such port")
        await self.inner.unplug(host, server, port, **options)


class TalksTooMuch(Wrapped):
    async def console_log(self, host: str, server: Any, *, deadline: float, last_bytes: int = 0) -> bytes:
        log: bytes = await self.inner.console_log(host, server, deadline=deadline)
        return log


class TalksInText(Wrapped):
    async def console_log(self, *args: Any, **options: Any) -> str:
        return (await self.inner.console_log(*args, **options)).decode()


class ShowsAnyGeneration(Wrapped):
    async def open_console(self, host: str, server: Any, *args: Any, **options: Any) -> Any:
        for copy in await self.inner.list_servers(host, deadline=60):
            server = copy.key if copy.uuid == server.uuid else server
        return await self.inner.open_console(host, server, *args, **options)


class Deaf:
    """A console that is never told that it has ended."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def read(self) -> bytes:
        if told := await self.inner.read():
            return bytes(told)
        await asyncio.Event().wait()
        return b""

    async def write(self, data: bytes) -> None:
        await self.inner.write(data)

    async def close(self) -> None:
        await self.inner.close()


class NeverEndsAConsole(Wrapped):
    async def open_console(self, *args: Any, **options: Any) -> Any:
        return Deaf(await self.inner.open_console(*args, **options))


class NeverEndsOneThatMoves(Wrapped):
    async def open_console(self, host: str, *args: Any, **options: Any) -> Any:
        console = await self.inner.open_console(host, *args, **options)
        return Deaf(console) if host == "h0" else console


class Swallows(Wrapped):
    async def open_console(self, *args: Any, **options: Any) -> Any:
        console = await self.inner.open_console(*args, **options)

        class Mute(Deaf):
            async def read(self) -> bytes:
                data: bytes = await self.inner.read()
                return data

            async def write(self, data: bytes) -> None:
                with contextlib.suppress(BackendFailed):
                    await self.inner.write(data)

        return Mute(console)


class ForcesNothing(Wrapped):
    async def live_migration_force(self, host: str, server: Any, **options: Any) -> None:
        pass


class ForcesByGivingUp(Wrapped):
    async def live_migration_force(self, host: str, server: Any, **options: Any) -> None:
        await self.inner.live_migration_abort(host, server, **options)


class Exaggerates(Wrapped):
    async def diagnostics(self, *args: Any, **options: Any) -> Any:
        return replace(await self.inner.diagnostics(*args, **options), memory_mib=10**6)


class HidesRemovals(Wrapped):
    def events(self) -> Any:
        stream = self.inner.events()

        class Some:
            async def __aiter__(self) -> Any:
                async for event in stream:
                    if event.kind is not EventKind.REMOVED:
                        yield event

            def close(self) -> None:
                stream.close()

        return Some()


class NeverEndsItsEvents(Wrapped):
    def events(self) -> Any:
        stream = self.inner.events()
        stream.close = lambda: None  # type: ignore[method-assign]
        return stream


class TakesItsTime(Wrapped):
    async def spawn(self, host: str, spec: Any, *, deadline: float, **options: Any) -> None:
        await asyncio.sleep(8)
        await self.inner.spawn(host, spec, deadline=deadline, **options)


class LeavesLitter(Wrapped):
    async def spawn(self, host: str, spec: Any, **options: Any) -> None:
        try:
            await self.inner.spawn(host, spec, **options)
        except BackendFailed:
            if spec.image.disk_format == "qcow2" and host in ("h0", "h1", "h2"):
                await self.inner.spawn(host, spec, **{**options, "start": False})
            raise


class RetriesBlindly(Wrapped):
    async def spawn(self, host: str, spec: Any, **options: Any) -> None:
        try:
            await self.inner.spawn(host, spec, **options)
        except OutcomeUnknown:
            await self.inner.spawn(host, spec, **{**options, "deadline": 60})


class WaitsForEver(Wrapped):
    async def spawn(self, host: str, spec: Any, **options: Any) -> None:
        try:
            await self.inner.spawn(host, spec, **options)
        except OutcomeUnknown:
            await asyncio.Event().wait()


class SeesNoEvil(Wrapped):
    async def hosts(self, **options: Any) -> Any:
        return [replace(host, state=HostState.UP) for host in await self.inner.hosts(**options)]


class FencesOnlyOnce(Wrapped):
    async def fence(self, host: str, *, deadline: float) -> None:
        if (await self.inner.hosts(deadline=deadline))[0].state is HostState.FENCED:
            raise BackendFailed("it is off already")
        await self.inner.fence(host, deadline=deadline)


class RaisesWhatItLikes(Wrapped):
    async def list_servers(self, host: str, **options: Any) -> Any:
        try:
            return await self.inner.list_servers(host, **options)
        except BackendFailed:
            raise KeyError(host) from None


BROKEN: tuple[tuple[str, type[Wrapped], str], ...] = (
    ("capabilities", ChangesItsMind, "expected the same each time"),
    ("capabilities", SaysNothingOfItself, "capabilities are None"),
    ("hosts", ShufflesHosts, "hosts came in another order"),
    ("hosts", HasHostsWithoutMemory, "host h0 has no MEMORY_MB"),
    ("hosts", HasNoHosts, "no host is up"),
    ("listing", ListsBackwards, "list_servers is not in order"),
    ("unknown-host", FindsNothingNowhere, "list_servers ended well; expected BackendFailed"),
    ("unknown-host", RaisesWhatItLikes, "list_servers raised KeyError"),
    ("unknown-server", StopsWhatIsNotThere, "power_off ended well; expected NoSuchServer"),
    ("not-supported", PretendsToHaveConsoles, "open_console ended well; expected NotSupported"),
    ("spawn", ForgetsPorts, r"its ports are \(\)"),
    ("spawn", DestroysNothing, "expected nothing of the server to be left"),
    ("spawn-stopped", AlwaysStarts, "generation 1 running; expected generation 1 shutdown"),
    ("spawn-again", SpawnsTwice, "it was started 2 times"),
    ("spawn-beside", SpawnsOverOthers, "spawn ended well; expected BackendFailed"),
    ("spawn-bad-image", BootsAnything, "spawn ended well; expected BackendFailed"),
    ("destroy", DestroysOnlyOnce, "NoSuchServer: it is not there; expected the operation to be done"),
    ("destroy-other", DestroysAllGenerations, "has no copy; expected generation 2 running"),
    ("destroy-breaks-off", DestroysOnlyWhatIsIdle, "expected nothing of the server to be left"),
    ("generation", KnowsNoGenerations, "power_off ended well; expected NoSuchServer"),
    ("rebuild", RebuildsOnlyOnce, "it was rebuilt already"),
    ("power", StopsOnlyOnce, "it is off already"),
    ("pause", PausesWhatIsOff, "pause ended well; expected BackendFailed"),
    ("suspend", ResumesNothing, "generation 1 suspended; expected generation 1 running"),
    ("rescue", RescuesToDeath, "generation 1 shutdown; expected generation 1 running"),
    ("in-order", Overtakes, "generation 1 running; expected generation 1 shutdown"),
    ("resize", KeepsNothing, r"host h0 has \[\]; expected a kept copy"),
    ("resize", ConfirmsAnything, "resize_confirm ended well; expected BackendFailed"),
    ("revert", RevertsToNothing, "generation 1 shutdown; expected generation 1 running"),
    ("resize-in-place", RevertsOverTheNew, "resize_revert ended well; expected BackendFailed"),
    ("live-migration", MigratesByCopying, "host h0 has generation 1 as well; expected one host only"),
    ("evacuation", RemembersTheDead, "this server was seen before"),
    ("snapshot", CountsBadly, "it says 262145 bytes and wrote 262144"),
    ("snapshot", SnapshotsIntoTheVoid, "snapshot ended well; expected BackendFailed"),
    ("ports", UnplugsOnlyOnce, "there is no such port"),
    ("console-log", TalksTooMuch, "asked for 10 bytes"),
    ("console-log", TalksInText, "the console log is str"),
    ("live-migration-force", ForcesNothing, "live_migration_force ended well; expected BackendFailed"),
    ("live-migration-force", ForcesByGivingUp, "was aborted"),
    ("console", ShowsAnyGeneration, "open_console ended well; expected NoSuchServer"),
    ("console", NeverEndsAConsole, "a console has not ended though it was opened again"),
    ("console", Swallows, "a console that has ended takes what is typed"),
    ("console-moves", NeverEndsOneThatMoves, "a console has not ended though its server moved"),
    ("diagnostics", Exaggerates, "diagnostics say"),
    ("events", HidesRemovals, r"events of the server were \['started', 'stopped'\]"),
    ("events", NeverEndsItsEvents, "does not end"),
    ("deadline", TakesItsTime, "took 8 s; expected an end within 5 s"),
    ("failure", LeavesLitter, "expected nothing of the server to be left"),
    ("lost-reply", RetriesBlindly, "spawn ended well; expected OutcomeUnknown"),
    ("hang", WaitsForEver, "spawn with a deadline of 10 s had not ended after 20 s"),
    ("host-down", SeesNoEvil, "host h0 is still up after 600 s"),
    ("host-down", FencesOnlyOnce, "it is off already"),
)


def test_every_clause_has_a_driver_that_breaks_it() -> None:
    assert {clause for clause, _, _ in BROKEN} == set(CLAUSES)


@pytest.mark.parametrize(("clause", "broken", "says"), BROKEN, ids=lambda value: getattr(value, "__name__", None))
def test_a_driver_that_breaks_a_clause_is_told_which(clause: str, broken: type[Wrapped], says: str) -> None:
    with pytest.raises(ContractBroken, match=says) as caught:
        checked(broken, only=(clause,))
    assert caught.value.clause == clause
    assert str(caught.value).startswith(f"driver {caught.value.driver} breaks the clause {clause!r}: ")


@pytest.mark.parametrize(("clause", "broken"), [(clause, broken) for clause, broken, _ in BROKEN])
def test_a_whole_check_stops_at_a_broken_driver(clause: str, broken: type[Wrapped]) -> None:
    with pytest.raises(ContractBroken):
        checked(broken)
