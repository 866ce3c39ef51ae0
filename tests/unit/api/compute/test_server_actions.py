"""Actions on servers, and their parts: metadata, tags, addresses, interfaces, what was asked of them."""

from __future__ import annotations

import pytest

from sundog.control.network.records import Port
from sundog.control.network.routers import GatewaySpec
from tests.computing import ADMIN, OWNER
from tests.unit.api.compute.servers_api import Api, with_api

UUID = "70a599e0-31e7-49b7-b260-868f441e862b"


def message(answer) -> str:
    """What a fault says."""
    return next(iter(answer.json().values()))["message"]


# ---------------------------------------------------------------- power


def test_a_server_goes_through_its_states():
    async def main(api: Api) -> None:
        server = await api.boot()
        for action, value, meanwhile, after in (
            ("pause", None, "ACTIVE", "PAUSED"),
            ("unpause", None, "PAUSED", "ACTIVE"),
            ("suspend", None, "ACTIVE", "SUSPENDED"),
            ("resume", None, "SUSPENDED", "ACTIVE"),
            ("os-stop", None, "ACTIVE", "SHUTOFF"),
            ("os-start", None, "SHUTOFF", "ACTIVE"),
            ("reboot", {"type": "soft"}, "REBOOT", "ACTIVE"),
            ("reboot", {"type": "HARD"}, "HARD_REBOOT", "ACTIVE"),
        ):
            answer = await api.alice.act(server, action, value)
            assert (answer.status_code, answer.content) == (202, b""), (action, answer.text)
            assert (await api.shown(server))["status"] == meanwhile, action
            await api.small.idle()
            assert (await api.shown(server))["status"] == after, action

    with_api(main)


def test_a_rescued_server_and_back():
    async def main(api: Api) -> None:
        server = await api.boot()
        answer = await api.alice.act(server, "rescue", {"adminPass": "given"})
        assert (answer.status_code, answer.json()) == (200, {"adminPass": "given"})
        await api.small.idle()
        assert (await api.shown(server))["status"] == "RESCUE"
        assert (await api.alice.act(server, "unrescue")).status_code == 202
        await api.small.idle()
        assert (await api.shown(server))["status"] == "ACTIVE"
        generated = (await api.alice.act(server, "rescue")).json()["adminPass"]
        assert generated.isalnum()
        assert len(generated) == 12

    with_api(main)


def test_what_a_state_forbids_is_409_in_novas_words():
    async def main(api: Api) -> None:
        server = await api.boot()
        answer = await api.alice.act(server, "os-start")
        assert answer.status_code == 409
        assert message(answer) == f"Cannot 'start' instance {server} while it is in vm_state active"
        assert (await api.alice.act(server, "unpause")).status_code == 409
        assert (await api.alice.act(server, "restore")).status_code == 409

    with_api(main)


@pytest.mark.parametrize(
    "body",
    [
        {"reboot": {"type": "warm"}},
        {"reboot": {}},
        {"reboot": None},
        {"rescue": {"rescue_image_ref": "x"}},
        {"os-resetState": {"state": "paused"}},
        {"nonsense": None},
        {"pause": None, "unpause": None},
        {},
        [],
    ],
)
def test_a_body_that_no_action_takes_is_400(body):
    async def main(api: Api) -> None:
        answer = await api.admin.post(f"/servers/{UUID}/action", body)
        assert answer.status_code == 400, answer.text
        assert set(answer.json()) == {"badRequest"}

    with_api(main, hosts=1)


def test_nothing_is_done_to_a_locked_server_but_by_an_administrator():
    async def main(api: Api) -> None:
        server = await api.boot()
        assert (await api.alice.act(server, "lock", {"locked_reason": "mine"}, v="2.73")).status_code == 202
        shown = await api.shown(server, v="2.73")
        assert (shown["locked"], shown["locked_reason"]) == (True, "mine")
        answer = await api.alice.act(server, "os-stop")
        assert (answer.status_code, message(answer)) == (409, f"Instance {server} is locked")
        assert (await api.alice.delete(f"/servers/{server}")).status_code == 409
        assert (await api.admin.act(server, "os-stop")).status_code == 202
        assert (await api.alice.act(server, "unlock")).status_code == 202
        assert (await api.shown(server, v="2.73"))["locked_reason"] is None

    with_api(main)


