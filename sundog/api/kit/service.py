"""A service: a table of operations, and one endpoint that does for each of them what all have in common.

A request goes through the same steps everywhere: its token, the version that it asks for, the operation that serves
that version, policy, query and body, the handler, and whatever went wrong as the service's own fault. A handler is
given the :class:`~sundog.api.kit.context.Context` and then, by name, the parts of the path, ``query`` and ``body`` if
it has parameters of these names, whose annotations are their models. It returns what the body of the answer is, None
for an empty one, or a :class:`Reply` where the status or headers depend on the case.

Nova has many operations on one path and method, which the only key of the body tells apart: actions. They are rows of
the table like all others, each with its own rule.
"""

from __future__ import annotations

import copy
import json
import logging
import string
import typing
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote

from pydantic import BaseModel
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketState

from sundog.api.kit import audit, bodies
from sundog.api.kit.context import Context
from sundog.api.kit.faults import status_of
from sundog.api.kit.links import public_base
from sundog.api.kit.policy import Policy, Rule
from sundog.api.kit.routing import Endpoint, Routed
from sundog.api.kit.versions import History, Version, parse_version
from sundog.control.principal import Principal
from sundog.errors import Invalid, InvariantError, NotFound, SundogError, Unauthorized
from sundog.runtime import clock

_LOG: Final = logging.getLogger("sundog.api")

Handler = Callable[..., Awaitable[Any]]
SocketHandler = Callable[[Any, WebSocket], Awaitable[None]]
"""``(control plane, socket)``: serves one WebSocket. What it raises before it has accepted refuses it, with 403."""

Fault = Callable[[int, str, SundogError | None], Mapping[str, Any]]
"""``(status, message, error) -> body``: how a service tells a client what went wrong."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong with a request, for a service whose faults tell more than a status and a message."""

    status: int
    message: str
    error: SundogError | None
    request_id: str
    version: Version | None


_PRINTABLE: Final = string.punctuation + " "
"""What stays as it is in the value of a header, beside letters and digits. A name that a client chose may be in an
address, and the end of a line in it would begin another header."""

_POLICY: Final = 1008
_OURS: Final = 1011
"""Codes that end a WebSocket (RFC 6455, 7.4.1): the client may not, and we erred."""

_ERRED: Final = "The server has either erred or is incapable of performing the requested operation."

