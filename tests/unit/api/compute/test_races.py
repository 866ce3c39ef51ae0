"""Clients that race for the last of something: exactly what there is is given, never more and never less."""

from __future__ import annotations

from collections import Counter

import pytest

from sundog.control.compute import quotas
from sundog.control.store.tables import compute as tables
from sundog.core.pool import Inventory
from sundog.runtime import aio
from tests.computing import PROJECT
from tests.drivers import make_hosts
from tests.unit.api.compute.servers_api import Api, with_api


async def ids_of(api: Api) -> list[str]:
    answer = await api.alice.get("/servers")
    return [each["id"] for each in answer.json()["servers"]]


@pytest.mark.parametrize("round_", range(3))
def test_200_parallel_creates_against_a_quota_of_10_make_exactly_10(round_: int) -> None:
    async def main(api: Api) -> None:
        wish = api.wish(flavorRef="1")
        answers = await aio.gather(*(api.alice.post("/servers", wish) for _ in range(200)))
        assert Counter(each.status_code for each in answers) == {202: 10, 403: 190}
        refusal = next(each for each in answers if each.status_code == 403).json()["forbidden"]
        assert refusal["message"].startswith("Quota exceeded for instances")
        with api.small.store.read() as reader:
            assert quotas.usage(reader, PROJECT)["instances"] == 10
        await api.small.idle()
        assert sorted(await ids_of(api)) == sorted(
            each.json()["server"]["id"] for each in answers if each.status_code == 202
        )
        assert sum(len(each) for each in api.small.copies().values()) == 10

    hosts = make_hosts(6)
    with_api(main, hosts=hosts, seed=round_)


def test_creates_of_several_at_once_never_go_beyond_the_quota() -> None:
    async def main(api: Api) -> None:
        answers = await aio.gather(
            *(
                api.alice.post("/servers", api.wish(min_count=1 + number % 4, max_count=4, flavorRef="1"))
                for number in range(20)
            )
        )
        assert {each.status_code for each in answers} == {202, 403}
        await api.small.idle()
        assert len(await ids_of(api)) == 10

    with_api(main, hosts=make_hosts(6))


def test_100_parallel_creates_for_the_last_place_give_it_to_one() -> None:
    """Places and quota are taken together: those that found no host are in ERROR, and hold nothing."""

    async def main(api: Api) -> None:
        with api.small.store.begin() as tx:
            for resource in ("instances", "cores", "ram"):
                tx.insert(tables.quotas, project_id=PROJECT, user_id="", resource=resource, most=-1)
        provider = api.small.placement.provider("h0")
        full = {"VCPU": Inventory(1), "MEMORY_MB": Inventory(512), "DISK_GB": Inventory(1)}
        api.small.placement.set_inventories("h0", full, generation=provider.generation)
        answers = await aio.gather(*(api.alice.post("/servers", api.wish()) for _ in range(100)))
        assert {each.status_code for each in answers} == {202}
        await api.small.idle()
        states = Counter([(await api.shown(each.json()["server"]["id"]))["status"] for each in answers])
        assert states == {"ACTIVE": 1, "ERROR": 99}
        assert api.small.placement.usages("h0")["VCPU"] == 1
        assert [len(each) for each in api.small.copies().values()] == [1]

    with_api(main, hosts=make_hosts(1))


def test_a_server_that_is_deleted_by_many_is_deleted_once() -> None:
    async def main(api: Api) -> None:
        server_id = await api.boot()
        answers = await aio.gather(*(api.alice.delete(f"/servers/{server_id}") for _ in range(20)))
        assert {each.status_code for each in answers} <= {204, 404}
        await api.small.idle()
        assert (await api.alice.delete(f"/servers/{server_id}")).status_code == 404
        assert api.small.copies() == {}
        assert api.small.held(server_id) == {}
        assert api.small.placement.pool.used.sum() == 0

    with_api(main)


def test_a_server_that_is_stopped_by_many_is_stopped_by_one() -> None:
    async def main(api: Api) -> None:
        server_id = await api.boot()
        answers = await aio.gather(*(api.alice.act(server_id, "os-stop") for _ in range(20)))
        assert Counter(each.status_code for each in answers) == {202: 1, 409: 19}
        await api.small.idle()
        assert (await api.shown(server_id))["status"] == "SHUTOFF"

    with_api(main)


def test_one_port_is_given_to_one_server() -> None:
    async def main(api: Api) -> None:
        from sundog.control.viewer import EVERYTHING

        spec = {"network_id": api.small.network_id, "project_id": PROJECT}
        (port,) = api.small.network.ports.create(EVERYTHING, [spec])
        wish = api.wish(networks=[{"port": port.id}])
        answers = await aio.gather(*(api.alice.post("/servers", wish) for _ in range(20)))
        assert Counter(each.status_code for each in answers) == {202: 1, 409: 19}
        await api.small.idle()
        assert len(await ids_of(api)) == 1

    with_api(main)
