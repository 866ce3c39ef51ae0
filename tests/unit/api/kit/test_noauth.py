"""Tokens that anybody can make up: on the loopback interface alone. Everywhere else identity headers mean nothing."""

from __future__ import annotations

import pytest

from sundog.api.kit.application import application
from sundog.api.kit.noauth import noauth2
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import Desk
from sundog.errors import InputError
from tests.unit.api.client import Client
from tests.unit.api.kit.sample import Cloud, authenticate, zoo

ADMIN_HEADERS = {"x-roles": "admin", "x-project-id": "b", "openstack-system-scope": "all", "x-user-id": "u4"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost", "", "127.0.0.1.example.org"])
def test_it_is_refused_unless_the_address_is_of_the_loopback_interface(host: str) -> None:
    with pytest.raises(InputError, match="loopback"):
        noauth2(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1"])
def test_a_loopback_address_is_fine(host: str) -> None:
    assert callable(noauth2(host))


@pytest.mark.parametrize(
    ("token", "headers", "told"),
    [
        ("admin", {}, ("admin", "admin", ("admin",), False)),
        ("user", {}, ("user", "user", (), False)),
        ("user:p1", {}, ("user", "p1", (), False)),
        ("user:p1", {"x-project-id": "p2"}, ("user", "p2", (), False)),
        ("user", {"x-roles": "reader, member"}, ("user", "user", ("member", "reader"), False)),
        ("admin", {"x-roles": ""}, ("admin", "admin", (), False)),
        ("user", {"openstack-system-scope": "all", "x-roles": "admin"}, ("user", None, ("admin",), True)),
    ],
)
def test_a_request_is_who_it_says_it_is(token: str, headers: dict[str, str], told: tuple[object, ...]) -> None:
    principal = noauth2("127.0.0.1")(token, headers)
    assert (principal.user_id, principal.project_id, principal.roles, principal.is_system) == told


def test_in_the_ordinary_mode_no_identity_header_is_looked_at() -> None:
    desk = Desk(Cloud(), Policy(zoo.rules), authenticate, lambda: "req-1")
    client = Client(application([zoo], desk))
    assert client.post("/zoo/v2.1/close", headers={"x-auth-token": "reader-a", **ADMIN_HEADERS}).status_code == 404
    made = client.post(
        "/zoo/v2.1/animals", json={"animal": {"name": "a"}}, headers={"x-auth-token": "reader-a", **ADMIN_HEADERS}
    )
    assert made.status_code == 403
    assert client.get("/zoo/v2.1/animals", headers=ADMIN_HEADERS).status_code == 401


def test_in_the_test_mode_the_headers_decide() -> None:
    desk = Desk(Cloud(), Policy(zoo.rules), authenticate, lambda: "req-1", noauth2("127.0.0.1"))
    client = Client(application([zoo], desk))
    body = {"animal": {"name": "a"}}
    assert client.post("/zoo/v2.1/animals", json=body, headers={"x-auth-token": "user"}).status_code == 403
    assert client.post("/zoo/v2.1/animals", json=body, headers={"x-auth-token": "admin"}).status_code == 202
    assert client.get("/zoo/v2.1/animals").status_code == 401
