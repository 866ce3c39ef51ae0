"""OpenAPI from the tables of operations, so that it cannot say anything else than what is served."""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections import Counter
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sundog.api.kit.service import NO_TOKEN, Operation, Service

_REFERENCE: Final = "#/components/schemas/{model}"
_PART: Final = re.compile(r"{(\w+)(?::\w+)?}")
_NO_BODY: Final = (204, 205, 304)
_FORMATS: Final = {"uuid": "uuid", "consumer_uuid": "uuid"}
"""Parts of paths that are more than any text. Most ids are not: one that is no UUID is answered 404, not 400."""

Row = tuple[Service, Operation]


def described(services: Sequence[Service], version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these services.

    Of several operations on one path and method it has the newest; but all actions, of which each has its own body.
    """
    newest = {
        (_path(service, each), each.method, each.action): (service, each)
        for service in services
        for each in service.operations
    }
    routes: dict[tuple[str, str], list[Row]] = {}
    for (path, method, _), row in newest.items():
        routes.setdefault((path, method), []).append(row)
    told = [each for _, row in newest.items() for each in (row[1].query, row[1].body) if each is not None]
    models = [(model, "validation") for model in dict.fromkeys(told)]
    names, components = models_json_schema(models, ref_template=_REFERENCE)  # type: ignore[arg-type]
    schemas = components.get("$defs", {})
    references = {model: names[(model, "validation")] for model, _ in models}
    ids = _ids({route: rows[0] for route, rows in routes.items()})
    paths: dict[str, dict[str, Any]] = {}
    for (path, method), rows in routes.items():
        about = _operation(*rows[0], references, schemas)
        if rows[0][1].action is not None:
            about = _actions(about, rows, references)
        paths.setdefault(path, {})[method.lower()] = {"operationId": ids[path, method], **about}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sundog", "version": version or "0"},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }


def _path(service: Service, operation: Operation) -> str:
    return _PART.sub(r"{\1}", service.prefix + operation.path) or "/"


def _ids(newest: Mapping[tuple[str, str], Row]) -> dict[tuple[str, str], str]:
    """An id for each path and method: the handler's name, with the method and the path where one handler has many."""
    names = {key: f"{service.name}_{each.handler.__name__}" for key, (service, each) in newest.items()}
    times = Counter(names.values())
    return {
        key: name if times[name] == 1 else "_".join([name, key[1].lower(), *re.findall(r"\w+", key[0])])
        for key, name in names.items()
    }


def _operation(
    service: Service, operation: Operation, references: Mapping[type[BaseModel], Any], schemas: Mapping[str, Any]
) -> dict[str, Any]:
    doc = inspect.getdoc(operation.handler) or ""
    described: dict[str, Any] = {
        "tags": [service.name],
        "summary": doc.partition("\n")[0],
        "responses": _responses(service, operation),
        "parameters": _parameters(operation, references, schemas),
    }
    content = dict(operation.media)
    if operation.body is not None:
        content["application/json"] = references[operation.body]
    if content:
        taken = {media: {"schema": schema} for media, schema in content.items()}
        described["requestBody"] = {"content": taken, "required": True}
    if operation.rule is not NO_TOKEN:
        described["security"] = [{"token": []}]
        described["x-openstack-policy"] = operation.rule.name
    if operation.since is not None:
        described["x-openstack-min-ver"] = str(operation.since)
    if operation.until is not None:
        described["x-openstack-max-ver"] = str(operation.until)
    return described


def _actions(about: dict[str, Any], rows: Sequence[Row], references: Mapping[type[BaseModel], Any]) -> dict[str, Any]:
    """All actions of a path as one operation; ``about`` is the first of them."""
    bodies = [
        {"title": each.action, **(references[each.body] if each.body is not None else _bare(each.action))}
        for _, each in rows
    ]
    responses = {status: told for row in rows for status, told in _responses(*row).items()}
    for status in (400, 415):
        responses.setdefault(str(status), {"description": HTTPStatus(status).phrase})
    shared = {name: value for name, value in about.items() if not name.startswith("x-openstack-")}
    return shared | {
        "summary": "Do what the only key of the body says",
        "requestBody": {"content": {"application/json": {"schema": {"oneOf": bodies}}}, "required": True},
        "responses": responses,
        "x-openstack-policies": {each.action: each.rule.name for _, each in rows},
    }


def _bare(action: str | None) -> dict[str, Any]:
    """The body of an action that looks at nothing but its name."""
    return {"type": "object", "properties": {action: {}}, "required": [action], "additionalProperties": False}


def _parameters(
    operation: Operation, references: Mapping[type[BaseModel], Any], schemas: Mapping[str, Any]
) -> list[dict[str, Any]]:
    parts = _PART.findall(operation.path)
    path = [{"name": name, "in": "path", "required": True, "schema": _part(name)} for name in parts]
    if operation.query is None:
        return path
    schema = schemas[references[operation.query]["$ref"].rpartition("/")[2]]
    required = schema.get("required", [])
    told = [
        {"name": name, "in": "query", "required": name in required, "schema": each}
        for name, each in schema.get("properties", {}).items()
    ]
    return [*path, *told]


def _part(name: str) -> dict[str, Any]:
    """The schema of a part of a path."""
    if name in _FORMATS:
        return {"type": "string", "format": _FORMATS[name]}
    return {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}


def _responses(service: Service, operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {str(operation.status): _success(operation)}
    for status in _refusals(operation):
        fault = json.loads(bytes(service.refusal(status, HTTPStatus(status).phrase).body))
        content = {"application/json": {"schema": {"type": "object"}, "example": fault}}
        told[str(status)] = {"description": HTTPStatus(status).phrase, "headers": _headers(service)}
        if operation.method != "HEAD":
            told[str(status)]["content"] = content
    told["default"] = {"description": "Another fault"}
    told[str(operation.status)]["headers"] = _headers(service)
    return told


def _success(operation: Operation) -> dict[str, Any]:
    returned = typing.get_type_hints(operation.handler).get("return")
    about: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if returned is not type(None) and operation.method != "HEAD" and operation.status not in _NO_BODY:
        about["content"] = {"application/json": {"schema": {}}}
    return about


def _refusals(operation: Operation) -> list[int]:
    """The statuses with which an operation may refuse a request."""
    body = operation.body is not None or bool(operation.media)
    found = [
        (400, body or operation.query is not None),
        (401, operation.rule is not NO_TOKEN),
        (403, operation.rule is not NO_TOKEN),
        (404, bool(_PART.search(operation.path))),
        (409, operation.method not in ("GET", "HEAD")),
        (413, body),
        (415, body),
    ]
    return [status for status, may_be in found if may_be]


def _headers(service: Service) -> dict[str, Any]:
    return {name: {"schema": {"type": "string"}} for name in service.request_id_headers}
