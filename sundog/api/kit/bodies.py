"""Reading what a client sends: bodies and query strings, by a model each, with a limit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect, Request

from sundog.errors import Invalid, TooLarge, Unsupported

Model = TypeVar("Model", bound=BaseModel)

MOST_BYTES: Final = 114_688
"""A JSON body may be so long (OpenStack's own limit, oslo.middleware's ``max_request_body_size``)."""


Invalidity = Callable[[str, ValidationError | None], str]
"""``("body" or "query", what is wrong) -> words``; nothing is given for a body that is not JSON."""


class Body(BaseModel):
    """A request body: keys that are not declared are refused, as OpenStack's schemas do."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Query(BaseModel):
    """A query string: keys that are not declared are ignored, unless a service says otherwise.

    A field of list type takes all values of its key, any other the last one.
    """

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


async def read_bytes(request: Request, most: int = MOST_BYTES) -> bytes:
    """The whole body.

    Raises: TooLarge before more than ``most`` bytes were taken in, whatever the headers say.
    """
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told) > most:
        raise TooLarge(f"Request body size {told} bytes; the limit is {most} bytes", limit=most)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise TooLarge(f"Request body is longer than the limit of {most} bytes", limit=most)
    except ClientDisconnect:
        raise Invalid("the client hung up before the whole body was here") from None
    return bytes(body)


def said(part: str, error: ValidationError | None) -> str:
    """What is wrong with a body or a query, as most services put it."""
    if error is None:
        return "Malformed request body: it is not JSON"
    return "; ".join(_said(each) for each in error.errors(include_input=False, include_url=False))


def parse_body(
    model: type[Model], data: bytes, content_type: str = "application/json", *, invalid: Invalidity = said
) -> Model:
    """A body as its model.

    Raises: Unsupported for a body that is said to be something else than JSON; Invalid with the place and what was
    expected.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if data and kind and kind != "application/json" and not kind.endswith("+json"):
        raise Unsupported(f"The media type {kind} is not supported, use application/json", media_type=kind)
    try:
        value = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        raise Invalid(invalid("body", None)) from None
    return _validated(model, value, "body", invalid)


def parse_query(model: type[Model], request: Request, invalid: Invalidity = said) -> Model:
    """A query string as its model.

    Raises: Invalid with the key and what was expected.
    """
    values: dict[str, Any] = {}
    by_key = {field.alias or name: field for name, field in model.model_fields.items()}
    for key in request.query_params:
        every = request.query_params.getlist(key)
        field = by_key.get(key)
        values[key] = every if field is not None and _is_list(field.annotation) else every[-1]
    return _validated(model, values, "query", invalid)


def _is_list(annotation: Any) -> bool:
    kinds = (annotation, *getattr(annotation, "__args__", ()))
    return any(kind is list or get_origin(kind) in (list, tuple) for kind in kinds)


def _validated(model: type[Model], value: Any, part: str, invalid: Invalidity) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        raise Invalid(invalid(part, exc)) from None


def _said(error: Any) -> str:
    """One error in words. Never the value: it may be a password."""
    where = ".".join(str(part) for part in error["loc"]) or "the body"
    if error["type"] == "extra_forbidden":
        return f"Additional properties are not allowed ({where!r} was unexpected)"
    if error["type"] == "missing":
        return f"{where!r} is a required property"
    return f"Invalid input for field/attribute {where}. {error['msg']}"
