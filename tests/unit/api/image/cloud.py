"""A cloud of images alone, in the same process: two projects, an administrator, and a folder for the data."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sundog.api.image import SERVICE
from sundog.api.kit.application import application
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import Desk
from sundog.control.image import ImageFiles, Images, Settings
from sundog.control.principal import Principal
from sundog.control.store import open_store
from sundog.errors import Unauthorized
from sundog.runtime.ids import Ids
from sundog.runtime.seeds import Streams
from tests.unit.api.client import Client

BEARERS = {
    "alice": Principal("u1", project_id="a", roles=("member", "reader")),
    "reader": Principal("u2", project_id="a", roles=("reader",)),
    "bob": Principal("u3", project_id="b", roles=("member", "reader")),
    "carol": Principal("u4", project_id="c", roles=("member", "reader")),
    "domain": Principal("u6", domain_id="default", roles=("member", "reader")),
    "unscoped": Principal("u7", roles=("member", "reader")),
    "admin": Principal("u5", project_id="x", roles=("admin", "manager", "member", "reader")),
}
DATA = {"content-type": "application/octet-stream"}
PATCH = {"content-type": "application/openstack-images-v2.1-json-patch"}
OLD_PATCH = {"content-type": "application/openstack-images-v2.0-json-patch"}
RAW = {"disk_format": "raw", "container_format": "bare"}


def authenticate(token: str) -> Principal:
    if token not in BEARERS:
        raise Unauthorized("The request you have made requires authentication.")
    return BEARERS[token]


class Cloud:
    """Its application, and clients of it."""

    def __init__(self, folder: Path, settings: Settings | None = None, place: str = ":memory:") -> None:
        self.folder = folder
        self.store = open_store(place)
        self.store.migrate()
        self.ids = Ids(Streams(1).stream("ids"))
        self.images = Images(self.store, self.ids, ImageFiles(folder), settings)
        numbers = iter(range(1, 1_000_000))
        desk = Desk(
            SimpleNamespace(image=self.images), Policy(SERVICE.rules), authenticate, lambda: f"req-{next(numbers)}"
        )
        self.app = application([SERVICE], desk)
        self.anybody = Client(self.app)
        self.alice, self.reader, self.bob, self.carol, self.domain, self.unscoped, self.admin = (
            Client(self.app, x_auth_token=name) for name in BEARERS
        )

    def close(self) -> None:
        self.store.close()

    def files(self) -> dict[str, bytes]:
        """What is on the disk."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }

    def make(self, client: Client | None = None, data: bytes | None = None, **told: Any) -> str:
        """A new image, with data if any are given; its id."""
        client = client or self.alice
        made = client.post("/image/v2/images", json={**RAW, **told})
        assert made.status_code == 201, made.text
        image_id = made.json()["id"]
        if data is not None:
            put = client.put(f"/image/v2/images/{image_id}/file", content=data, headers=DATA)
            assert put.status_code == 204, put.text
        return str(image_id)

    def show(self, image_id: str, client: Client | None = None) -> Any:
        """An image, which must be there."""
        got = (client or self.alice).get(f"/image/v2/images/{image_id}")
        assert got.status_code == 200, got.text
        return got.json()

    def recover(self) -> int:
        async def run() -> int:
            return self.images.recover()

        return asyncio.run(run())


def message(response: Any) -> str:
    return str(response.json()["error"]["message"])
