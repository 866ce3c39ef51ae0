"""The clauses of the contract, each as a small play; see ``check_driver``."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from sundog.backends.checking import GRACE, Check, Trouble
from sundog.backends.contract import (
    ConsoleStream,
    EventKind,
    EventStream,
    HostRecord,
    HostState,
    PowerState,
    ServerKey,
    ServerSpec,
)
from sundog.errors import BackendFailed, HostDown, NoSuchServer, NotSupported, OutcomeUnknown
from sundog.runtime import aio, clock


def _as(generation: int, spec: ServerSpec) -> ServerSpec:
    return replace(spec, generation=generation)


RUNNING, SHUTDOWN = PowerState.RUNNING, PowerState.SHUTDOWN


# ---------------------------------------------------------------------------------------------- clauses: what it says


async def _capabilities(check: Check) -> None:
    again = check.driver.capabilities
    check.expect(again == check.capabilities, f"it said {check.capabilities} and then {again}", "the same each time")


async def _hosts(check: Check) -> None:
    first, second = await check.records(), await check.records()
    check.expect(all(isinstance(each, HostRecord) for each in first), f"hosts() gave {first!r}", "HostRecords")
    for what in ("uuid", "name"):
        values = [getattr(each, what) for each in first]
        check.expect(len(set(values)) == len(values), f"two hosts have one {what}", "one each")
    order = [each.uuid for each in first]
    check.expect(order == [each.uuid for each in second], "hosts came in another order", "a fixed order")
    for each in first:
        for needed in ("VCPU", "MEMORY_MB"):
            there = needed in each.inventory and each.inventory[needed].total > 0
            check.expect(there, f"host {each.name} has no {needed}", "an inventory of it")


async def _listing(check: Check) -> None:
    specs = [await check.spawned() for _ in range(3)]
    found = [copy.key for copy in await check.call("list_servers", check.a)]
    ordered = sorted(found, key=lambda key: (key.uuid, key.generation))
    check.expect(found == ordered, "list_servers is not in order", "by uuid and then generation")
    check.expect(all(spec.key in found for spec in specs), "list_servers leaves servers out", "every one that was made")


async def _unknown_host(check: Check) -> None:
    nowhere = str(check.ids.uuid())
    await check.raises(BackendFailed, "list_servers", nowhere)
    await check.raises(BackendFailed, "spawn", nowhere, check.spec())


async def _unknown_server(check: Check) -> None:
    key = ServerKey(str(check.ids.uuid()), 1)
    for operation in ("power_on", "power_off"):
        await check.raises(NoSuchServer, operation, check.a, key)
    await check.raises(NoSuchServer, "reboot", check.a, key, "HARD")


async def _not_supported(check: Check) -> None:
    can, spec = check.capabilities, await check.spawned()
    new, target = _as(2, spec), check.hosts[-1]
    tries: tuple[tuple[bool, str, tuple[Any, ...], dict[str, Any]], ...] = (
        (can.pause, "pause", (check.a, spec.key), {}),
        (can.suspend, "suspend", (check.a, spec.key), {}),
        (can.rescue, "rescue", (check.a, spec.key, check.image), {}),
        (can.rebuild, "rebuild", (check.a, new), {}),
        (can.resize, "resize_begin", (check.a, spec.key, target, new), {}),
        (can.live_migration, "live_migrate", (check.a, spec.key, target), {"generation": 2}),
        (can.abort_live_migration, "live_migration_abort", (check.a, spec.key), {}),
        (can.force_live_migration, "live_migration_force", (check.a, spec.key), {}),
        (can.snapshot, "snapshot", (check.a, spec.key, _Sink()), {}),
        (can.plug_running, "plug", (check.a, spec.key, check.port()), {}),
        (can.console_log, "console_log", (check.a, spec.key), {}),
        (can.diagnostics, "diagnostics", (check.a, spec.key), {}),
        (can.set_password, "set_password", (check.a, spec.key, "a Password 1"), {}),
        (can.shared_disks, "spawn", (target, check.spec()), {"reuse_disk": True}),
        *(
            (kind in can.consoles, "open_console", (check.a, spec.key, kind), {})
            for kind in ("novnc", "serial", "spice-html5")
        ),
    )
    for able, operation, args, options in tries:
        if not able:
            await check.raises(NotSupported, operation, *args, **options)
    await check.holds(check.a, (spec.key, RUNNING))


# ------------------------------------------------------------------------------------------ clauses: the life of a copy


async def _spawn(check: Check) -> None:
    port = check.port()
    spec = await check.spawned(ports=(port,), generation=3)
    await check.holds(check.a, (spec.key, RUNNING))
    copy = (await check.copies(check.a, spec.uuid))[0]
    check.expect(copy.ports == (port.id,), f"its ports are {copy.ports}", f"the one that it was given, {port.id}")
    check.expect(not copy.kept, "a new copy is kept for a revert", "an ordinary one")


async def _spawn_stopped(check: Check) -> None:
    spec = check.spec()
    await check.call("spawn", check.a, spec, start=False)
    await check.holds(check.a, (spec.key, SHUTDOWN))
    await check.call("spawn", check.a, spec)
    await check.holds(check.a, (spec.key, RUNNING))


async def _spawn_again(check: Check) -> None:
    stream = check.driver.events()
    spec = await check.spawned()
    await check.call("spawn", check.a, spec)
    await check.holds(check.a, (spec.key, RUNNING))
    starts = [kind for kind in await _heard(check, stream, spec) if kind is EventKind.STARTED]
    check.expect(len(starts) <= 1, f"it was started {len(starts)} times", "a spawn that is repeated to change nothing")


async def _spawn_beside(check: Check) -> None:
    spec = await check.spawned(generation=2)
    for generation in (1, 3):
        await check.raises(BackendFailed, "spawn", check.a, _as(generation, spec))
        await check.holds(check.a, (spec.key, RUNNING))


async def _spawn_bad_image(check: Check) -> None:
    spec = check.spec()
    bad = replace(spec, image=replace(check.image, id=str(check.ids.uuid()), disk_format="no-such-format"))
    await check.raises(BackendFailed, "spawn", check.a, bad)
    await check.nothing(spec.uuid)


async def _destroy(check: Check) -> None:
    spec = await check.spawned()
    for _ in range(2):
        await check.call("destroy", check.a, spec.key)
        await check.nothing(spec.uuid)


async def _destroy_other(check: Check) -> None:
    spec = await check.spawned(generation=2)
    for generation in (1, 3):
        await check.call("destroy", check.a, ServerKey(spec.uuid, generation))
        await check.holds(check.a, (spec.key, RUNNING))


async def _destroy_breaks_off(check: Check) -> None:
    spec, outcome = check.spec(), []

    async def spawn() -> None:
        try:
            await check.call("spawn", check.a, spec)
            outcome.append("done")
        except BackendFailed:
            outcome.append("failed")
        except OutcomeUnknown:
            outcome.append("unknown")

    async with aio.TaskGroup() as group:
        group.create_task(spawn())
        while not await _there(check, spec) and not outcome:
            await aio.sleep(0.05)
        await check.call("destroy", check.a, spec.key)
    check.expect(outcome != ["unknown"], "the spawn that was broken off raised OutcomeUnknown", "BackendFailed")
    await check.nothing(spec.uuid)


async def _there(check: Check, spec: ServerSpec) -> bool:
    return any(copy.key == spec.key for copy in await check.call("list_servers", check.a))


async def _generation(check: Check) -> None:
    spec = await check.spawned(generation=2)
    for generation in (1, 3):
        await check.raises(NoSuchServer, "power_off", check.a, ServerKey(spec.uuid, generation))
        await check.raises(NoSuchServer, "reboot", check.a, ServerKey(spec.uuid, generation), "HARD")
    await check.holds(check.a, (spec.key, RUNNING))


async def _rebuild(check: Check) -> None:
    spec = await check.spawned()
    new = _as(2, spec)
    for _ in range(2):
        await check.call("rebuild", check.a, new)
        await check.holds(check.a, (new.key, RUNNING))


# ------------------------------------------------------------------------------------------------------ clauses: power


async def _power(check: Check) -> None:
    spec = await check.spawned()
    for operation, power in (("power_off", SHUTDOWN), ("power_on", RUNNING)):
        for _ in range(2):
            await check.call(operation, check.a, spec.key)
            await check.holds(check.a, (spec.key, power))
    await check.call("reboot", check.a, spec.key, "HARD")
    await check.holds(check.a, (spec.key, RUNNING))
    await check.call("reboot", check.a, spec.key, "SOFT")
    await check.holds(check.a, (spec.key, RUNNING))
    await check.call("power_off", check.a, spec.key)
    await check.call("reboot", check.a, spec.key, "HARD")
    await check.holds(check.a, (spec.key, RUNNING))


async def _there_and_back(check: Check, go: str, away: PowerState, back: str) -> None:
    spec = await check.spawned()
    for operation, power in ((go, away), (back, RUNNING)):
        for _ in range(2):
            await check.call(operation, check.a, spec.key)
            await check.holds(check.a, (spec.key, power))
    await check.call("power_off", check.a, spec.key)
    await check.raises(BackendFailed, go, check.a, spec.key)
    await check.holds(check.a, (spec.key, SHUTDOWN))


async def _pause(check: Check) -> None:
    await _there_and_back(check, "pause", PowerState.PAUSED, "unpause")


async def _suspend(check: Check) -> None:
    await _there_and_back(check, "suspend", PowerState.SUSPENDED, "resume")


async def _rescue(check: Check) -> None:
    spec = await check.spawned()
    for operation, args in (("rescue", (check.image,)), ("unrescue", ())):
        for _ in range(2):
            await check.call(operation, check.a, spec.key, *args)
            await check.holds(check.a, (spec.key, RUNNING))


async def _in_order(check: Check) -> None:
    spec = await check.spawned()
    for order, power in ((("power_off", "power_on"), RUNNING), (("power_on", "power_off"), SHUTDOWN)):
        await aio.gather(*(check.call(operation, check.a, spec.key) for operation in order))
        await check.holds(check.a, (spec.key, power))


# ----------------------------------------------------------------------------------------------------- clauses: moving


async def _resize(check: Check) -> None:
    spec = await check.spawned()
    new = replace(_as(2, spec), memory_mib=2 * spec.memory_mib)
    for _ in range(2):
        await check.call("resize_begin", check.a, spec.key, check.b, new)
        await check.holds(check.b, (new.key, SHUTDOWN), kept=(spec.key,))
        old = await check.copies(check.a, spec.uuid)
        check.expect(
            [(copy.key, copy.kept) for copy in old] == [(spec.key, True)], f"host {check.a} has {old}", "a kept copy"
        )
    await check.raises(BackendFailed, "power_on", check.a, spec.key)
    for _ in range(2):
        await check.call("resize_finish", check.b, new.key)
        await check.holds(check.b, (new.key, RUNNING), kept=(spec.key,))
    for _ in range(2):
        await check.call("resize_confirm", check.a, spec.key)
        await check.holds(check.b, (new.key, RUNNING))
    await check.raises(BackendFailed, "resize_confirm", check.b, new.key)
    await check.holds(check.b, (new.key, RUNNING))


async def _revert(check: Check) -> None:
    spec = await check.spawned()
    new = _as(2, spec)
    await check.call("resize_begin", check.a, spec.key, check.b, new)
    await check.call("resize_finish", check.b, new.key)
    await check.call("destroy", check.b, new.key)
    for _ in range(2):
        await check.call("resize_revert", check.a, spec.key)
        await check.holds(check.a, (spec.key, RUNNING))
    kept = (await check.copies(check.a, spec.uuid))[0].kept
    check.expect(not kept, "the copy is still kept after the revert", "an ordinary one")


async def _resize_in_place(check: Check) -> None:
    spec = await check.spawned()
    new = _as(2, spec)
    await check.call("resize_begin", check.a, spec.key, check.a, new)
    await check.call("resize_finish", check.a, new.key)
    await check.holds(check.a, (spec.key, SHUTDOWN), (new.key, RUNNING))
    await check.raises(BackendFailed, "resize_revert", check.a, spec.key)
    await check.call("resize_confirm", check.a, spec.key)
    await check.holds(check.a, (new.key, RUNNING))


async def _live_migration(check: Check) -> None:
    spec = await check.spawned()
    new = ServerKey(spec.uuid, 2)
    for _ in range(2):
        await check.call("live_migrate", check.a, spec.key, check.b, generation=2)
        await check.holds(check.b, (new, RUNNING))
    progress = await check.call("live_migration_progress", check.b, new)
    check.expect(progress is None, f"progress of no migration is {progress}", "None")
    await check.call("power_off", check.b, new)
    await check.raises(BackendFailed, "live_migrate", check.b, new, check.a, generation=3)
    await check.holds(check.b, (new, SHUTDOWN))


async def _force(check: Check) -> None:
    spec = await check.spawned()
    new = ServerKey(spec.uuid, 2)
    await check.raises(BackendFailed, "live_migration_force", check.a, spec.key)
    outcome: list[str] = []

    async def move() -> None:
        try:
            await check.call("live_migrate", check.a, spec.key, check.b, generation=2)
            outcome.append("done")
        except (BackendFailed, OutcomeUnknown) as error:
            outcome.append(f"{type(error).__name__}: {error}")

    async def force() -> None:
        while not outcome:
            with contextlib.suppress(BackendFailed):  # it may not copy yet, or not any more
                await check.call("live_migration_force", check.a, spec.key)
            await aio.sleep(0.05)

    await aio.gather(move(), force())
    check.expect(outcome == ["done"], f"a live migration that was forced ended with {outcome[0]}", "its end")
    await check.holds(check.b, (new, RUNNING))
    await check.raises(BackendFailed, "live_migration_force", check.b, new)


async def _evacuation(check: Check) -> None:
    spec = await check.spawned()
    await check.call("destroy", check.a, spec.key)
    new = _as(2, spec)
    await check.call("spawn", check.b, new)
    await check.holds(check.b, (new.key, RUNNING))


# ------------------------------------------------------------------------------------ clauses: disks, ports, looking in


class _Sink:
    """Counts what is written; it fails after ``room`` bytes."""

    def __init__(self, room: int | None = None) -> None:
        self.size, self.room = 0, room

    async def write(self, data: bytes) -> None:
        """Count."""
        self.size += len(data)
        if self.room is not None and self.size > self.room:
            raise OSError("no space left on device")


async def _snapshot(check: Check) -> None:
    spec = await check.spawned()
    if not check.capabilities.snapshot_running:
        await check.call("power_off", check.a, spec.key)
    before = (await check.copies(check.a, spec.uuid))[0].power_state
    sink = _Sink()
    record = await check.call("snapshot", check.a, spec.key, sink)
    check.expect(
        record.size_bytes == sink.size > 0, f"it says {record.size_bytes} bytes and wrote {sink.size}", "as many"
    )
    await check.holds(check.a, (spec.key, before))
    await check.raises(BackendFailed, "snapshot", check.a, spec.key, _Sink(1))
    await check.holds(check.a, (spec.key, before))


async def _ports(check: Check) -> None:
    first, second = check.port(), check.port()
    spec = await check.spawned(ports=(first,))
    for operation, port, expected in (
        ("plug", second, {first.id, second.id}),
        ("unplug", first.id, {second.id}),
    ):
        for _ in range(2):
            await check.call(operation, check.a, spec.key, port)
            found = (await check.copies(check.a, spec.uuid))[0].ports
            check.expect(
                sorted(found) == sorted(expected), f"after {operation} its ports are {found}", f"{sorted(expected)}"
            )


async def _console_log(check: Check) -> None:
    spec = await check.spawned()
    log = await check.call("console_log", check.a, spec.key)
    check.expect(isinstance(log, bytes), f"the console log is {type(log).__name__}", "bytes")
    end = await check.call("console_log", check.a, spec.key, last_bytes=10)
    check.expect(len(end) <= 10, f"asked for 10 bytes, it gave {len(end)}", "no more than were asked for")


async def _console(check: Check) -> None:
    for kind in check.capabilities.consoles:
        spec = await check.spawned()
        for generation in (2, 3):
            await check.raises(NoSuchServer, "open_console", check.a, ServerKey(spec.uuid, generation), kind)
        stream = await check.call("open_console", check.a, spec.key, kind)
        await _type(check, stream)
        if kind == "serial":
            second = await check.call("open_console", check.a, spec.key, kind)
            await _ended(check, stream, "it was opened again")
            stream = second
            await _type(check, stream)
        for _ in range(2):
            await stream.close()
        await _ended(check, stream, "it was closed")
        stream = await check.call("open_console", check.a, spec.key, kind)
        await check.call("power_off", check.a, spec.key)
        await _ended(check, stream, "its server was stopped")
        await check.raises(BackendFailed, "open_console", check.a, spec.key, kind)
        await check.call("power_on", check.a, spec.key)
        stream = await check.call("open_console", check.a, spec.key, kind)
        await check.call("destroy", check.a, spec.key)
        await _ended(check, stream, "its server was destroyed")
        await check.raises(NoSuchServer, "open_console", check.a, spec.key, kind)


async def _console_moves(check: Check) -> None:
    for kind in check.capabilities.consoles if check.capabilities.live_migration else ():
        spec = await check.spawned()
        new = ServerKey(spec.uuid, 2)
        stream = await check.call("open_console", check.a, spec.key, kind)
        await check.call("live_migrate", check.a, spec.key, check.b, generation=2)
        await _ended(check, stream, "its server moved")
        await check.raises(NoSuchServer, "open_console", check.a, spec.key, kind)
        stream = await check.call("open_console", check.b, new, kind)
        await _type(check, stream)
        await stream.close()


async def _type(check: Check, stream: ConsoleStream) -> None:
    """A console takes what is typed, whatever the guest makes of it."""
    try:
        async with aio.timeout(check.deadline):
            await stream.write(b"\r")
    except TimeoutError:
        check.broken("a console that is open takes nothing", "what is typed to be taken")


async def _ended(check: Check, stream: ConsoleStream, why: str) -> None:
    """A console has come to its end, after what was still to be read."""
    try:
        async with aio.timeout(check.deadline):
            while await stream.read():
                pass
            check.expect(await stream.read() == b"", "a console that has ended goes on", "nothing more")
    except TimeoutError:
        check.broken(f"a console has not ended though {why}", "its end")
    try:
        await stream.write(b"\r")
    except BackendFailed:
        return
    check.broken("a console that has ended takes what is typed", "BackendFailed")


async def _diagnostics(check: Check) -> None:
    spec = await check.spawned()
    found = await check.call("diagnostics", check.a, spec.key)
    seen = (found.power_state, found.vcpus, found.memory_mib)
    expected = (RUNNING, spec.vcpus, spec.memory_mib)
    check.expect(seen == expected, f"diagnostics say {seen}", f"{expected}")


async def _events(check: Check) -> None:
    stream = check.driver.events()
    spec = await check.spawned()
    await check.call("power_off", check.a, spec.key)
    await check.call("destroy", check.a, spec.key)
    kinds = await _heard(check, stream, spec)
    wanted = [EventKind.STARTED, EventKind.STOPPED, EventKind.REMOVED]
    check.expect(kinds == wanted, f"events of the server were {[str(kind) for kind in kinds]}", f"{wanted}")


async def _heard(check: Check, stream: EventStream, spec: ServerSpec) -> list[EventKind]:
    """What a stream says of a server, when it has had a moment for the last events; it is closed then."""
    await aio.sleep(1.0)
    stream.close()
    try:
        async with aio.timeout(GRACE):
            return [event.kind async for event in stream if event.server == spec.key]
    except TimeoutError:
        check.broken("a stream of events that was closed does not end", "its end")


# ------------------------------------------------------------------------------------- clauses: deadlines and trouble


async def _deadline(check: Check) -> None:
    spec, begin = check.spec(), clock.now()
    with contextlib.suppress(BackendFailed, OutcomeUnknown):
        await check.call("spawn", check.a, spec, deadline=0.0)
    took = clock.now() - begin
    check.expect(took <= GRACE, f"a spawn with a deadline of 0 s took {took:g} s", f"an end within {GRACE:g} s")
    await check.copies(check.a, spec.uuid)  # when it is no longer busy
    await check.call("spawn", check.a, spec)
    await check.holds(check.a, (spec.key, RUNNING))


async def _failure(check: Check) -> None:
    trouble = _given(check)
    spec = check.spec()
    await trouble.fail(check.a, "spawn")
    await check.raises(BackendFailed, "spawn", check.a, spec)
    await check.nothing(spec.uuid)
    await check.call("spawn", check.a, spec)
    await trouble.fail(check.a, "power_off")
    await check.raises(BackendFailed, "power_off", check.a, spec.key)
    await check.holds(check.a, (spec.key, RUNNING))


async def _lost_reply(check: Check) -> None:
    trouble = _given(check)
    spec = check.spec()
    await trouble.lose_reply(check.a, "spawn")
    await check.raises(OutcomeUnknown, "spawn", check.a, spec)
    await check.holds(check.a, (spec.key, RUNNING))
    await check.call("spawn", check.a, spec)
    await check.holds(check.a, (spec.key, RUNNING))
    await trouble.lose_reply(check.a, "destroy")
    await check.raises(OutcomeUnknown, "destroy", check.a, spec.key)
    await check.nothing(spec.uuid)


async def _hang(check: Check) -> None:
    trouble = _given(check)
    spec, begin = check.spec(), clock.now()
    await trouble.hang(check.a, "spawn")
    await check.raises(OutcomeUnknown, "spawn", check.a, spec, deadline=10.0)
    took = clock.now() - begin
    check.expect(took <= 10.0 + GRACE, f"a call without an answer took {took:g} s", "10 s, its deadline")
    await check.copies(check.a, spec.uuid)
    await check.call("spawn", check.a, spec)


async def _host_down(check: Check) -> None:
    trouble = _given(check)
    spec, stream = await check.spawned(), check.driver.events()
    await trouble.cut_power(check.a)
    await check.wait_state(check.a, HostState.DOWN)
    await check.raises(HostDown, "list_servers", check.a)
    await check.raises(HostDown, "power_off", check.a, spec.key)
    other = await check.spawned(check.b)
    if check.capabilities.fence:
        for _ in range(2):
            await check.call("fence", check.a)
            found = await check.state(check.a)
            check.expect(found is HostState.FENCED, f"a host that was fenced is {found}", "fenced")
        await check.raises(HostDown, "spawn", check.a, check.spec())
    await trouble.switch_on(check.a)
    await check.wait_state(check.a, HostState.UP)
    await check.holds(check.a, (spec.key, SHUTDOWN))
    await check.holds(check.b, (other.key, RUNNING))
    await aio.sleep(1.0)
    stream.close()
    kinds = [event.kind async for event in stream if event.host == check.a and event.server is None]
    told = [kind for kind in kinds if kind is not EventKind.LOST]
    wanted = [EventKind.HOST_DOWN, EventKind.HOST_UP]
    check.expect(told == wanted, f"events of the host were {[str(kind) for kind in told]}", f"{wanted}")


def _given(check: Check) -> Trouble:
    if check.trouble is None:
        raise ValueError("nobody was given who can provoke trouble")
    return check.trouble


# ---------------------------------------------------------------------------------------------------------- the clauses

_Play: TypeAlias = Callable[[Check], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause: how it is played, and what it needs: a capability, so many hosts, somebody who provokes trouble."""

    play: _Play
    needs: str | None = None
    hosts: int = 1
    trouble: bool = False

    def missing(self, check: Check) -> str | None:
        """Why it cannot be tried; None if it can."""
        if self.needs is not None and not getattr(check.capabilities, self.needs):
            return f"the driver has no {self.needs}"
        if len(check.hosts) < self.hosts:
            return f"it takes {self.hosts} hosts that are up"
        return "it takes somebody who can provoke trouble" if self.trouble and check.trouble is None else None


