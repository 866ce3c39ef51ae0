"""``sundog audit`` looks at the cloud of a state folder, says what is wrong, and puts it right when it is told to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from sundog import app
from sundog.backends.simulated import identical_hosts
from sundog.control.cloud import Cloud
from sundog.control.compute.creating import CONSUMER_TYPE
from sundog.control.compute.records import Flavor, NewServer
from sundog.control.placement.records import Wanted
from sundog.runtime import aio, warp
from tests.computing import OWNER, PROJECT, USER, upload
from tests.unit.cli.conftest import Command

FLAVOR = Flavor("1", "small", vcpus=1, memory_mb=512, root_gb=1)


def at_work(folder: Path, main: Callable[[Cloud], Awaitable[None]]) -> None:
    """A cloud of the folder, until ``main`` is done; then it is dropped where it stands."""
    with app._opened(app.Settings(state=str(folder), seed=3, fleet=identical_hosts(2))) as state:

        async def body(world: warp.World) -> None:
            driver = state.fleet(world).driver
            cloud = app.make_cloud(state.store, state.folder, state.beginning.ids_seed, driver=driver)
            await cloud.compute.start()
            await main(cloud)
            await cloud.compute.stop()

        warp.run(body, seed=state.beginning.seed, epoch=state.epoch)


async def create(cloud: Cloud, count: int = 2) -> list[str]:
    image_id = await upload(cloud.image)
    new = NewServer("vm", FLAVOR, image_id, networks=())
    return [each.id for each in cloud.compute.servers.create(OWNER, new, min_count=count, max_count=count)]


async def some_servers(cloud: Cloud) -> None:
    await create(cloud)
    await cloud.compute.worker.idle()


async def and_an_orphan(cloud: Cloud) -> None:
    await some_servers(cloud)
    host = cloud.compute.hosts.list_all()[0].uuid
    cloud.placement.set_allocations([Wanted("f" * 32, {host: {"VCPU": 1}}, PROJECT, USER, CONSUMER_TYPE)])


async def and_some_under_way(cloud: Cloud) -> None:
    await some_servers(cloud)
    await create(cloud)
    await aio.sleep(0.5)


def test_a_cloud_as_it_should_be(sundog: Command, tmp_path: Path) -> None:
    at_work(tmp_path, some_servers)
    told = sundog("audit", "--state", tmp_path)
    assert (told.code, told.out, told.err) == (0, "0 found\n", "")
    assert sundog("audit", "--state", tmp_path, "--heal").code == 0


def test_what_is_wrong_is_told_and_then_put_right(sundog: Command, tmp_path: Path) -> None:
    at_work(tmp_path, and_an_orphan)
    told = sundog("audit", "--state", tmp_path)
    assert told.code == 3
    assert told.out.startswith(f"I2 consumer {'f' * 32} holds a place")
    assert told.out.endswith("1 found\n")
    healed = sundog("audit", "--state", tmp_path, "--heal", "--json")
    assert healed.code == 4
    assert [each["kind"] for each in healed.json["found"]] == ["orphan allocation"]
    assert (healed.json["left"], healed.json["healed"]) == ([], 1)
    assert sundog("audit", "--state", tmp_path).code == 0


def test_what_was_under_way_goes_on(sundog: Command, tmp_path: Path) -> None:
    at_work(tmp_path, and_some_under_way)
    told = sundog("audit", "--state", tmp_path)
    assert told.code == 0
    assert told.out.count("is under way") == 2
    assert sundog("audit", "--state", tmp_path, "--heal").code == 0
    assert sundog("audit", "--state", tmp_path).out == "0 found\n"


def test_a_folder_without_a_cloud_or_with_one_that_is_served_is_refused(sundog: Command, tmp_path: Path) -> None:
    told = sundog("audit", "--state", tmp_path / "nowhere")
    assert told.code == 2
    assert "there is no cloud in this folder" in told.err
    assert not (tmp_path / "nowhere").exists()

    with app._opened(app.Settings(state=str(tmp_path), seed=3)):
        told = sundog("audit", "--state", tmp_path)
    assert told.code == 1
    assert "is in use by another sundog" in told.err