NO_TOKEN: Final = Rule("", "@", "Needs no token")
"""The rule of an operation that anybody may call, discovery for one."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose status or headers a handler chooses. ``body`` is made JSON, unless it is bytes or None."""

    body: Any = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of a service's table. ``own`` says that its rule is about the caller's own project, see ``operation``.

    ``action`` is the only key that the body may have, where that tells operations on one path apart. A query or body
    that has a model is checked, but given to the handler only if that ``takes`` it.
    """

    method: str
    path: str
    rule: Rule
    handler: Handler
    status: int
    since: Version | None
    until: Version | None
    own: bool
    most_bytes: int
    query: type[BaseModel] | None
    body: type[BaseModel] | None
    media: Mapping[str, Any]
    """For a handler that reads the body itself: the media types that it takes, with the JSON schema of each."""
    action: str | None = None
    takes: frozenset[str] = frozenset(("query", "body"))

    @property
    def mutates(self) -> bool:
        """Whether it may change something."""
        return self.method not in audit.READING

    def serves(self, version: Version | None) -> bool:
        """Whether this is the operation for a version of its path and method."""
        if version is None:
            return True
        return (self.since is None or self.since <= version) and (self.until is None or version <= self.until)


@dataclass(frozen=True, slots=True)
class Desk:
    """What all endpoints share: the control plane, the rules in force, how tokens are checked, and where ids come from.

    ``authenticate`` raises Unauthorized for a token that is not good. ``authenticate_headers`` is for tests alone, see
    ``noauth``: where it is given it is told the request's headers too; otherwise no header but the token is looked at.
    ``audit`` is told of every request that may have changed something.
    """

    cloud: Any
    policy: Policy
    authenticate: Callable[[str], Principal]
    request_id: Callable[[], str]
    authenticate_headers: Callable[[str, Mapping[str, str]], Principal] | None = None
    audit: audit.Audit = audit.unheard


class Service:
    """One OpenStack service.

    ``prefix`` is its path on the common port, ``fault`` the shape of its errors. ``history`` is None for services
    without microversions. Each of ``request_id_headers`` gets the id of the request. ``rules`` are further rules, which
    handlers ask about; ``scopes`` are those of its rules that name none.

    ``fault_of`` instead of ``fault`` is told the id and the version of the request too. ``invalid`` says in the
    service's own words what is wrong with a body or a query. ``admit`` looks at a request that policy lets pass, before
    its query and body are read, and raises what speaks against it, such as a media type that the service does not take.
    """

    def __init__(
        self,
        name: str,
        *,
        prefix: str,
        fault: Fault | None = None,
        fault_of: Callable[[Failure], Mapping[str, Any]] | None = None,
        invalid: bodies.Invalidity = bodies.said,
        admit: Callable[[Context, Operation], None] | None = None,
        history: History | None = None,
        request_id_headers: tuple[str, ...] = ("x-openstack-request-id",),
        rules: tuple[Rule, ...] = (),
        scopes: tuple[str, ...] = (),
    ) -> None:
        if (fault is None) == (fault_of is None):
            raise ValueError(f"service {name} has one of fault and fault_of")
        self.name, self.prefix, self.fault, self.fault_of, self.history = name, prefix, fault, fault_of, history
        self.invalid, self.admit = invalid, admit
        self.request_id_headers = request_id_headers
        self.operations: list[Operation] = []
        self.sockets: list[tuple[str, SocketHandler]] = []
        self._more_rules, self._scopes = rules, scopes

    @property
    def rules(self) -> list[Rule]:
        """All rules of the service, each once: those that its handlers ask about, and those of its operations."""
        named = {rule.name: rule for rule in self._more_rules}
        named |= {each.rule.name: each.rule for each in self.operations if each.rule is not NO_TOKEN}
        return [replace(rule, scopes=rule.scopes or self._scopes) for rule in named.values()]

    def at(self, prefix: str) -> Service:
        """The same service under another path; the empty one puts it at the root."""
        moved = copy.copy(self)
        moved.prefix = prefix
        return moved

    def operation(
        self,
        method: str,
        path: str,
        rule: Rule,
        *,
        status: int = 200,
        since: str | None = None,
        until: str | None = None,
        own: bool = True,
        most_bytes: int = bodies.MOST_BYTES,
        media: Mapping[str, Any] | None = None,
        action: str | None = None,
        body: type[BaseModel] | None = None,
        query: type[BaseModel] | None = None,
    ) -> Callable[[Handler], Handler]:
        """Declare the function below as the handler of a method and path, for a range of versions.

        Of operations with overlapping ranges the one declared last serves. With ``own`` the rule is checked for the
        caller's own project before anything else is looked at; without, the handler asks (``ctx.require``) when it
        knows what the request is about, and an answer for which nothing was asked is never sent. ``media`` tells
        readers of OpenAPI what a handler takes that reads the body itself: media types, with the JSON schema of each.

        ``action`` is the key of the body by which operations on the same path are told apart. ``body`` and ``query``
        are models to take instead of those in the handler's annotations, for a handler of several versions; what they
        are for is checked even if the handler does not take it.

        Raises: ValueError for a part of the path that the handler does not take.
        """

        def register(handler: Handler) -> Handler:
            hints = typing.get_type_hints(handler)
            for part in path.split("/"):
                if part.startswith("{") and part.strip("{}").partition(":")[0] not in hints:
                    raise ValueError(f"{method} {path}: its handler takes no {part}")
            first, last = (parse_version(each) if each else None for each in (since, until))
            operation = Operation(
                method=method,
                path=path,
                rule=rule,
                handler=handler,
                status=status,
                since=first,
                until=last,
                own=own,
                most_bytes=most_bytes,
                media=media or {},
                query=query or hints.get("query"),
                body=body or hints.get("body"),
                action=action,
                takes=frozenset(hints),
            )
            self.operations.append(operation)
            return handler

        return register

    def socket(self, path: str) -> Callable[[SocketHandler], SocketHandler]:
        """Declare the function below as what serves WebSockets at a path. It checks by itself who may have one."""

        def register(handler: SocketHandler) -> SocketHandler:
            self.sockets.append((path, handler))
            return handler

        return register

    def routes(self, desk: Desk) -> Iterator[Routed]:
        """The routes of all operations; those of one path and method share an endpoint, which chooses by version."""
        by_route: dict[tuple[str, str], list[Operation]] = {}
        for operation in self.operations:
            by_route.setdefault((operation.method, operation.path), []).append(operation)
        for (method, path), operations in by_route.items():
            yield Routed(method, self.prefix + path or "/", self._endpoint(operations, desk))

    def socket_routes(self, desk: Desk) -> Iterator[WebSocketRoute]:
        """The routes of all WebSockets."""
        for path, handler in self.sockets:
            yield WebSocketRoute(self.prefix + path, _socket_endpoint(handler, desk))

    def _endpoint(self, operations: list[Operation], desk: Desk) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            request_id, version, response = desk.request_id(), None, None
            context: Context | None = None
            try:
                principal = _authenticated(request, operations, desk)
                version = self.history.asked(request.headers) if self.history is not None else None
                data, candidates = None, operations
                if operations[0].action is not None:
                    data = await bodies.read_bytes(request, max(each.most_bytes for each in operations))
                    candidates = _of_action(operations, data)
                operation = next((each for each in reversed(candidates) if each.serves(version)), None)
                if operation is None:
                    raise NotFound("The resource could not be found.")
                root = public_base(request.headers, request.url.scheme)
                context = Context(
                    desk.cloud, request, request_id, root, self.prefix, desk.policy, version, principal
                )  # fmt: skip
                response = await _served(context, operation, self, data)
            except SundogError as exc:
                status = status_of(exc)
                if status >= 500:
                    _LOG.error("%s %s %s", request_id, request.method, _path(request), exc_info=exc)
                message = exc.message if status != 500 else _ERRED
                response = self.refusal(status, message, exc, request_id=request_id, version=version)
            except Exception as exc:  # noqa: BLE001 - the root of a request: nothing of ours may reach the client
                _LOG.error("%s %s %s", request_id, request.method, _path(request), exc_info=exc)
                response = self.refusal(500, _ERRED, request_id=request_id, version=version)
            finally:  # also of a request that is cut short
                if context is not None and operation is not None and operation.mutates:
                    desk.audit(_event(context, operation, self.name, response.status_code if response else None))
            return self.finished(response, request_id, version)

        return endpoint

    def refusal(
        self,
        status: int,
        message: str,
        error: SundogError | None = None,
        *,
        request_id: str = "",
        version: Version | None = None,
    ) -> Response:
        """A fault in the service's own shape."""
        headers = {"WWW-Authenticate": 'Keystone uri="/identity"'} if status == 401 else {}
        if self.fault_of is not None:
            body = self.fault_of(Failure(status, message, error, request_id, version))
        else:
            assert self.fault is not None
            body = self.fault(status, message, error)
        return _response(Reply(body, status, headers), status)

    def finished(self, response: Response, request_id: str, version: Version | None) -> Response:
        """An answer with the headers that every answer has."""
        for header in self.request_id_headers:
            response.headers[header] = request_id
        if self.history is not None and version is not None:
            response.headers.update(self.history.headers(version))
        return response