def test_who_did_not_lock_a_server_must_be_allowed_to_unlock_it():
    async def main(api: Api) -> None:
        server = await api.boot()
        await api.admin.act(server, "lock", {}, v="2.73")
        assert (await api.alice.act(server, "unlock")).status_code == 403
        assert (await api.admin.act(server, "unlock")).status_code == 202
        assert (await api.alice.act(server, "lock", {"locked_reason": ""}, v="2.73")).status_code == 400

    with_api(main)


def test_an_administrator_resets_a_state_and_old_actions_are_what_they_are_in_nova():
    async def main(api: Api) -> None:
        server = await api.boot()
        assert (await api.admin.act(server, "os-resetState", {"state": "error"})).status_code == 202
        assert (await api.shown(server))["status"] == "ERROR"
        assert (await api.admin.act(server, "injectNetworkInfo")).status_code == 202
        assert (await api.admin.act(server, "resetNetwork")).status_code == 410
        assert (await api.alice.act(server, "forceDelete")).status_code == 202
        await api.small.idle()
        assert (await api.alice.get(f"/servers/{server}")).status_code == 404

    with_api(main)


# ---------------------------------------------------------------- metadata and tags


def test_metadata():
    async def main(api: Api) -> None:
        server = await api.boot(metadata={"a": "1"})
        path = f"/servers/{server}/metadata"
        assert (await api.alice.get(path)).json() == {"metadata": {"a": "1"}}
        told = await api.alice.post(path, {"metadata": {"b": "2"}})
        assert (told.status_code, told.json()) == (200, {"metadata": {"a": "1", "b": "2"}})
        assert (await api.alice.put(path, {"metadata": {"c": "3"}})).json() == {"metadata": {"c": "3"}}
        assert (await api.alice.put(f"{path}/d", {"meta": {"d": "4"}})).json() == {"meta": {"d": "4"}}
        assert (await api.alice.get(f"{path}/d")).json() == {"meta": {"d": "4"}}
        assert (await api.alice.delete(f"{path}/c")).status_code == 204
        assert (await api.alice.delete(f"{path}/c")).status_code == 404
        assert (await api.alice.get(f"{path}/c")).status_code == 404
        assert (await api.alice.put(f"{path}/d", {"meta": {"e": "5"}})).status_code == 400
        for body in ({"metadata": {"k" * 256: "v"}}, {"metadata": {"k": 1}}, {"meta": {"k": "v"}}, {"metadata": None}):
            assert (await api.alice.post(path, body)).status_code == 400, body
        assert (await api.alice.put(f"{path}/d", {"meta": {"d": "1", "e": "2"}})).status_code == 400
        many = {"metadata": {f"k{n}": "v" for n in range(129)}}
        assert (await api.alice.post(path, many)).status_code == 403
        assert (await api.reader.post(path, {"metadata": {}})).status_code == 403
        assert (await api.alice.get(path)).json() == {"metadata": {"d": "4"}}

    with_api(main)


