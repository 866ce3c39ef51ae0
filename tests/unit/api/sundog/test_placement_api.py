"""Why servers are where they are, for their owner and for who may know hosts by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx2 as httpx

from sundog.api.kit.application import application
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import Desk
from sundog.api.sundog import SERVICE
from sundog.control.compute.explaining import hidden_name
from sundog.control.compute.records import Server
from sundog.control.principal import Principal
from sundog.control.store.tables import compute as tables
from sundog.errors import Unauthorized
from tests.computing import ADMIN, LARGE, OWNER, PROJECT, USER, Small, run
from tests.drivers import make_hosts

BEARERS = {
    "alice": Principal(USER, project_id=PROJECT, roles=("member", "reader")),
    "bob": Principal("8" * 32, project_id="5" * 32, roles=("member", "reader")),
    "nobody": Principal("9" * 32, project_id=PROJECT),
    "admin": ADMIN.principal,
}


def authenticate(token: str) -> Principal:
    if token not in BEARERS:
        raise Unauthorized("The request you have made requires authentication.")
    return BEARERS[token]


class Asking:
    """``await ask("alice", server)``: the placement as somebody sees it, or the status of a refusal."""

    def __init__(self, cloud: Small) -> None:
        desk = Desk(SimpleNamespace(compute=cloud.compute), Policy(SERVICE.rules), authenticate, lambda: "req-x")
        self._app = application((SERVICE,), desk, version="1")

    async def __call__(self, who: str, server: Server, **query: str) -> Any:
        transport = httpx.ASGITransport(app=self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud.test") as client:
            answer = await client.get(
                f"/sundog/v1/servers/{server.id}/placement", params=query, headers={"x-auth-token": who}
            )
        return answer.json()["placement"] if answer.status_code == 200 else answer.status_code


async def active(cloud: Small, **facts: Any) -> Server:
    server = cloud.create(**facts)
    await cloud.idle()
    return cloud.show(server)


def test_an_administrator_sees_hosts_scores_and_reasons() -> None:
    async def main(cloud: Small) -> None:
        server, ask = await active(cloud), Asking(cloud)
        used = cloud.placement.pool.used.copy()
        told = await ask("admin", server, host="h1")
        assert told["host"]["host"] == server.host
        assert (told["as_if"], told["own_allocation"], told["policy"]) == ("placed now", "counted as used", "nova")
        assert told["decision"]["host"]["host"] == told["best"][0]["host"]
        assert [each["rank"] for each in told["best"]] == [1, 2, 3]
        assert "RAMWeigher" in told["best"][0]["breakdown"]
        assert told["funnel"][0]["hosts"] == 3
        assert (told["why_not"]["host"], told["why_not"]["failed"]) == ("h1", [])
        assert told["why_not"]["scored"]["rank"] in (1, 2, 3)
        assert (cloud.placement.pool.used == used).all()
        assert await ask("admin", server, host="nowhere") == 404

    run(main)


def test_the_owner_sees_hosts_as_hidden_names_and_no_reasons() -> None:
    async def main(cloud: Small) -> None:
        server, ask = await active(cloud, flavor=LARGE), Asking(cloud)
        cloud.compute.hosts.update(cloud.compute.hosts.by_name("h1").service_id, disabled=True)
        told = await ask("alice", server)
        assert told["host"] == {"host_id": hidden_name(PROJECT, server.host or "")}
        for name in ("h0", "h1", "h2"):
            assert f'"{name}"' not in repr(told).replace("'", '"')
            assert await ask("alice", server, host=name) == 404
        against = (await ask("alice", server, host=hidden_name(PROJECT, "h1")))["why_not"]
        assert against["host_id"] == hidden_name(PROJECT, "h1")
        assert [each["reason"] for each in against["failed"]] == [None]
        assert against["relax"] == against["failed"][0]["filter"]
        reasons = (await ask("admin", server, host="h1"))["why_not"]["failed"]
        assert "disabled" in reasons[0]["reason"]

    run(main)


def test_others_see_nothing() -> None:
    async def main(cloud: Small) -> None:
        server, ask = await active(cloud), Asking(cloud)
        answers = [await ask(who, server) for who in ("bob", "nobody", "", "guess")]
        assert answers == [404, 403, 401, 401]

    run(main)


def test_a_server_without_a_host_learns_why() -> None:
    async def main(cloud: Small) -> None:
        told = await Asking(cloud)("alice", cloud.create())
        assert (told["host"], told["decision"]["host"], told["best"]) == (None, None, [])
        assert told["decision"]["reason"]

    run(main, hosts=make_hosts(0))


def test_a_member_of_a_group_is_not_in_its_own_way() -> None:
    async def main(cloud: Small) -> None:
        with cloud.compute.books.writing() as tx:
            tx.insert(
                tables.server_groups, id="g", project_id=PROJECT, user_id=OWNER.user_id, name="apart",
                policy="anti-affinity", max_server_per_host=None, created_at=cloud.compute.books.now(),
            )  # fmt: skip
        first, second = await active(cloud, group_id="g"), await active(cloud, group_id="g")
        ask = Asking(cloud)
        assert (await ask("admin", first, host=first.host or ""))["why_not"]["failed"] == []
        failed = (await ask("admin", first, host=second.host or ""))["why_not"]["failed"]
        assert [each["filter"] for each in failed] == ["ServerGroupAntiAffinityFilter"]
        third = await active(cloud, group_id="g")
        assert len({first.host, second.host, third.host}) == 3

    run(main)
