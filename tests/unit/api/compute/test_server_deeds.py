"""What is done with servers that stay where they are: new disks, images of them, interfaces, consoles."""

from __future__ import annotations

import pytest

from sundog.errors import NotFound
from tests.computing import ADMIN, OWNER
from tests.unit.api.compute.servers_api import Api, with_api

UUID = "70a599e0-31e7-49b7-b260-868f441e862b"


def message(answer) -> str:
    """What a fault says."""
    return next(iter(answer.json().values()))["message"]


# ---------------------------------------------------------------- rebuild


def test_a_server_is_rebuilt_and_keeps_its_address():
    async def main(api: Api) -> None:
        server = await api.boot()
        before = (await api.shown(server))["addresses"]
        wish = {"imageRef": api.small.image_id, "name": "new", "metadata": {"k": "v"}, "adminPass": "given"}
        answer = await api.alice.act(server, "rebuild", wish)
        assert answer.status_code == 202, answer.text
        told = answer.json()["server"]
        assert answer.headers["location"] == told["links"][0]["href"]
        assert (told["status"], told["name"], told["adminPass"]) == ("REBUILD", "new", "given")
        assert "key_name" not in told
        await api.small.idle()
        shown = await api.shown(server)
        assert (shown["status"], shown["metadata"], shown["addresses"]) == ("ACTIVE", {"k": "v"}, before)

    with_api(main)


def test_what_a_rebuild_may_change_differs_by_version():
    async def main(api: Api) -> None:
        server = await api.boot()
        for v, facts, status in (
            ("2.18", {"description": "d"}, 400),
            ("2.19", {"description": "d"}, 202),
            ("2.53", {"key_name": None}, 400),
            ("2.54", {"key_name": None}, 202),
            ("2.56", {"user_data": None}, 400),
            ("2.57", {"user_data": "aGk="}, 202),
            ("2.57", {"user_data": "a"}, 400),
            ("2.57", {"personality": []}, 400),
            ("2.63", {"trusted_image_certificates": None}, 202),
            ("2.90", {"hostname": "web-1"}, 202),
            ("2.90", {"hostname": "web.example.org"}, 400),
            ("2.94", {"hostname": "web.example.org"}, 202),
            ("2.1", {"imageRef": "x"}, 400),
            ("2.1", {"key_name": "none"}, 400),
        ):
            wish = {"imageRef": api.small.image_id} | facts
            answer = await api.alice.act(server, "rebuild", wish, v=v)
            assert answer.status_code == status, (v, facts, answer.text)
            await api.small.idle()
        told = (await api.alice.act(server, "rebuild", {"imageRef": api.small.image_id}, v="2.75")).json()["server"]
        assert told["user_data"] == "aGk="
        assert told["OS-EXT-STS:vm_state"] == "active"
        assert told["adminPass"].isalnum()

    with_api(main)


def test_a_rebuild_that_cannot_be_is_refused():
    async def main(api: Api) -> None:
        server = await api.boot()
        missing = await api.alice.act(server, "rebuild", {"imageRef": UUID})
        assert missing.status_code == 400
        assert (await api.reader.act(server, "rebuild", {"imageRef": api.small.image_id})).status_code == 403
        await api.alice.act(server, "pause")
        await api.small.idle()
        answer = await api.alice.act(server, "rebuild", {"imageRef": api.small.image_id})
        assert message(answer) == f"Cannot 'rebuild' instance {server} while it is in vm_state paused"

    with_api(main)


# ---------------------------------------------------------------- images