def test_tags():
    async def main(api: Api) -> None:
        server = await api.boot()
        path = f"/servers/{server}/tags"
        assert (await api.alice.get(path)).status_code == 404
        assert (await api.alice.put(path, {"tags": ["b", "a"]}, v="2.26")).status_code == 200
        assert (await api.alice.get(path, v="2.26")).json() == {"tags": ["a", "b"]}
        added = await api.alice.put(f"{path}/c", v="2.26")
        assert (added.status_code, added.content) == (201, b"")
        assert added.headers["location"].endswith(f"{path}/c")
        assert (await api.alice.put(f"{path}/c", v="2.26")).status_code == 204
        assert (await api.alice.get(f"{path}/c", v="2.26")).status_code == 204
        assert (await api.alice.get(f"{path}/x", v="2.26")).status_code == 404
        assert (await api.alice.delete(f"{path}/c", v="2.26")).status_code == 204
        assert (await api.alice.delete(f"{path}/c", v="2.26")).status_code == 404
        assert (await api.shown(server, v="2.26"))["tags"] == ["a", "b"]
        for tag in ("t" * 61, "a,b"):
            assert (await api.alice.put(f"{path}/{tag}", v="2.26")).status_code == 400, tag
        for body in ({"tags": ["a,b"]}, {"tags": "a"}, {"tags": [str(n) for n in range(51)]}, {}):
            assert (await api.alice.put(path, body, v="2.26")).status_code == 400, body
        await api.alice.put(path, {"tags": [str(n) for n in range(50)]}, v="2.26")
        assert (await api.alice.put(f"{path}/more", v="2.26")).status_code == 400
        assert (await api.alice.delete(path, v="2.26")).status_code == 204
        assert (await api.alice.get(path, v="2.26")).json() == {"tags": []}

    with_api(main)


# ---------------------------------------------------------------- addresses


def test_addresses_and_interfaces():
    async def main(api: Api) -> None:
        server = await api.boot()
        told = (await api.alice.get(f"/servers/{server}/ips")).json()["addresses"]
        assert [set(each) for each in told["private"]] == [{"version", "addr"}]
        one = (await api.alice.get(f"/servers/{server}/ips/private")).json()
        assert one == told
        assert (await api.alice.get(f"/servers/{server}/ips/public")).status_code == 404
        ports = (await api.alice.get(f"/servers/{server}/os-interface")).json()["interfaceAttachments"]
        assert set(ports[0]) == {"net_id", "port_id", "mac_addr", "port_state", "fixed_ips"}
        shown = await api.alice.get(f"/servers/{server}/os-interface/{ports[0]['port_id']}", v="2.70")
        assert shown.json()["interfaceAttachment"] == ports[0] | {"tag": None}
        assert (await api.alice.get(f"/servers/{server}/os-interface/{UUID}")).status_code == 404

    with_api(main)


def only_port(api: Api, server: str) -> Port:
    return api.small.compute.servers.ports(api.small.show(server))[0]


def test_an_address_more_and_an_address_less_until_2_43():
    async def main(api: Api) -> None:
        server = await api.boot()
        assert (await api.alice.act(server, "addFixedIp", {"networkId": api.small.network_id})).status_code == 202
        fixed = [each.ip_address for each in only_port(api, server).fixed_ips]
        assert len(fixed) == 2
        assert (await api.alice.act(server, "removeFixedIp", {"address": fixed[0]})).status_code == 202
        assert [each.ip_address for each in only_port(api, server).fixed_ips] == fixed[1:]
        for action, value in (
            ("removeFixedIp", {"address": "192.0.2.1"}),
            ("removeFixedIp", {"address": "x"}),
            ("addFixedIp", {"networkId": UUID}),
            ("addFixedIp", {}),
        ):
            assert (await api.alice.act(server, action, value)).status_code == 400, (action, value)
        late = await api.alice.act(server, "addFixedIp", {"networkId": api.small.network_id}, v="2.44")
        assert late.status_code == 404

    with_api(main)


def floating_ip(api: Api) -> str:
    """A floating IP of the owner, with a router to the owner's network."""
    network, viewer = api.small.network, ADMIN.viewer
    outside = network.networks.create([{"project_id": "4" * 32, "name": "public", "external": True}])[0]
    network.subnets.create(
        viewer, [{"network_id": outside.id, "project_id": "4" * 32, "ip_version": 4, "cidr": "203.0.113.0/24"}]
    )
    gateway = GatewaySpec(outside.id)
    router = network.routers.create(viewer, [{"project_id": OWNER.project_id, "gateway": gateway}])[0]
    subnet = network.networks.show(viewer, api.small.network_id).subnets[0]
    network.routers.add_interface(viewer, router.id, subnet_id=subnet)
    spec = {"project_id": OWNER.project_id, "floating_network_id": outside.id}
    address: str = network.floating_ips.create(viewer, [spec])[0].floating_ip_address
    return address


