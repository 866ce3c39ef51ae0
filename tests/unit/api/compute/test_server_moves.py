"""Servers that go elsewhere: resized, migrated, evacuated."""

from __future__ import annotations

import pytest

from sundog.backends.contract import HostState
from sundog.core.scheduler.policies.nova import Nova
from sundog.runtime import aio
from tests.computing import OWNER
from tests.unit.api.compute.servers_api import Api, with_api

UUID = "70a599e0-31e7-49b7-b260-868f441e862b"


def message(answer) -> str:
    """What a fault says."""
    return next(iter(answer.json().values()))["message"]


async def host_of(api: Api, server: str) -> str:
    host: str = (await api.shown(server, who=api.admin))["OS-EXT-SRV-ATTR:host"]
    return host


# ---------------------------------------------------------------- resize


def test_a_resize_waits_to_be_confirmed():
    async def main(api: Api) -> None:
        server = await api.boot()
        answer = await api.alice.act(server, "resize", {"flavorRef": "2", "OS-DCF:diskConfig": "AUTO"})
        assert (answer.status_code, answer.content) == (202, b""), answer.text
        assert (await api.shown(server))["status"] == "RESIZE"
        await api.small.idle()
        shown = await api.shown(server, v="2.47")
        assert (shown["status"], shown["flavor"]["original_name"]) == ("VERIFY_RESIZE", "m1.small")
        confirmed = await api.alice.act(server, "confirmResize")
        assert (confirmed.status_code, confirmed.content) == (204, b"")
        await api.small.idle()
        assert (await api.shown(server))["status"] == "ACTIVE"

    with_api(main)


def test_a_resize_is_reverted():
    async def main(api: Api) -> None:
        server = await api.boot()
        before = await host_of(api, server)
        await api.alice.act(server, "resize", {"flavorRef": "http://cloud.test/compute/flavors/2"})
        await api.small.idle()
        assert (await api.alice.act(server, "revertResize")).status_code == 202
        assert (await api.shown(server))["status"] == "REVERT_RESIZE"
        await api.small.idle()
        shown = await api.shown(server, v="2.47")
        assert (shown["status"], shown["flavor"]["original_name"]) == ("ACTIVE", "m1.tiny")
        assert await host_of(api, server) == before

    with_api(main)


def test_a_resize_that_cannot_be_is_refused():
    async def main(api: Api) -> None:
        server = await api.boot()
        for value, status in (
            ({"flavorRef": "none"}, 400),
            ({"flavorRef": "1"}, 400),
            ({}, 400),
            ({"flavorRef": "2", "more": 1}, 400),
            ({"flavorRef": "2", "OS-DCF:diskConfig": None}, 400),
        ):
            assert (await api.alice.act(server, "resize", value)).status_code == status, value
        assert (await api.alice.act(server, "confirmResize")).status_code == 409
        assert (await api.alice.act(server, "revertResize")).status_code == 409
        assert (await api.shown(server))["status"] == "ACTIVE"

    with_api(main)


# ---------------------------------------------------------------- migrate


