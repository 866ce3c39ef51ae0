"""OpenAPI from the tables of operations, so that it cannot say anything else than what is served."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from sundog.api.kit.service import NO_TOKEN, Operation, Service

_REFERENCE: Final = "#/components/schemas/{model}"


def described(services: Sequence[Service], version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these services. Of several operations on one path and method it has the newest."""
    operations = [(service, each) for service in services for each in service.operations]
    models = [(model, "validation") for _, each in operations for model in (each.body,) if model is not None]
    names, components = models_json_schema(list(dict.fromkeys(models)), ref_template=_REFERENCE)  # type: ignore[arg-type]
    paths: dict[str, dict[str, Any]] = {}
    for service, each in operations:
        path = re.sub(r"{(\w+):\w+}", r"{\1}", service.prefix + each.path) or "/"
        body = names[(each.body, "validation")] if each.body is not None else None
        paths.setdefault(path, {})[each.method.lower()] = _operation(service, each, body)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sundog", "version": version or "0"},
        "paths": paths,
        "components": {
            "schemas": components.get("$defs", {}),
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }


def _operation(service: Service, operation: Operation, body: Any) -> dict[str, Any]:
    doc = inspect.getdoc(operation.handler) or ""
    described: dict[str, Any] = {
        "tags": [service.name],
        "operationId": f"{service.name}_{operation.handler.__name__}",
        "summary": doc.partition("\n")[0],
        "responses": {str(operation.status): {"description": "Success"}, "default": {"description": "A fault"}},
        "parameters": _parameters(operation),
    }
    if body is not None:
        described["requestBody"] = {"content": {"application/json": {"schema": body}}, "required": True}
    if operation.rule is not NO_TOKEN:
        described["security"] = [{"token": []}]
        described["x-openstack-policy"] = operation.rule.name
    if operation.since is not None:
        described["x-openstack-min-ver"] = str(operation.since)
    if operation.until is not None:
        described["x-openstack-max-ver"] = str(operation.until)
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)(?::\w+)?}", operation.path)
    ]
    if operation.query is None:
        return path
    schema = operation.query.model_json_schema()
    required = schema.get("required", [])
    told = [
        {"name": name, "in": "query", "required": name in required, "schema": each}
        for name, each in schema.get("properties", {}).items()
    ]
    return [*path, *told]