def _event(context: Context, operation: Operation, service: str, status: int | None) -> audit.Event:
    """What the audit is told of a request."""
    request, action = context.request, f" {operation.action}" if operation.action else ""
    return audit.Event(
        time=clock.utcnow(),
        request_id=context.request_id,
        service=service,
        operation=f"{operation.method} {context.prefix}{operation.path}{action}",
        rule=operation.rule.name,
        who=context.principal or context.notes.who,
        client=request.client.host if request.client else "",
        target=request.path_params,
        made=context.notes.made,
        status=status,
    )


def _path(request: Request) -> str:
    """The path of a request for a log, without the tokens in it."""
    path = request.url.path
    for name, value in request.path_params.items():
        if name.endswith("token") and value:
            path = path.replace(value, "***")
    return path


def _socket_endpoint(handler: SocketHandler, desk: Desk) -> Callable[[WebSocket], Awaitable[None]]:
    async def endpoint(socket: WebSocket) -> None:
        code = _POLICY
        try:
            await handler(desk.cloud, socket)
            return
        except SundogError as exc:
            if status_of(exc) >= 500:
                _LOG.error("websocket %s", socket.url.path, exc_info=exc)
                code = _OURS
        except Exception as exc:  # noqa: BLE001 - the root of a connection
            _LOG.error("websocket %s", socket.url.path, exc_info=exc)
            code = _OURS
        if WebSocketState.DISCONNECTED not in (socket.client_state, socket.application_state):
            await socket.close(code)

    return endpoint