def test_managers_migrate_and_administrators_say_where_to():
    async def main(api: Api) -> None:
        server = await api.boot()
        assert (await api.alice.act(server, "migrate")).status_code == 403
        assert (await api.manager.act(server, "migrate", {"host": "h2"}, v="2.56")).status_code == 403
        before = await host_of(api, server)
        assert (await api.manager.act(server, "migrate")).status_code == 202
        await api.small.idle()
        assert await host_of(api, server) != before
        await api.alice.act(server, "confirmResize")
        await api.small.idle()
        wrong = await api.admin.act(server, "migrate", {"host": "h9"}, v="2.56")
        assert wrong.status_code == 400
        here = await host_of(api, server)
        assert (await api.admin.act(server, "migrate", {"host": here}, v="2.56")).status_code == 400
        assert (await api.admin.act(server, "migrate", {"host": before}, v="2.56")).status_code == 202
        await api.small.idle()
        assert await host_of(api, server) == before

        found = (await api.admin.get("/os-migrations")).json()["migrations"]
        assert [each["status"] for each in found] == ["finished", "confirmed"]
        assert found[0]["dest_compute"] == before
        assert set(found[0]) == {
            "id", "instance_uuid", "status", "old_instance_type_id", "new_instance_type_id", "created_at", "updated_at",
            "source_compute", "source_node", "dest_compute", "dest_node", "dest_host",
        }  # fmt: skip
        newest = (await api.admin.get("/os-migrations?limit=1", v="2.80")).json()
        one = newest["migrations"][0]
        assert (one["migration_type"], one["project_id"]) == ("migration", OWNER.project_id)
        assert "links" not in one
        following = newest["migrations_links"][0]["href"].removeprefix("http://cloud.test/compute/v2.1")
        assert len((await api.admin.get(following, v="2.80")).json()["migrations"]) == 1
        for query, count in (
            (f"instance_uuid={server}", 2),
            (f"instance_uuid={UUID}", 0),
            ("status=confirmed", 1),
            ("migration_type=resize", 0),
            (f"source_compute={before}", 1),
            (f"host={before}", 2),
            ("changes-since=2050-01-01T00:00:00Z", 0),
        ):
            assert len((await api.admin.get(f"/os-migrations?{query}", v="2.80")).json()["migrations"]) == count, query
        mine = f"/os-migrations?project_id={OWNER.project_id}"
        seen = (await api.manager.get(mine, v="2.80")).json()["migrations"]
        assert [(each["source_compute"], each["dest_host"]) for each in seen] == [(None, None)] * 2

    with_api(main)


def test_a_live_migration_is_forced_to_its_end():
    async def main(api: Api) -> None:
        server = await api.boot()
        await api.manager.act(server, "os-migrateLive", {"host": None, "block_migration": "auto"}, v="2.30")
        number = (await api.admin.get("/os-migrations")).json()["migrations"][0]["id"]
        path, body = f"/servers/{server}/migrations/{number}/action", {"force_complete": None}
        answer = await api.manager.post(path, body, v="2.22")
        assert answer.status_code == 400, "it has not begun to copy"
        await aio.sleep(0.1)
        assert (await api.manager.post(path, body)).status_code == 404
        assert (await api.alice.post(path, body, v="2.22")).status_code == 403
        missing = await api.manager.post(f"/servers/{server}/migrations/99/action", body, v="2.22")
        assert missing.status_code == 400
        answer = await api.manager.post(path, body, v="2.22")
        assert (answer.status_code, answer.content) == (202, b""), answer.text
        await api.small.idle()
        assert (await api.manager.post(path, body, v="2.22")).status_code == 409
        actions = (await api.alice.get(f"/servers/{server}/os-instance-actions")).json()["instanceActions"]
        assert [each["action"] for each in actions] == ["live_migration_force_complete", "live-migration", "create"]

    with_api(main)


def test_a_live_migration_is_seen_under_way():
    async def main(api: Api) -> None:
        server = await api.boot()
        before = await host_of(api, server)
        body = {"host": None, "block_migration": "auto"}
        answer = await api.manager.act(server, "os-migrateLive", body, v="2.30")
        assert (answer.status_code, answer.content) == (202, b""), answer.text
        assert (await api.shown(server))["status"] == "MIGRATING"
        path, found = f"/servers/{server}/migrations", []
        for _ in range(100):
            found = (await api.admin.get(path, v="2.80")).json()["migrations"]
            if found:
                break
            await aio.sleep(0.05)
        assert found[0]["source_compute"] == before
        assert found[0]["server_uuid"] == server
        shown = await api.admin.get(f"{path}/{found[0]['id']}", v="2.23")
        assert set(shown.json()["migration"]) == set(found[0]) - {"uuid", "user_id", "project_id"}
        assert (await api.manager.get(path, v="2.80")).json()["migrations"][0]["source_compute"] is None
        listed = (await api.admin.get("/os-migrations", v="2.23")).json()["migrations"][0]
        assert listed["links"][0]["href"].endswith(f"{path}/{found[0]['id']}")
        await api.small.idle()
        assert await host_of(api, server) != before
        assert (await api.shown(server))["status"] == "ACTIVE"
        assert (await api.admin.get(path, v="2.23")).json() == {"migrations": []}
        assert (await api.admin.get(f"{path}/{found[0]['id']}", v="2.23")).status_code == 404
        assert (await api.admin.delete(f"{path}/{found[0]['id']}", v="2.24")).status_code in (400, 409)
        assert (await api.admin.delete(f"{path}/99", v="2.24")).status_code in (404, 409)

    with_api(main)