def test_a_floating_ip_leads_to_a_server_until_2_43():
    async def main(api: Api) -> None:
        server, other = await api.boot(), await api.boot()
        address = floating_ip(api)
        assert (await api.alice.act(server, "addFloatingIp", {"address": address})).status_code == 202
        told = (await api.shown(server))["addresses"]["private"]
        assert [(each["addr"] == address, each["OS-EXT-IPS:type"]) for each in told] == [
            (False, "fixed"), (True, "floating"),
        ]  # fmt: skip
        [outside] = api.small.network.networks.list_all(ADMIN.viewer, {"name": ["public"]})
        spec = {"project_id": OWNER.project_id, "floating_network_id": outside.id}
        second = api.small.network.floating_ips.create(ADMIN.viewer, [spec])[0].floating_ip_address
        taken = await api.alice.act(server, "addFloatingIp", {"address": second})
        assert taken.status_code == 400
        assert f"Unable to associate floating IP {second} for instance {server}." in taken.text
        assert (await api.alice.act(other, "removeFloatingIp", {"address": address})).status_code == 409
        assert (await api.alice.act(server, "removeFloatingIp", {"address": address})).status_code == 202
        assert len((await api.shown(server))["addresses"]["private"]) == 1
        missing = await api.alice.act(server, "addFloatingIp", {"address": "198.51.100.1"})
        assert missing.status_code == 404
        wrong = {"address": address, "fixed_address": "192.0.2.1"}
        assert (await api.alice.act(server, "addFloatingIp", wrong)).status_code == 400
        assert (await api.bob.act(server, "addFloatingIp", {"address": address})).status_code == 404
        assert (await api.alice.act(server, "addFloatingIp", {"address": address}, v="2.44")).status_code == 404

    with_api(main)


def test_security_groups_of_a_server():
    async def main(api: Api) -> None:
        server = await api.boot()
        told = (await api.alice.get(f"/servers/{server}/os-security-groups")).json()["security_groups"]
        assert [(each["name"], each["tenant_id"]) for each in told] == [("default", OWNER.project_id)]
        rule = told[0]["rules"][0]
        assert set(rule) == {"id", "parent_group_id", "ip_protocol", "from_port", "to_port", "group", "ip_range"}
        assert rule["group"] == {"name": "default", "tenant_id": OWNER.project_id}

    with_api(main)


# ---------------------------------------------------------------- what was asked


