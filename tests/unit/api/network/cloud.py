"""A cloud of networks alone, in the same process, with a public network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

from sundog.api.kit.application import application
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import Desk
from sundog.api.network import SERVICE
from sundog.control.network import Network, bootstrap
from sundog.control.principal import Principal
from sundog.control.store import open_store
from sundog.errors import Unauthorized
from sundog.runtime.ids import Ids
from sundog.runtime.seeds import Streams
from tests.unit.api.client import Client

MEMBER = ("member", "reader")
BEARERS = {
    "alice": Principal("u1", project_id="project-a", roles=MEMBER),
    "reader": Principal("u2", project_id="project-a", roles=("reader",)),
    "manager": Principal("u3", project_id="project-a", roles=("manager", *MEMBER)),
    "bob": Principal("u4", project_id="project-b", roles=MEMBER),
    "admin": Principal("u5", project_id="project-admin", roles=("admin", "manager", *MEMBER)),
    "nova": Principal("u6", project_id="project-service", roles=("service",)),
    "nobody": Principal("u7"),
}


def authenticate(token: str) -> Principal:
    if token not in BEARERS:
        raise Unauthorized("The request you have made requires authentication.")
    return BEARERS[token]


def ticking():
    """A clock that goes on a second with each look at it."""
    seconds = count()
    return lambda: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=next(seconds))


class Cloud:
    """Its application, and clients of it."""

    def __init__(self, place: str = ":memory:") -> None:
        self.store = open_store(place)
        self.store.migrate()
        self.network = Network(self.store, Ids(Streams(1).stream("ids")), ticking())
        self.public = bootstrap(self.network, "project-admin")
        numbers = iter(range(1, 1_000_000))
        desk = Desk(
            SimpleNamespace(network=self.network), Policy(SERVICE.rules), authenticate, lambda: f"req-{next(numbers)}"
        )
        self.app = application([SERVICE], desk)
        self.anybody = Client(self.app)
        self.alice, self.reader, self.manager, self.bob, self.admin, self.nova, self.nobody = (
            Client(self.app, x_auth_token=token) for token in BEARERS
        )

    def make(self, who: Client, path: str, /, **values: Any) -> dict[str, Any]:
        """A new thing, made by ``who``: ``path`` is the collection's, as it is in the address."""
        one = path.replace("-", "_")[:-1]
        answer = who.post(f"/network/v2.0/{path}", json={one: values})
        assert answer.status_code == 201, answer.text
        return answer.json()[one]

    def wired(self, who: Client, cidr: str = "10.0.0.0/24", **values: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """A new network with a subnet."""
        network = self.make(who, "networks")
        return network, self.make(who, "subnets", network_id=network["id"], cidr=cidr, **values)


def refused(answer: Any, status: int, kind: str | None = None) -> str:
    """The message of a refusal, which is of this status and type."""
    assert answer.status_code == status, answer.text
    error = answer.json()["NeutronError"]
    assert set(error) == {"type", "message", "detail"}
    assert kind is None or error["type"] == kind
    return error["message"]