def test_an_image_of_a_server_is_told_in_a_header_and_since_2_45_in_the_body():
    async def main(api: Api) -> None:
        server = await api.boot()
        old = await api.alice.act(server, "createImage", {"name": "one", "metadata": {"k": "v"}})
        assert (old.status_code, old.content) == (202, b"")
        image_id = old.headers["location"].rpartition("/")[2]
        assert old.headers["location"] == f"http://cloud.test/image/v2/images/{image_id}"
        await api.small.idle()
        image = api.small.images.show(ADMIN.principal, image_id)
        assert (image.name, image.status, image.properties["k"]) == ("one", "active", "v")
        new = await api.alice.act(server, "createImage", {"name": "two"}, v="2.45")
        assert (new.status_code, set(new.json())) == (202, {"image_id"})
        assert "location" not in new.headers
        await api.small.idle()
        for value in ({"name": ""}, {}, {"name": "x", "metadata": {"k": 1}}, {"name": "x", "more": 1}):
            assert (await api.alice.act(server, "createImage", value)).status_code == 400, value

    with_api(main)


def test_the_newest_backups_are_kept():
    async def main(api: Api) -> None:
        server, made = await api.boot(), []
        for number in range(3):
            wish = {"name": f"daily-{number}", "backup_type": "daily", "rotation": "2"}
            answer = await api.alice.act(server, "createBackup", wish, v="2.45")
            assert answer.status_code == 202, answer.text
            made.append(answer.json()["image_id"])
            await api.small.idle()
        with pytest.raises(NotFound):
            api.small.images.show(ADMIN.principal, made[0])
        assert [api.small.images.show(ADMIN.principal, each).status for each in made[1:]] == ["active", "active"]
        for value in ({"name": "x", "backup_type": "daily"}, {"name": "x", "backup_type": "daily", "rotation": -1}):
            assert (await api.alice.act(server, "createBackup", value)).status_code == 400, value

    with_api(main)


# ---------------------------------------------------------------- interfaces and security groups


def test_a_port_more_and_a_port_less():
    async def main(api: Api) -> None:
        server = await api.boot()
        path = f"/servers/{server}/os-interface"
        asked = {"net_id": api.small.network_id, "fixed_ips": [{"ip_address": "10.0.7.7"}]}
        answer = await api.alice.post(path, {"interfaceAttachment": asked}, v="2.70")
        assert answer.status_code == 200, answer.text
        told = answer.json()["interfaceAttachment"]
        assert [each["ip_address"] for each in told["fixed_ips"]] == ["10.0.7.7"]
        assert len((await api.alice.get(path)).json()["interfaceAttachments"]) == 2
        chosen = (await api.alice.post(path)).json()["interfaceAttachment"]
        assert chosen["net_id"] == api.small.network_id
        gone = await api.alice.delete(f"{path}/{told['port_id']}")
        assert (gone.status_code, gone.content) == (202, b"")
        await api.small.idle()
        assert len((await api.alice.get(path)).json()["interfaceAttachments"]) == 2
        for told, status in (
            ({"net_id": api.small.network_id, "port_id": UUID}, 400),
            ({"fixed_ips": [{"ip_address": "10.0.0.9"}]}, 400),
            ({"net_id": None}, 400),
            ({"net_id": "x"}, 400),
            ({"port_id": UUID}, 404),
            ({"net_id": UUID}, 404),
            ({"tag": "nic"}, 400),
        ):
            assert (await api.alice.post(path, {"interfaceAttachment": told})).status_code == status, told
        assert (await api.alice.delete(f"{path}/{UUID}")).status_code == 404
        assert (await api.reader.post(path)).status_code == 403

    with_api(main)


