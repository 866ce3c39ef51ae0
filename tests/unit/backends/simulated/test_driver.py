"""The simulated driver in virtual time: what takes how long, and what is there afterwards. Traces are the oracle."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from typing import Any

import pytest

from sundog.backends.contract import HostState, PowerState
from sundog.backends.simulated import SimulatedDriver
from sundog.backends.simulated.console import empty_qcow2
from sundog.errors import BackendFailed, InputError, NoSuchServer, NotSupported
from sundog.runtime import clock, warp
from tests.drivers import GIB, Recorder, copies, key, make_driver, make_hosts, make_image, make_port, make_spec, play


def test_a_spawn_fetches_the_image_once_a_host() -> None:
    async def main(driver: SimulatedDriver) -> list[tuple[float, str]]:
        trace = Recorder(driver)
        await driver.spawn("h0", make_spec("s1"), deadline=60)
        trace.say("s1")
        await driver.spawn("h0", make_spec("s2"), deadline=60)
        trace.say("s2")
        await driver.spawn("h1", make_spec("s3"), deadline=60)
        trace.say("s3")
        return await trace.stop()

    assert play(main) == [
        (4, "started h0 s1/1"), (4, "s1"), (6, "started h0 s2/1"), (6, "s2"), (10, "started h1 s3/1"), (10, "s3"),
    ]  # fmt: skip


def test_two_spawns_of_one_image_wait_for_one_fetch_and_two_images_come_one_after_the_other() -> None:
    async def main(driver: SimulatedDriver) -> list[tuple[float, str]]:
        trace = Recorder(driver)
        other = make_image("debian", mib=400)
        async with asyncio.timeout(100):
            await asyncio.gather(
                trace.call("s1", driver.spawn("h0", make_spec("s1"), deadline=60)),
                trace.call("s2", driver.spawn("h0", make_spec("s2"), deadline=60)),
                trace.call("s3", driver.spawn("h0", make_spec("s3", image=other), deadline=60)),
            )
        return [line for line in await trace.stop() if "done" in line[1]]

    assert play(main) == [(4, "s1: done"), (4, "s2: done"), (8, "s3: done")]


def test_the_store_is_shared_and_the_cache_forgets_the_image_used_longest_ago() -> None:
    async def main(driver: SimulatedDriver) -> list[float]:
        times = []
        await asyncio.gather(*(driver.spawn(f"h{i}", make_spec(f"s{i}"), deadline=60) for i in range(20)))
        times.append(clock.now())  # 20 hosts at 50 MiB/s each instead of 100
        for name, mib in (("b", 2000), ("c", 2000), ("cirros", 200)):
            begin = clock.now()
            image = make_image(name, mib=mib)
            await driver.spawn("h0", make_spec(name, image=image), deadline=60)
            times.append(clock.now() - begin)
        return times

    assert play(main, 20) == pytest.approx([6, 22, 22, 4])  # 4 GiB of cache hold b and c


def test_what_was_spawned_is_listed_until_it_is_destroyed() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        seen = []
        spec = make_spec(ports=(make_port(1),))
        task = asyncio.get_running_loop().create_task(driver.spawn("h0", spec, deadline=60))
        await asyncio.sleep(1)
        seen.append(await copies(driver, "h0"))
        await task
        seen.append(await driver.list_servers("h0", deadline=1))
        await driver.spawn("h0", make_spec("s2", 3), deadline=60, start=False)
        seen.append(await copies(driver, "h0"))
        await driver.destroy("h0", key("s2", 2), deadline=60)
        await driver.destroy("h0", key(), deadline=60)
        seen.append(await copies(driver, "h0"))
        return seen

    building, listed, both, left = play(main)
    assert building == ["s1/1 nostate busy"]
    assert [(copy.key, copy.power_state, copy.busy, copy.ports) for copy in listed] == [
        (key(), PowerState.RUNNING, False, ("port-1",))
    ]
    assert both == ["s1/1 running", "s2/3 shutdown"]
    assert left == ["s2/3 shutdown"]


def test_the_powers_of_a_server() -> None:
    async def main(driver: SimulatedDriver) -> list[tuple[float, str]]:
        trace = Recorder(driver)
        await driver.spawn("h0", make_spec(), deadline=60)
        await driver.pause("h0", key(), deadline=60)
        await driver.unpause("h0", key(), deadline=60)
        await driver.suspend("h0", key(), deadline=60)
        await driver.resume("h0", key(), deadline=60)
        await driver.reboot("h0", key(), "SOFT", deadline=60)
        await driver.reboot("h0", key(), "HARD", deadline=60)
        await driver.power_off("h0", key(), deadline=60, grace=2)
        await driver.power_on("h0", key(), deadline=60)
        await driver.power_off("h0", key(), deadline=60)
        return await trace.stop()

    assert play(main) == [
        (4, "started h0 s1/1"), (5, "paused h0 s1/1"), (6, "unpaused h0 s1/1"), (10, "suspended h0 s1/1"),
        (14, "resumed h0 s1/1"), (19, "stopped h0 s1/1"), (20, "started h0 s1/1"), (21, "stopped h0 s1/1"),
        (22, "started h0 s1/1"), (25, "stopped h0 s1/1"), (26, "started h0 s1/1"), (27, "stopped h0 s1/1"),
    ]  # fmt: skip


@pytest.mark.parametrize("operation", ["pause", "unpause", "suspend", "resume"])
def test_a_stopped_server_changes_its_power_only_by_being_started(operation: str) -> None:
    async def main(driver: SimulatedDriver) -> None:
        await driver.spawn("h0", make_spec(), deadline=60, start=False)
        with pytest.raises(BackendFailed, match=rf"s1 \(generation 1\) on host h0 is shutdown and cannot {operation}"):
            await getattr(driver, operation)("h0", key(), deadline=60)

    play(main)


def test_rescue_and_back() -> None:
    async def main(driver: SimulatedDriver) -> list[tuple[float, str]]:
        trace = Recorder(driver)
        await driver.spawn("h0", make_spec(), deadline=60)
        await driver.rescue("h0", key(), make_image("rescue"), deadline=60)
        trace.say("rescued")
        await driver.rescue("h0", key(), make_image("rescue"), deadline=60)
        await driver.unrescue("h0", key(), deadline=60)
        await driver.unrescue("h0", key(), deadline=60)
        trace.say("back")
        return await trace.stop()

    assert play(main) == [
        (4, "started h0 s1/1"), (7, "stopped h0 s1/1"), (8, "started h0 s1/1"), (8, "rescued"), (9, "stopped h0 s1/1"),
        (10, "started h0 s1/1"), (10, "back"),
    ]  # fmt: skip


def test_a_rebuild_runs_on_until_the_image_is_there() -> None:
    async def main(driver: SimulatedDriver) -> tuple[list[tuple[float, str]], list[str]]:
        trace = Recorder(driver)
        await driver.spawn("h0", make_spec(), deadline=60)
        new = make_spec(generation=2, image=make_image("debian", mib=400))
        await driver.rebuild("h0", new, deadline=60)
        await driver.rebuild("h0", new, deadline=60)
        return await trace.stop(), await copies(driver, "h0")

    assert play(main) == (
        [(4, "started h0 s1/1"), (8, "removed h0 s1/1"), (11, "started h0 s1/2")], ["s1/2 running"],
    )  # fmt: skip


def test_a_cold_migration_confirmed() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        trace = Recorder(driver)
        await driver.spawn("h0", make_spec(image=make_image(mib=2000)), deadline=60)
        moved = make_spec(generation=2)
        await driver.resize_begin("h0", key(), "h1", moved, deadline=60)
        seen: list[Any] = [clock.now(), await copies(driver, "h0"), await copies(driver, "h1")]
        await driver.resize_begin("h0", key(), "h1", moved, deadline=60)
        with pytest.raises(BackendFailed, match="keeps server s1"):
            await driver.power_on("h0", key(), deadline=60)
        await driver.resize_finish("h1", key("s1", 2), deadline=60)
        await driver.resize_confirm("h0", key(), deadline=60)
        await driver.resize_confirm("h0", key(), deadline=60)
        return [*seen, await copies(driver, "h0"), await copies(driver, "h1"), await trace.stop()]

    assert play(main) == [
        26, ["s1/1 shutdown kept"], ["s1/2 shutdown"], [], ["s1/2 running"],
        [(22, "started h0 s1/1"), (23, "stopped h0 s1/1"), (28, "started h1 s1/2"), (29, "removed h0 s1/1")],
    ]  # fmt: skip


def test_a_resize_on_the_same_host_reverted() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        await driver.spawn("h0", make_spec(), deadline=60)
        await driver.resize_begin("h0", key(), "h0", make_spec(generation=2, memory_mib=2048), deadline=60)
        await driver.resize_finish("h0", key("s1", 2), deadline=60)
        seen = [await copies(driver, "h0")]
        with pytest.raises(BackendFailed, match="another copy of server s1, generation 2; destroy that first"):
            await driver.resize_revert("h0", key(), deadline=60)
        await driver.destroy("h0", key("s1", 2), deadline=60)
        await driver.resize_revert("h0", key(), deadline=60)
        await driver.resize_revert("h0", key(), deadline=60)
        return [*seen, await copies(driver, "h0")]

    assert play(main) == [["s1/1 shutdown kept", "s1/2 running"], ["s1/1 running"]]


def test_only_a_kept_copy_can_be_confirmed_away() -> None:
    async def main(driver: SimulatedDriver) -> list[str]:
        await driver.spawn("h0", make_spec(), deadline=60)
        with pytest.raises(BackendFailed, match="not kept for a revert"):
            await driver.resize_confirm("h0", key(), deadline=60)
        return await copies(driver, "h0")

    assert play(main) == ["s1/1 running"]


def test_a_live_migration_leaves_nothing_and_never_runs_twice() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        trace = Recorder(driver)
        await driver.spawn("h0", make_spec(memory_mib=4000, ports=(make_port(),)), deadline=60)
        task = trace.call("move", driver.live_migrate("h0", key(), "h1", generation=2, deadline=60))
        await asyncio.sleep(5)
        seen: list[Any] = [await copies(driver, "h0"), await copies(driver, "h1")]
        seen.append(await driver.live_migration_progress("h0", key(), deadline=60))
        await task
        await driver.live_migrate("h0", key(), "h1", generation=2, deadline=60)
        seen.append(await driver.live_migration_progress("h0", key(), deadline=60))
        there = await driver.list_servers("h1", deadline=60)
        return [*seen, await copies(driver, "h0"), there[0].ports, await trace.stop()]

    here, coming, progress, after, left, ports, trace = play(main)
    assert (here, coming) == (["s1/1 running busy"], ["s1/2 nostate busy"])
    assert (progress.elapsed_s, progress.memory_total_bytes >> 20) == (4, 4000)
    assert (progress.memory_processed_bytes >> 20, progress.memory_remaining_bytes >> 20) == (4000, 2000)
    assert (after, left, ports) == (None, [], ("port-1",))
    # 1 s to define, 4000 MiB in two rounds at 1000 MiB/s, half a second of pause
    assert trace == [
        (4, "started h0 s1/1"), (13.5, "removed h0 s1/1"), (13.5, "migrated h1 s1/2"), (13.5, "move: done"),
    ]  # fmt: skip


def test_a_live_migration_can_be_aborted_once_it_copies() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        trace = Recorder(driver)
        await driver.spawn("h0", make_spec(memory_mib=4000), deadline=60)
        with pytest.raises(BackendFailed, match="is not being migrated"):
            await driver.live_migration_abort("h0", key(), deadline=60)
        task = trace.call("move", driver.live_migrate("h0", key(), "h1", generation=2, deadline=60))
        await asyncio.sleep(3)
        await driver.live_migration_abort("h0", key(), deadline=60)
        await task
        return [await copies(driver, "h0"), await copies(driver, "h1"), await trace.stop()]

    here, there, trace = play(main)
    assert (here, there) == (["s1/1 running"], [])
    assert trace == [(4, "started h0 s1/1"), (7, "move: BackendFailed")]


def test_a_live_migration_that_makes_no_progress_can_be_forced() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        trace = Recorder(driver)
        for name in ("s1", "s2", "s3"):
            await driver.spawn("h0", make_spec(name, memory_mib=4000), deadline=60)
        with pytest.raises(BackendFailed, match="nothing to force"):
            await driver.live_migration_force("h0", key(), deadline=60)
        move = driver.live_migrate
        tasks = [
            trace.call(name, move("h0", key(name), target, generation=2, deadline=600))
            for name, target in (("s1", "h1"), ("s2", "h2"), ("s3", "h1"))
        ]
        await asyncio.sleep(100)  # each has a third of the link, and its guest writes half as much as the whole
        assert not any(task.done() for task in tasks)
        await driver.live_migration_force("h0", key("s1"), deadline=60)
        await driver.live_migration_force("h0", key("s1"), deadline=60)
        await tasks[0]
        trace.say("s1 is there")
        for name in ("s2", "s3"):
            await driver.live_migration_abort("h0", key(name), deadline=60)
            await asyncio.sleep(1)
        await asyncio.wait(tasks)
        return [await copies(driver, "h1"), [line for line in await trace.stop() if "s1" in line[1]]]

    there, trace = play(main)
    assert there == ["s1/2 running"]
    # 4000 MiB are left after 100 s; they go at a third of 1000 MiB/s once the guest stands still, which takes 1 s.
    begun = 9.0
    assert trace[-1] == (begun + 100 + 1 + 12 + 0.5, "s1 is there")


def test_a_paused_server_migrates_faster_since_nobody_writes() -> None:
    async def main(driver: SimulatedDriver) -> tuple[float, list[str]]:
        await driver.spawn("h0", make_spec(memory_mib=4000), deadline=60)
        await driver.pause("h0", key(), deadline=60)
        begin = clock.now()
        await driver.live_migrate("h0", key(), "h1", generation=2, deadline=60)
        return clock.now() - begin, await copies(driver, "h1")

    assert play(main) == (5.5, ["s1/2 paused"])


def test_a_stopped_server_is_not_migrated_live() -> None:
    async def main(driver: SimulatedDriver) -> None:
        await driver.spawn("h0", make_spec(), deadline=60, start=False)
        with pytest.raises(BackendFailed, match="moved by a resize"):
            await driver.live_migrate("h0", key(), "h1", generation=2, deadline=60)
        with pytest.raises(BackendFailed, match="on host h0 already"):
            await driver.live_migrate("h0", key(), "h0", generation=2, deadline=60)
        with pytest.raises(BackendFailed, match="a higher generation"):
            await driver.live_migrate("h0", key(), "h1", generation=1, deadline=60)

    play(main)


class Sink:
    def __init__(self, room: int = 2**40) -> None:
        self.data, self.room = b"", room

    async def write(self, data: bytes) -> None:
        self.data += data
        if len(self.data) > self.room:
            raise OSError("no space left on device")


def test_a_snapshot_is_a_qcow2_of_the_disks_size_and_takes_the_time_of_its_content() -> None:
    async def main(driver: SimulatedDriver) -> tuple[Any, bytes, float, list[str]]:
        await driver.spawn("h0", make_spec(image=make_image(mib=256)), deadline=60)
        begin, sink = clock.now(), Sink()
        record = await driver.snapshot("h0", key(), sink, deadline=60)
        return record, sink.data, clock.now() - begin, await copies(driver, "h0")

    record, data, seconds, left = play(main)
    assert (record.disk_format, record.size_bytes, record.virtual_size_bytes) == ("qcow2", len(data), GIB)
    assert data[:4] == b"QFI\xfb"
    assert (int.from_bytes(data[4:8], "big"), int.from_bytes(data[24:32], "big")) == (3, GIB)
    assert seconds == pytest.approx(1 + 1 + 2.56)
    assert left == ["s1/1 running"]


@pytest.mark.parametrize("gib", [1, 20, 4096, 4097, 100_000])
def test_a_snapshot_passes_the_inspection_of_images(gib: int) -> None:
    format_inspector = pytest.importorskip("oslo_utils.imageutils.format_inspector")
    inspector = format_inspector.InspectWrapper(io.BytesIO(empty_qcow2(gib * GIB)))
    while inspector.read(65536):
        pass
    inspector.close()
    assert (str(inspector.format), inspector.format.virtual_size) == ("qcow2", gib * GIB)
    inspector.format.safety_check()


def test_a_snapshot_of_a_flavor_without_a_root_size_has_that_of_the_image() -> None:
    async def main(driver: SimulatedDriver) -> int:
        spec = replace(make_spec(image=make_image(mib=10.5)), root_gib=0)
        await driver.spawn("h0", spec, deadline=60)
        return (await driver.snapshot("h0", key(), Sink(), deadline=60)).virtual_size_bytes

    assert play(main) == 11 * 2**20


def test_a_snapshot_whose_sink_is_full_fails() -> None:
    async def main(driver: SimulatedDriver) -> None:
        await driver.spawn("h0", make_spec(), deadline=60)
        with pytest.raises(BackendFailed, match="could not be written: no space left on device"):
            await driver.snapshot("h0", key(), Sink(1000), deadline=60)

    play(main)


def test_ports_come_and_go() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        await driver.spawn("h0", make_spec(ports=(make_port(1),)), deadline=60)
        for _ in range(2):
            await driver.plug("h0", key(), make_port(2), deadline=60)
        seen = [(await driver.diagnostics("h0", key(), deadline=60)).mac_addresses]
        for _ in range(2):
            await driver.unplug("h0", key(), "port-1", deadline=60)
        return [*seen, [copy.ports for copy in await driver.list_servers("h0", deadline=60)]]

    assert play(main) == [("fa:16:3e:00:00:01", "fa:16:3e:00:00:02"), [("port-2",)]]


def test_a_guest_that_never_ran_wrote_nothing() -> None:
    async def main(driver: SimulatedDriver) -> bytes:
        await driver.spawn("h0", make_spec(), deadline=60, start=False)
        return await driver.console_log("h0", key(), deadline=60)

    assert play(main) == b""


def test_a_console_tells_of_each_boot_and_of_the_login_when_the_guest_is_up() -> None:
    async def main(driver: SimulatedDriver) -> list[str]:
        await driver.spawn("h0", make_spec(name="web"), deadline=60)
        seen = [await driver.console_log("h0", key(), deadline=60)]
        await asyncio.sleep(600)
        seen.append(await driver.console_log("h0", key(), deadline=60))
        await driver.reboot("h0", key(), "HARD", deadline=60)
        seen.append(await driver.console_log("h0", key(), deadline=60))
        seen.append(await driver.console_log("h0", key(), deadline=60, last_bytes=30))
        return [log.decode() for log in seen]

    booting, up, again, end = play(main)
    assert (booting.count("Linux version"), booting.count("web login:")) == (1, 0)
    assert len(booting.splitlines()) > 10
    assert up.startswith(booting)
    assert up.endswith("web login: ")
    assert again.startswith(up)
    assert again.count("Linux version") == 2
    assert again.endswith(end)
    assert len(end) == 30


def test_what_it_cannot_do_is_said_before_and_after() -> None:
    async def main(driver: SimulatedDriver) -> None:
        await driver.spawn("h0", make_spec(), deadline=60)
        assert driver.capabilities.consoles == ("serial",)
        with pytest.raises(NotSupported, match="novnc console"):
            await driver.open_console("h0", key(), "novnc", deadline=60)
        assert not driver.capabilities.shared_disks
        with pytest.raises(NotSupported, match="spawn from the image"):
            await driver.spawn("h1", make_spec(generation=2), deadline=60, reuse_disk=True)
        with pytest.raises(BackendFailed, match="image x is vmdk, and hosts boot from qcow2, raw"):
            await driver.spawn("h1", make_spec("s2", image=make_image("x", disk_format="vmdk")), deadline=60)

    play(main)


def test_a_disk_that_hosts_share_is_used_again_without_its_image() -> None:
    async def main(driver: SimulatedDriver) -> float:
        await driver.spawn("h0", make_spec(), deadline=60)
        begin = clock.now()
        await driver.spawn("h1", make_spec(generation=2), deadline=60, reuse_disk=True)
        return clock.now() - begin

    assert play(main, shared_disks=True) == 2


def test_what_is_not_there_is_said_with_what_is() -> None:
    async def main(driver: SimulatedDriver) -> None:
        await driver.spawn("h0", make_spec(generation=2), deadline=60)
        with pytest.raises(
            NoSuchServer, match=r"h0 has no server s1 \(generation 1\); it holds generation 2"
        ) as caught:
            await driver.power_off("h0", key(), deadline=60)
        assert (caught.value.host, caught.value.there) == ("h0", (key("s1", 2),))
        with pytest.raises(NoSuchServer, match="it holds nothing of it"):
            await driver.power_off("h1", key(), deadline=60)
        with pytest.raises(BackendFailed, match="there is no host h9"):
            await driver.power_off("h9", key(), deadline=60)
        with pytest.raises(BackendFailed, match="another copy of server s1, generation 2; destroy that first"):
            await driver.spawn("h0", make_spec(generation=3), deadline=60)

    play(main)


def test_hosts_and_their_inventory_by_openstacks_classes() -> None:
    hosts = make_hosts(2, racks=("r0", "r1"), zones=("az1",), traits=("CUSTOM_FAST",))

    async def main(driver: SimulatedDriver) -> Any:
        with pytest.raises(InputError, match="there is a host h1 already"):
            driver.add_host(hosts[1])
        events = driver.events()
        driver.add_host(make_hosts(3, at=50)[2])
        before = len(await driver.hosts(deadline=1))
        await asyncio.sleep(50)
        event = await anext(events)
        return before, await driver.hosts(deadline=1), (event.kind, event.host, event.time)

    before, found, event = play(main, hosts)
    assert (before, len(found), event) == (2, 3, ("host-up", "h2", 50))
    first = found[0]
    assert (first.name, first.state, first.zone, first.rack) == ("h0", HostState.UP, "az1", "r0")
    assert (first.inventory["VCPU"].total, first.traits) == (8, ("CUSTOM_FAST",))


@pytest.mark.parametrize("deadline", [-1, float("inf"), float("nan")])
def test_a_deadline_is_a_number_of_seconds(deadline: float) -> None:
    async def main(driver: SimulatedDriver) -> None:
        with pytest.raises(ValueError, match="makes no sense"):
            await driver.list_servers("h0", deadline=deadline)

    play(main)


def test_two_thousand_servers_at_once_on_two_hundred_hosts() -> None:
    async def main(world: warp.World) -> int:
        driver = make_driver(world, 200)
        await asyncio.gather(*(driver.spawn(f"h{i % 200}", make_spec(f"s{i}"), deadline=600) for i in range(2000)))
        return sum([len(await copies(driver, f"h{i}")) for i in range(200)])

    assert warp.run(main, horizon=10_000) == 2000
