"""The tree of routes finds what trying one route after the other finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Match, Route

from sundog.api.kit.routing import Routed, Table
from sundog.app import SERVICES


async def _endpoint(_request):
    """Stand for a route; made anew for each, to be told apart."""


def _routes(declared):
    return [Routed(method, path, lambda _request, at=(method, path): at) for method, path in declared]


def _tried(routed):
    """The same as Starlette's own, each with the endpoint that it stands for."""
    tried = []
    for method, path, endpoint in routed:
        route = Route(path, _endpoint)
        route.methods = {method}
        tried.append((route, endpoint))
    return tried


def _by_trying(routes, scope):
    """What Starlette finds, but that a GET is no HEAD."""
    best = Match.NONE, {}
    for route, endpoint in routes:
        match, child = route.matches(scope)
        if match is Match.FULL:
            return match, {"endpoint": endpoint, "path_params": child["path_params"]}
        if match is Match.PARTIAL:
            best = match, {}
    return best


OURS = _routes({(each.method, s.prefix + each.path or "/"): None for s in SERVICES for each in s.operations})
PARTS = sorted({part for route in OURS for part in route.path.split("/")} | {"", "1", "a b", "é", "x:y", "{id}", "\n"})
TABLE, TRIED = Table(OURS), _tried(OURS)
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def _scope(method, path):
    return {"type": "http", "method": method, "path": path}


@pytest.mark.parametrize("route", OURS, ids=lambda each: f"{each.method} {each.path}")
def test_every_operation_is_found_at_its_own_path(route):
    path = "/".join("some" if part.startswith("{") else part for part in route.path.split("/"))
    for method in METHODS:
        assert TABLE.matches(_scope(method, path)) == _by_trying(TRIED, _scope(method, path))
    match, child = TABLE.matches(_scope(route.method, path))
    assert match is Match.FULL
    assert child["endpoint"](None)[0] == route.method


ODD = _routes(
    [
        ("GET", "/{any}/b"), ("GET", "/a/{any}"), ("PUT", "/a/b"), ("GET", "/a/b"), ("GET", "/{rest:path}"),
        ("GET", "/a/{whole:int}"), ("POST", "/a/x-{some}.json"), ("GET", "/"), ("DELETE", "/a/{rest:path}/b"),
    ]
)  # fmt: skip


@given(
    st.sampled_from(METHODS), st.lists(st.sampled_from(["", "a", "b", "7", "x-1.json", "a b", "\n"]), max_size=4)
)  # fmt: skip
def test_among_routes_that_overlap_the_first_declared_is_found(method, parts):
    scope = _scope(method, "/" + "/".join(parts))
    assert Table(ODD).matches(scope) == _by_trying(_tried(ODD), scope)


@given(st.sampled_from(METHODS), st.lists(st.sampled_from(PARTS), max_size=7))
def test_whatever_is_asked_is_found_as_by_trying_all(method, parts):
    scope = _scope(method, "/" + "/".join(parts))
    assert TABLE.matches(scope) == _by_trying(TRIED, scope)


def test_what_is_no_request_is_not_for_the_table():
    assert TABLE.matches({"type": "websocket", "path": "/identity/v3"})[0] is Match.NONE