def test_a_port_is_tagged_when_a_server_is_made_or_gets_it():
    async def main(api: Api) -> None:
        net = api.small.network_id
        taken = {"2.31": False, "2.32": True, "2.36": True, "2.37": False, "2.41": False, "2.42": True, "2.104": True}
        for v, known in taken.items():
            body = api.wish(v=v, networks=[{"uuid": net, "tag": "front"}])
            answer = await api.alice.post("/servers", body, v=v)
            assert answer.status_code == (202 if known else 400), (v, answer.text)
        server = answer.json()["server"]["id"]
        await api.small.idle()
        path = f"/servers/{server}/os-interface"
        for v, told, status in (
            ("2.48", {"net_id": net, "tag": "back"}, 400),
            ("2.49", {"net_id": net, "tag": "back"}, 200),
            ("2.49", {"net_id": net, "tag": None}, 400),
            ("2.70", {"net_id": net, "tag": "a/b"}, 400),
            ("2.70", {"net_id": net, "tag": "x" * 61}, 400),
        ):
            answer = await api.alice.post(path, {"interfaceAttachment": told}, v=v)
            assert answer.status_code == status, (v, told)
        answer = await api.alice.post(path, {"interfaceAttachment": {"net_id": net, "tag": "side"}}, v="2.70")
        last = answer.json()["interfaceAttachment"]
        assert last["tag"] == "side"
        listed = (await api.alice.get(path, v="2.70")).json()["interfaceAttachments"]
        assert sorted(each["tag"] for each in listed) == ["back", "front", "side"]
        assert (await api.alice.get(f"{path}/{last['port_id']}", v="2.70")).json()["interfaceAttachment"] == last
        assert all("tag" not in each for each in (await api.alice.get(path, v="2.69")).json()["interfaceAttachments"])

    with_api(main)


def test_a_security_group_comes_and_goes():
    async def main(api: Api) -> None:
        server = await api.boot()
        api.small.network.groups.create([{"project_id": OWNER.project_id, "name": "web"}])
        assert (await api.alice.act(server, "addSecurityGroup", {"name": "web"})).status_code == 202
        assert (await api.shown(server))["security_groups"] == [{"name": "default"}, {"name": "web"}]
        assert (await api.alice.act(server, "removeSecurityGroup", {"name": "web"})).status_code == 202
        assert (await api.alice.act(server, "removeSecurityGroup", {"name": "web"})).status_code == 404
        assert (await api.alice.act(server, "addSecurityGroup", {"name": "none"})).status_code == 404
        for value in ({}, {"name": ""}, None, {"name": "web", "more": 1}):
            assert (await api.alice.act(server, "addSecurityGroup", value)).status_code == 400, value

    with_api(main)


# ---------------------------------------------------------------- consoles


def test_what_a_server_says_and_how_it_is():
    async def main(api: Api) -> None:
        server = await api.boot()
        answer = await api.alice.act(server, "os-getConsoleOutput", {"length": 1})
        assert answer.status_code == 200, answer.text
        whole = (await api.alice.act(server, "os-getConsoleOutput", {})).json()["output"]
        assert answer.json()["output"] in whole
        assert (await api.alice.act(server, "os-getConsoleOutput", {"length": "-1"})).json()["output"] == whole
        for value in ({"length": -2}, {"length": "x"}, {"more": 1}, None):
            assert (await api.alice.act(server, "os-getConsoleOutput", value)).status_code == 400, value
        assert (await api.alice.get(f"/servers/{server}/diagnostics")).status_code == 403
        told = (await api.admin.get(f"/servers/{server}/diagnostics", v="2.48")).json()
        assert (told["state"], told["num_cpus"], told["num_nics"]) == ("running", 1, 1)
        assert told["memory_details"]["maximum"] == 512
        old = (await api.admin.get(f"/servers/{server}/diagnostics")).json()
        assert old["memory"] == 512 * 1024

    with_api(main)


def test_a_password_is_set_in_the_guest_and_a_crash_is_refused():
    async def main(api: Api) -> None:
        server = await api.boot()
        answer = await api.alice.act(server, "changePassword", {"adminPass": "canary"})
        assert (answer.status_code, answer.content) == (202, b""), answer.text
        assert (await api.alice.act(server, "changePassword", {})).status_code == 400
        assert (await api.alice.act(server, "trigger_crash_dump")).status_code == 404
        assert (await api.alice.act(server, "trigger_crash_dump", v="2.17")).status_code == 400

    with_api(main)