CLAUSES: Final[dict[str, Clause]] = {
    "capabilities": Clause(_capabilities),
    "hosts": Clause(_hosts),
    "listing": Clause(_listing),
    "unknown-host": Clause(_unknown_host),
    "unknown-server": Clause(_unknown_server),
    "not-supported": Clause(_not_supported),
    "spawn": Clause(_spawn),
    "spawn-stopped": Clause(_spawn_stopped),
    "spawn-again": Clause(_spawn_again),
    "spawn-beside": Clause(_spawn_beside),
    "spawn-bad-image": Clause(_spawn_bad_image),
    "destroy": Clause(_destroy),
    "destroy-other": Clause(_destroy_other),
    "destroy-breaks-off": Clause(_destroy_breaks_off),
    "generation": Clause(_generation),
    "rebuild": Clause(_rebuild, "rebuild"),
    "power": Clause(_power),
    "pause": Clause(_pause, "pause"),
    "suspend": Clause(_suspend, "suspend"),
    "rescue": Clause(_rescue, "rescue"),
    "in-order": Clause(_in_order),
    "resize": Clause(_resize, "resize", hosts=2),
    "revert": Clause(_revert, "resize", hosts=2),
    "resize-in-place": Clause(_resize_in_place, "resize"),
    "live-migration": Clause(_live_migration, "live_migration", hosts=2),
    "live-migration-force": Clause(_force, "force_live_migration", hosts=2),
    "evacuation": Clause(_evacuation, hosts=2),
    "snapshot": Clause(_snapshot, "snapshot"),
    "ports": Clause(_ports, "plug_running"),
    "console-log": Clause(_console_log, "console_log"),
    "console": Clause(_console, "consoles"),
    "console-moves": Clause(_console_moves, "consoles", hosts=2),
    "diagnostics": Clause(_diagnostics, "diagnostics"),
    "events": Clause(_events),
    "deadline": Clause(_deadline),
    "failure": Clause(_failure, trouble=True),
    "lost-reply": Clause(_lost_reply, trouble=True),
    "hang": Clause(_hang, trouble=True),
    "host-down": Clause(_host_down, hosts=2, trouble=True),
}
"""Every clause by its name, in the order in which they are tried."""
