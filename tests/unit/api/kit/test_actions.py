"""Operations on one path that the only key of the body tells apart."""

from __future__ import annotations

from typing import Any

import pytest

from sundog.api.kit.application import application
from sundog.api.kit.bodies import MOST_BYTES, Body
from sundog.api.kit.context import Context
from sundog.api.kit.openapi import described
from sundog.api.kit.policy import ADMIN, ANYBODY, Policy, Rule
from sundog.api.kit.service import Desk, Service
from sundog.api.kit.versions import History
from tests.unit.api.client import Client
from tests.unit.api.kit.sample import authenticate, fault

FEED, CLOSE = Rule("zoo:feed", ANYBODY, "Feed"), Rule("zoo:close", ADMIN, "Close")
zoo = Service("zoo", prefix="/zoo", fault=fault, history=History({"2.1": "first", "2.2": "names"}, "zoo"))


class Meal(Body):
    hay: int


class Feed(Body):
    feed: Meal


class FeedMore(Body):
    feed: list[Meal]


@zoo.operation("POST", "/animals/{animal}/action", FEED, status=202, action="feed", until="2.1")
async def feed(ctx: Context, animal: str, body: Feed) -> dict[str, Any]:
    """Feed an animal."""
    return {"fed": animal, "hay": body.feed.hay}


@zoo.operation("POST", "/animals/{animal}/action", FEED, status=202, action="feed", since="2.2", body=FeedMore)
async def feed_more(ctx: Context, animal: str) -> dict[str, Any]:
    """Feed an animal several times."""
    return {"fed": animal}


@zoo.operation("POST", "/animals/{animal}/action", FEED, status=204, action="wash", since="2.2")
async def wash(ctx: Context, animal: str) -> None:
    """Wash an animal."""


@zoo.operation("POST", "/animals/{animal}/action", CLOSE, action="sell")
async def sell(ctx: Context, animal: str) -> dict[str, Any]:
    """Sell an animal."""
    return {"sold": animal}


def ask(body: Any = None, *, v: str = "2.1", token: str = "member-a", **options: Any):
    app = application([zoo], Desk(None, Policy(zoo.rules), authenticate, lambda: "req-1"))
    headers = {"openstack-api-version": f"zoo {v}", "x-auth-token": token}
    sent = options or {"json": body}
    return Client(app).post("/zoo/animals/a1/action", headers=headers, **sent)


def test_the_key_of_the_body_says_what_to_do():
    answer = ask({"feed": {"hay": 2}})
    assert (answer.status_code, answer.json()) == (202, {"fed": "a1", "hay": 2})
    assert ask({"wash": None}, v="2.2").status_code == 204


def test_each_action_has_its_own_rule():
    assert ask({"sell": None}).status_code == 403
    assert ask({"sell": None}, token="admin").json() == {"sold": "a1"}


def test_the_body_of_an_action_differs_by_version_and_is_checked_even_if_the_handler_does_not_take_it():
    assert ask({"feed": [{"hay": 1}]}).status_code == 400
    assert ask({"feed": [{"hay": 1}]}, v="2.2").json() == {"fed": "a1"}
    assert ask({"feed": {"hay": 1}}, v="2.2").status_code == 400


def test_an_action_that_a_version_does_not_have_is_404_and_one_that_there_is_not_400():
    assert ask({"wash": None}).status_code == 404
    answer = ask({"paint": None})
    assert (answer.status_code, answer.json()["zooFault"]["message"]) == (400, "There is no such action: paint")


@pytest.mark.parametrize(
    "content", [b"", b"not json", b"[]", b'"feed"', b"{}", b'{"feed": {}, "wash": 1}', b"[" * 9999]
)
def test_a_body_without_exactly_one_key_is_malformed(content):
    answer = ask(content=content)
    assert (answer.status_code, answer.json()["zooFault"]["message"]) == (400, "Malformed request body")


def test_a_body_of_an_action_is_no_longer_than_any_other():
    assert ask(content=b" " * (MOST_BYTES + 1)).status_code == 413


def test_openapi_has_all_actions_of_a_path_in_one_operation():
    operation = described([zoo], "1")["paths"]["/zoo/animals/{animal}/action"]["post"]
    every = operation["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert [each["title"] for each in every] == ["feed", "wash", "sell"]
    assert every[0]["$ref"].endswith("/FeedMore")
    assert every[1]["required"] == ["wash"]
    assert {"202", "204", "200", "403"} <= set(operation["responses"])
    assert operation["x-openstack-policies"]["sell"] == "zoo:close"