def test_a_body_of_a_live_migration_is_of_its_version():
    async def main(api: Api) -> None:
        server = await api.boot()
        for v, value, status in (
            ("2.1", {"host": None, "block_migration": False}, 400),
            ("2.24", {"host": None, "block_migration": "auto", "disk_over_commit": False}, 400),
            ("2.25", {"host": None, "block_migration": "auto", "disk_over_commit": False}, 400),
            ("2.29", {"host": None, "block_migration": "auto", "force": False}, 400),
            ("2.30", {"host": None, "block_migration": "auto", "force": True}, 400),
            ("2.68", {"host": "h1", "block_migration": "auto", "force": True}, 400),
            ("2.68", {"block_migration": "auto"}, 400),
            ("2.68", {"host": "h9", "block_migration": "auto"}, 400),
        ):
            answer = await api.admin.act(server, "os-migrateLive", value, v=v)
            assert answer.status_code == status, (v, value)
        assert (await api.shown(server))["status"] == "ACTIVE"

    with_api(main)


# ---------------------------------------------------------------- to a host that is asked for


def not_for_everybody(*hosts: str) -> Nova:
    """A policy with a filter that refuses these hosts."""
    return Nova(enabled_filters=["IsolatedHostsFilter"], isolated_hosts=list(hosts))


async def away_from(api: Api, *hosts: str) -> str:
    """A server that runs on none of these hosts; its id."""
    server = await api.boot()
    assert await host_of(api, server) not in hosts
    return server


@pytest.mark.parametrize(
    ("v", "force", "goes"),
    [("2.29", {}, True), ("2.30", {}, False), ("2.30", {"force": True}, True), ("2.67", {"force": True}, True),
     ("2.67", {"force": False}, False), ("2.68", {}, False)],
)  # fmt: skip
def test_a_live_migration_to_a_host_asks_the_scheduler_since_2_30_unless_forced(v: str, force, goes: bool):
    async def main(api: Api) -> None:
        server = await away_from(api, "h2")
        home = await host_of(api, server)
        body = {"host": "h2", "block_migration": "auto" if v > "2.25" else False} | force
        answer = await api.admin.act(server, "os-migrateLive", body, v=v)
        assert answer.status_code == (202 if goes else 400), answer.text
        await api.small.idle()
        assert await host_of(api, server) == ("h2" if goes else home)
        assert (await api.shown(server))["status"] == "ACTIVE"
        assert api.small.held(server).keys() == {api.small.compute.hosts.by_name("h2" if goes else home).uuid}

    with_api(main, policy=not_for_everybody("h2"))


@pytest.mark.parametrize(
    ("v", "force", "goes"),
    [("2.28", {}, True), ("2.29", {}, False), ("2.29", {"force": True}, True), ("2.67", {"force": True}, True),
     ("2.68", {}, False)],
)  # fmt: skip
def test_an_evacuation_to_a_host_asks_the_scheduler_since_2_29_unless_forced(v: str, force, goes: bool):
    async def main(api: Api) -> None:
        server = await away_from(api, "h2")
        home = await host_of(api, server)
        api.small.compute.hosts.noticed(api.small.compute.hosts.by_name(home).uuid, HostState.DOWN)
        answer = await api.admin.act(server, "evacuate", {"host": "h2"} | force, v=v)
        assert answer.status_code == (200 if goes else 400), answer.text
        await api.small.idle()
        assert await host_of(api, server) == ("h2" if goes else home)

    with_api(main, policy=not_for_everybody("h2"))