def _authenticated(request: Request, operations: list[Operation], desk: Desk) -> Principal | None:
    """The bearer of the request's token; None only where none is needed.

    Raises: Unauthorized for no token, or one that is not good.
    """
    if operations[-1].rule is NO_TOKEN:
        return None
    token = request.headers.get("x-auth-token")
    if not token:
        raise Unauthorized("The request you have made requires authentication.")
    if desk.authenticate_headers is not None:
        return desk.authenticate_headers(token, request.headers)
    return desk.authenticate(token)


def _of_action(operations: list[Operation], data: bytes) -> list[Operation]:
    """Those that a body asks for by its only key.

    Raises: Invalid for a body that is not JSON, has not one key, or one that stands for nothing; as Nova says it.
    """
    try:
        told = json.loads(data or b"null")
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or len(told) != 1:
        raise Invalid("Malformed request body")
    (action,) = told
    found = [each for each in operations if each.action == action]
    if not found:
        raise Invalid(f"There is no such action: {action}", action=action)
    return found


async def _served(context: Context, operation: Operation, service: Service, data: bytes | None = None) -> Response:
    """Policy, query and body, then the handler. ``data`` is the body where it was read already."""
    request, who = context.request, context.principal
    if who is not None and operation.own:
        # Two that are missing would be equal to a rule: who has no project would own what belongs to none.
        own = {"project_id": who.project_id or "", "user_id": who.user_id, "domain_id": who.domain_id or ""}
        context.require(operation.rule, own)
    if service.admit is not None:
        service.admit(context, operation)
    told: dict[str, Any] = dict(request.path_params)
    parts: dict[str, Any] = {}
    if operation.query is not None:
        parts["query"] = bodies.parse_query(operation.query, request, service.invalid)
    if operation.body is not None:
        if data is None:
            data = await bodies.read_bytes(request, operation.most_bytes)
        content_type = request.headers.get("content-type", "")
        parts["body"] = bodies.parse_body(operation.body, data, content_type, invalid=service.invalid)
    told |= {name: part for name, part in parts.items() if name in operation.takes}
    result = await operation.handler(context, **told)
    if operation.mutates:
        context.notes.made = audit.made_by(result.body if isinstance(result, Reply) else result)
    if who is not None and not context.asked:
        raise InvariantError(f"{operation.method} {operation.path} was answered without asking {operation.rule.name}")
    return _response(result, operation.status)


def _response(result: Any, status: int) -> Response:
    """A handler's result as an answer. One without a body has no content type either, as OpenStack's clients want."""
    if isinstance(result, Response):
        return result
    reply = result if isinstance(result, Reply) else Reply(result)
    status = reply.status or status
    headers = {name: quote(value, safe=_PRINTABLE) for name, value in reply.headers.items()}
    if reply.body is None:
        response = Response(status_code=status, headers=headers)
        response.headers["content-length"] = "0"
        if status == 204:
            del response.headers["content-length"]
        return response
    if isinstance(reply.body, bytes):
        return Response(reply.body, status, headers=headers)
    return Response(_json(reply.body), status, headers=headers, media_type="application/json")


def _json(value: Any) -> bytes:
    try:
        return to_json(value)
    except ValueError:
        # Half a surrogate pair, which JSON can say and UTF-8 cannot, goes back as it came: escaped.
        return json.dumps(value, separators=(",", ":")).encode()
