"""A cloud of identity alone, in the same process, with an administrator."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from sundog.api.identity import SERVICE
from sundog.api.kit.application import application
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import Desk
from sundog.control.identity import CatalogueItem, Identity, Settings, bootstrap
from sundog.control.store import open_store
from sundog.runtime.ids import Ids
from sundog.runtime.seeds import Streams
from tests.unit.api.client import Client

CHEAP = Settings(argon2_memory_kib=8, argon2_passes=1)
PASSWORD = "canary-of-admin"
ITEMS = [
    CatalogueItem("identity", "keystone", "/identity"),
    CatalogueItem("compute", "nova", "/compute/v2.1"),
    CatalogueItem("object-store", "swift", "/v1/AUTH_$(project_id)s"),
]


class Cloud:
    """Its application, and clients of it."""

    def __init__(self, place: str = ":memory:") -> None:
        store = open_store(place)
        store.migrate()
        self.store = store
        self.identity = Identity(store, Ids(Streams(1).stream("ids")), CHEAP)

        async def boot():
            return bootstrap(self.identity, PASSWORD, address="http://cloud.test", catalogue=ITEMS)

        self.ids = asyncio.run(boot())
        numbers = iter(range(1, 1_000_000))
        desk = Desk(
            SimpleNamespace(identity=self.identity),
            Policy(SERVICE.rules),
            self.identity.authenticate,
            lambda: f"req-{next(numbers)}",
        )
        self.app = application([SERVICE], desk)
        self.anybody = Client(self.app)
        self._admin: Client | None = None

    @property
    def admin(self) -> Client:
        """The administrator, with a token for the project admin."""
        if self._admin is None:
            self._admin = self.as_user("admin", PASSWORD, project={"name": "admin", "domain": {"id": "default"}})
        return self._admin

    def login(self, name: str, password: str, within: str = "default", **scope: Any) -> Any:
        """The answer to a login with a password. ``scope`` is one of project, domain, system."""
        auth: dict[str, Any] = {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": name, "domain": {"id": within}, "password": password}},
            }
        }
        if scope:
            auth["scope"] = scope
        return self.anybody.post("/identity/v3/auth/tokens", json={"auth": auth})

    def as_user(self, name: str, password: str, within: str = "default", **scope: Any) -> Client:
        """A client with a token of its own."""
        answer = self.login(name, password, within, **scope)
        assert answer.status_code == 201, answer.text
        return Client(self.app, x_auth_token=answer.headers["x-subject-token"])

    def make(self, path: str, kind: str, **values: Any) -> dict[str, Any]:
        """A new thing, as the administrator makes it."""
        answer = self.admin.post(f"/identity/v3/{path}", json={kind: values})
        assert answer.status_code == 201, answer.text
        return answer.json()[kind]

    def role_id(self, name: str) -> str:
        return self.ids.role_ids[name]

    def grant(self, user_id: str, role: str, target: str) -> None:
        """Give a role on a target such as ``projects/ID`` or ``system``."""
        path = f"/identity/v3/{target}/users/{user_id}/roles/{self.role_id(role)}"
        assert self.admin.put(path).status_code == 204

    def persona(self, name: str, role: str, target: str, domain: str = "default") -> Client:
        """A new user with a role on a target, and a token for it."""
        user = self.make("users", "user", name=name, password=f"canary-of-{name}", domain_id=domain)
        self.grant(user["id"], role, target)
        kind, _, identifier = target.partition("/")
        scope = {"system": {"all": True}} if kind == "system" else {kind[:-1]: {"id": identifier}}
        return self.as_user(name, f"canary-of-{name}", domain, **scope)
