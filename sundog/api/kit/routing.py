"""From a method and a path to the endpoint that serves them, at the same price for a hundred routes and a thousand.

Starlette and FastAPI try one route after the other, which took longer than all else that a request needs. Here the
parts of a path lead through a tree to the few routes that may be meant; which of them is, and what the parts stand for,
is decided as Starlette does it: by its patterns, the first that was declared before later ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from re import Pattern
from typing import Any, NamedTuple

from starlette.convertors import Convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, compile_path
from starlette.types import Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]


class Routed(NamedTuple):
    """An endpoint, with the method and the path (``/v3/users/{user_id}``) that it serves."""

    method: str
    path: str
    endpoint: Endpoint


class _Route(NamedTuple):
    """One of the table; routes compare by their ``number``, which is the order of their declaration."""

    number: int
    method: str
    pattern: Pattern[str]
    convertors: dict[str, Convertor[Any]]
    endpoint: Endpoint


@dataclass(slots=True)
class _Node:
    """Where a beginning of a path leads: by a part's text, by any part, to its end, or whatever still follows."""

    by_text: dict[str, _Node] = field(default_factory=dict)
    by_any: _Node | None = None
    ends: list[_Route] = field(default_factory=list)
    goes_on: list[_Route] = field(default_factory=list)


class Table(BaseRoute):
    """All routes of an application as one. A path that is served by other methods only is answered with 405."""

    def __init__(self, routes: Iterable[Routed]) -> None:
        self._root = _Node()
        for number, (method, path, endpoint) in enumerate(routes):
            pattern, _, convertors = compile_path(path)
            self._add(path, _Route(number, method, pattern, convertors, endpoint))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether there is a route for a request: as Starlette asks."""
        if scope["type"] != "http":
            return Match.NONE, {}
        path, match = scope["path"], Match.NONE
        for route in sorted(_led_to(self._root, path.split("/"), 0), key=lambda each: each.number):
            found = route.pattern.match(path)
            if found is None:
                continue
            if route.method == scope["method"]:
                params = {name: route.convertors[name].convert(text) for name, text in found.groupdict().items()}
                return Match.FULL, {"endpoint": route.endpoint, "path_params": params}
            match = Match.PARTIAL
        return match, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that :meth:`matches`."""
        endpoint: Endpoint | None = scope.get("endpoint")
        if endpoint is None:
            raise HTTPException(405)
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)

    def _add(self, path: str, route: _Route) -> None:
        node = self._root
        for part in path.split("/"):
            if ":" in part:  # its convertor may take slashes too
                node.goes_on.append(route)
                return
            if "{" in part:
                node.by_any = node.by_any or _Node()
                node = node.by_any
            else:
                node = node.by_text.setdefault(part, _Node())
        node.ends.append(route)


def _led_to(node: _Node, parts: list[str], place: int) -> Iterator[_Route]:
    """The routes that the parts of a path may mean."""
    yield from node.goes_on
    if place == len(parts):
        yield from node.ends
        return
    for child in (node.by_text.get(parts[place]), node.by_any):
        if child is not None:
            yield from _led_to(child, parts, place + 1)
