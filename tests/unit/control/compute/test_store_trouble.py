"""The store cannot be used for a while: what is under way waits for it, and then goes on."""

from __future__ import annotations

from dataclasses import replace

from sundog.control.compute import Settings
from sundog.control.store import open_store
from sundog.runtime import aio
from sundog.runtime.seeds import Streams
from sundog.soak.gates import Gate, GatedStore, StoreTrouble
from tests.computing import ADMIN, OWNER, SMALL, Small, run


def test_an_abort_waits_for_the_store() -> None:
    trouble = StoreTrouble(Streams(1).stream("trouble"))
    store = GatedStore(open_store(":memory:"), Gate(lambda: None), trouble)

    async def main(cloud: Small) -> None:
        server = cloud.create(flavor=replace(SMALL, memory_mb=8192))
        await cloud.idle()
        cloud.compute.moves.live_migrate(ADMIN, server.id)
        await aio.sleep(0.1)
        (move,) = cloud.compute.migrations.list_all()
        cloud.compute.migrations.abort(ADMIN, server.id, move.number)
        trouble.probability = 1.0
        await aio.sleep(2.0)
        trouble.probability = 0.0
        await cloud.idle()
        (move,) = cloud.compute.migrations.list_all()
        assert move.status == "cancelled"
        assert cloud.show(server).host == server.host

    run(main, store=store)


def test_giving_up_the_places_of_shelved_servers_waits_for_the_store() -> None:
    trouble = StoreTrouble(Streams(1).stream("trouble"))
    store = GatedStore(open_store(":memory:"), Gate(lambda: None), trouble)

    async def main(cloud: Small) -> None:
        server = cloud.create()
        await cloud.idle()
        cloud.compute.moves.shelve(OWNER, server.id)
        await cloud.idle()
        assert cloud.show(server).vm_state == "shelved"
        trouble.probability = 1.0
        await aio.sleep(600.0)
        trouble.probability = 0.0
        await aio.sleep(120.0)
        assert cloud.show(server).vm_state == "shelved_offloaded"

    run(main, store=store, settings=Settings(shelved_offload_time=300.0))
