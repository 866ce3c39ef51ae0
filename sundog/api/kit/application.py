"""The application: all services on one port, each under its prefix."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import compile_path

from sundog.api.kit.faults import plain
from sundog.api.kit.meter import Measured, Meter
from sundog.api.kit.openapi import described
from sundog.api.kit.routing import Table
from sundog.api.kit.service import Desk, Service
from sundog.api.kit.versions import Version
from sundog.errors import SundogError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_SLASHES: Final = re.compile("//+")


def application(services: Sequence[Service], desk: Desk, *, version: str = "") -> FastAPI:
    """The ASGI application of these services. Its OpenAPI is made from their tables, at ``/openapi.json``.

    ``app.state.meter`` measures its requests.
    """
    app = FastAPI(
        title="Sundog", version=version, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    app.router.routes.append(Table(route for service in services for route in service.routes(desk)))

    for service in services:
        app.router.routes.extend(service.socket_routes(desk))

    async def openapi(_request: Request) -> Response:
        return JSONResponse(described(services, version))

    async def unrouted(request: Request, exc: Exception) -> Response:
        """No such path or method: the service's own fault, where it is under the prefix of one."""
        status = exc.status_code if isinstance(exc, HTTPException) else 500
        path = request.url.path
        service = next((s for s in services if path == s.prefix or path.startswith(s.prefix + "/")), None)
        roots = {"/", *(service.prefix for service in services)}
        if status == 405 and path not in roots and request.scope.get("raw_path", b"").endswith(b"/"):
            status = 404  # what was meant is one of these, by an id that is empty
        message = (
            "The resource could not be found."
            if status == 404
            else f"The method {request.method} is not allowed for this resource."
        )
        if service is None:
            return JSONResponse(plain(status, message), status)
        request_id, version = desk.request_id(), _version(service, request)
        refusal = service.refusal(status, message, request_id=request_id, version=version)
        response = service.finished(refusal, request_id, version)
        if status == 405:
            response.headers["allow"] = ", ".join(_methods(service, path))
        return response

    app.add_route("/openapi.json", openapi, include_in_schema=False)
    app.add_exception_handler(HTTPException, unrouted)
    app.state.meter = Meter((service.name, service.prefix) for service in services)
    app.add_middleware(Measured, meter=app.state.meter)
    app.add_middleware(OneSlash)
    return app


def _version(service: Service, request: Request) -> Version | None:
    """The version that a request asks for, if it is one of the service's."""
    try:
        return None if service.history is None else service.history.asked(request.headers)
    except SundogError:
        return None


def _methods(service: Service, path: str) -> list[str]:
    """The methods that a path of the service takes."""
    every = [each for each in service.operations if compile_path(service.prefix + each.path or "/")[0].match(path)]
    return sorted({each.method for each in every})


class OneSlash:
    """Takes ``/v3/``, ``//v3`` and ``/v3`` for the same, without a redirect: OpenStack's clients send all three."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            path = _SLASHES.sub("/", scope["path"])
            scope = {**scope, "path": path.rstrip("/") or "/"}
        await self._app(scope, receive, send)