def test_a_cold_migration_to_a_host_and_an_unshelving_there_ask_the_scheduler():
    async def main(api: Api) -> None:
        server = await away_from(api, "h2")
        answer = await api.admin.act(server, "migrate", {"host": "h2"}, v="2.56")
        assert (answer.status_code, message(answer)) == (
            400,
            "No valid host was found. There are not enough hosts available.",
        )
        for action, value in (("shelve", None), ("unshelve", {"host": "h2"})):
            assert (await api.admin.act(server, action, value, v="2.91")).status_code == 202
            await api.small.idle()
        assert (await api.shown(server))["status"] == "SHELVED_OFFLOADED"
        assert (await api.admin.act(server, "unshelve", {"host": "h2"}, v="2.90")).status_code == 400
        refused = await api.alice.act(server, "unshelve", {"host": "h1"}, v="2.91")
        assert refused.status_code == 403
        assert (await api.admin.act(server, "unshelve", {"host": "h1"}, v="2.91")).status_code == 202
        await api.small.idle()
        assert await host_of(api, server) == "h1"

    with_api(main, policy=not_for_everybody("h2"))


@pytest.mark.parametrize("force", [False, True])
def test_only_a_forced_migration_leaves_the_zone_that_a_server_is_pinned_to(force: bool):
    async def main(api: Api) -> None:
        aggregates = api.small.compute.aggregates
        for zone, host in (("east", "h1"), ("west", "h2")):
            aggregates.add_host(aggregates.create(zone, zone).number, host)
        server = await api.boot(availability_zone="east")
        assert await host_of(api, server) == "h1"
        body = {"host": "h2", "block_migration": "auto", "force": force}
        answer = await api.admin.act(server, "os-migrateLive", body, v="2.30")
        assert answer.status_code == (202 if force else 400), answer.text
        await api.small.idle()
        assert await host_of(api, server) == ("h2" if force else "h1")

    with_api(main)


# ---------------------------------------------------------------- evacuate


def test_a_server_is_evacuated_from_a_dead_host():
    async def main(api: Api) -> None:
        server = await api.boot()
        home = await host_of(api, server)
        alive = await api.admin.act(server, "evacuate", {}, v="2.14")
        assert (alive.status_code, message(alive)) == (400, f"Compute service of {home} is still in use.")
        for v, value, status in (
            ("2.1", {}, 400),
            ("2.1", {"onSharedStorage": True, "adminPass": "x"}, 400),
            ("2.14", {"onSharedStorage": False}, 400),
            ("2.14", {"host": None}, 400),
            ("2.14", {"host": "h9"}, 404),
            ("2.14", {"host": home}, 400),
            ("2.29", {"force": True}, 400),
            ("2.68", {"force": False}, 400),
        ):
            assert (await api.admin.act(server, "evacuate", value, v=v)).status_code == status, (v, value)
        assert (await api.alice.act(server, "evacuate", {}, v="2.14")).status_code == 403
        api.small.compute.hosts.noticed(api.small.compute.hosts.by_name(home).uuid, HostState.DOWN)
        assert (await api.shown(server, v="2.16", who=api.admin))["host_status"] == "UNKNOWN"
        answer = await api.admin.act(server, "evacuate", {"onSharedStorage": False})
        assert (answer.status_code, set(answer.json())) == (200, {"adminPass"}), answer.text
        await api.small.idle()
        assert await host_of(api, server) != home
        assert (await api.shown(server))["status"] == "ACTIVE"

    with_api(main)


@pytest.mark.parametrize(("v", "status"), [("2.94", "ACTIVE"), ("2.95", "SHUTOFF")])
def test_an_evacuated_server_is_stopped_since_2_95(v: str, status: str):
    async def main(api: Api) -> None:
        server = await api.boot()
        home = await host_of(api, server)
        api.small.compute.hosts.noticed(api.small.compute.hosts.by_name(home).uuid, HostState.DOWN)
        answer = await api.admin.act(server, "evacuate", {}, v=v)
        assert (answer.status_code, answer.content) == (200, b""), answer.text
        await api.small.idle()
        assert await host_of(api, server) != home
        assert (await api.shown(server))["status"] == status

    with_api(main)