def test_what_was_asked_of_a_server():
    async def main(api: Api) -> None:
        server = await api.boot()
        answer = await api.alice.act(server, "os-stop")
        request = answer.headers["x-compute-request-id"]
        await api.small.idle()
        path = f"/servers/{server}/os-instance-actions"
        listed = (await api.alice.get(path)).json()["instanceActions"]
        assert [each["action"] for each in listed] == ["stop", "create"]
        assert listed[0]["request_id"] == request
        assert "updated_at" not in listed[0]
        page = (await api.alice.get(f"{path}?limit=1", v="2.58")).json()
        assert [each["action"] for each in page["instanceActions"]] == ["stop"]
        following = page["links"][0]["href"].removeprefix("http://cloud.test/compute/v2.1")
        more = (await api.alice.get(following, v="2.58")).json()
        assert [each["action"] for each in more["instanceActions"]] == ["create"]
        assert (await api.alice.get(f"{path}?marker=req-none", v="2.58")).status_code == 400
        assert (await api.alice.get(f"{path}?unknown=1", v="2.58")).status_code == 400
        assert (await api.alice.get(f"{path}?unknown=1")).status_code == 200

        one = f"{path}/{request}"
        assert "events" not in (await api.alice.get(one)).json()["instanceAction"]
        seen = (await api.alice.get(one, v="2.51")).json()["instanceAction"]["events"][0]
        assert set(seen) == {"event", "start_time", "finish_time", "result"}
        assert seen["result"] == "Success"
        seen = (await api.alice.get(one, v="2.84")).json()["instanceAction"]["events"][0]
        assert set(seen) == {"event", "start_time", "finish_time", "result", "hostId"}
        whole = (await api.admin.get(one, v="2.84")).json()["instanceAction"]["events"][0]
        assert set(whole) == {*seen, "traceback", "host", "details"}
        assert whole["host"].startswith("h")
        assert (await api.alice.get(f"{path}/req-none")).status_code == 404

        await api.alice.delete(f"/servers/{server}")
        await api.small.idle()
        assert (await api.alice.get(path)).status_code == 404
        gone = (await api.alice.get(path, v="2.21")).json()["instanceActions"]
        assert gone[0]["action"] == "delete"

    with_api(main)


# ---------------------------------------------------------------- the rest


def test_passwords_topology_migrations_events_and_audits():
    async def main(api: Api) -> None:
        server = await api.boot()
        assert (await api.alice.get(f"/servers/{server}/os-server-password")).json() == {"password": ""}
        assert (await api.alice.delete(f"/servers/{server}/os-server-password")).status_code == 204
        assert (await api.alice.get(f"/servers/{server}/topology")).status_code == 404
        assert (await api.alice.get(f"/servers/{server}/topology", v="2.78")).json() == {
            "nodes": [],
            "pagesize_kb": None,
        }
        assert (await api.alice.get("/os-migrations")).status_code == 403
        assert (await api.manager.get("/os-migrations")).status_code == 403
        mine = f"/os-migrations?project_id={OWNER.project_id}"
        assert (await api.manager.get(mine, v="2.80")).json() == {"migrations": []}
        assert (await api.admin.get("/os-migrations?host=none")).json() == {"migrations": []}
        assert (await api.admin.get("/os-migrations?unknown=1", v="2.59")).status_code == 400
        assert (await api.admin.get(f"/os-migrations?marker={UUID}", v="2.59")).status_code == 400
        assert (await api.manager.get(f"/servers/{server}/migrations", v="2.23")).json() == {"migrations": []}
        assert (await api.admin.get(f"/servers/{server}/migrations/1", v="2.23")).status_code == 404
        assert (await api.admin.get(f"/servers/{server}/migrations/x", v="2.23")).status_code == 404

        events = [
            {"name": "network-changed", "server_uuid": server},
            {"name": "network-vif-plugged", "server_uuid": UUID, "tag": "port"},
        ]
        answer = await api.admin.post("/os-server-external-events", {"events": events})
        assert answer.status_code == 207
        assert [each["code"] for each in answer.json()["events"]] == [200, 404]
        early = {"events": [{"name": "volume-extended", "server_uuid": server}]}
        assert (await api.admin.post("/os-server-external-events", early)).status_code == 400
        late = await api.admin.post("/os-server-external-events", early, v="2.51")
        assert [each["code"] for each in late.json()["events"]] == [400]
        assert (await api.alice.post("/os-server-external-events", {"events": events})).status_code == 403

        audit = (await api.admin.get("/os-instance_usage_audit_log")).json()["instance_usage_audit_logs"]
        assert (audit["num_hosts"], audit["num_hosts_done"], audit["log"]) == (3, 0, {})
        before = await api.admin.get("/os-instance_usage_audit_log/2024-03-15 10:00:00")
        assert before.json()["instance_usage_audit_log"]["period_beginning"] == "2024-02-01 00:00:00"
        assert (await api.admin.get("/os-instance_usage_audit_log/yesterday")).status_code == 400

    with_api(main)
