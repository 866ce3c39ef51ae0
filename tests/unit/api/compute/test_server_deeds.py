"""What is done with servers that stay where they are: new disks, and images of them."""

from __future__ import annotations

import pytest

from sundog.errors import NotFound
from tests.computing import ADMIN
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
