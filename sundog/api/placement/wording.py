"""What Placement says when something is wrong: the shape of its faults, and JSON Schema's words for bad values.

OpenStack's Placement checks by JSON Schema and sends what that says on to its clients, who look for parts of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sundog.api.kit.context import Context
from sundog.api.kit.service import Failure, Operation
from sundog.api.kit.versions import Version
from sundog.errors import Invalid, NotAcceptable, Unsupported

_CODES_SINCE: Final = Version(1, 23)
_UNDEFINED: Final = "placement.undefined_code"
_JSON: Final = "application/json"


def fault(failure: Failure) -> Mapping[str, Any]:
    """``{"errors": [...]}``, with a code that never changes from 1.23 on."""
    facts = {} if failure.error is None else failure.error.facts
    told: dict[str, Any] = {
        "status": failure.status,
        "title": HTTPStatus(failure.status).phrase,
        "detail": failure.message,
        "request_id": failure.request_id,
    }
    if failure.version is not None and failure.version >= _CODES_SINCE:
        told["code"] = facts.get("code", _UNDEFINED)
    if isinstance(failure.error, NotAcceptable) and "maximum" in facts:
        told |= {"max_version": facts["maximum"], "min_version": facts["minimum"]}
    return {"errors": [told]}


def admit(ctx: Context, operation: Operation) -> None:
    """Raises: Invalid, Unsupported or NotAcceptable for a media type that is not Placement's; NotFound for no provider.

    Placement looks for the provider of a path before it looks into the body.
    """
    headers, path = ctx.request.headers, ctx.request.path_params
    kind, length = headers.get("content-type", "").partition(";")[0].strip().lower(), headers.get("content-length")
    if not kind and length not in (None, "0"):
        raise Invalid("content-type header required when content-length > 0")
    if operation.body is not None and kind != _JSON:
        raise Unsupported(f"The media type {kind or None} is not supported, use {_JSON}", media_type=kind)
    if operation.method == "GET" and operation.path and not _accepts_json(headers.get("accept", "")):
        raise NotAcceptable(f"Only {_JSON} is provided")
    if operation.method in ("GET", "POST", "PUT") and "uuid" in path:
        ctx.cloud.placement.provider(path["uuid"])
    if operation.body is not None and length in (None, "0") and "transfer-encoding" not in headers:
        raise Invalid("Malformed JSON: there is no body")


def _accepts_json(accept: str) -> bool:
    ranges = [each.partition(";") for each in accept.split(",") if each.strip()]
    wanted = [kind.strip().lower() for kind, _, rest in ranges if rest.replace(" ", "") not in ("q=0", "q=0.0")]
    return not ranges or any(kind in (_JSON, "application/*", "*/*") for kind in wanted)


def invalid(part: str, error: ValidationError | None) -> str:
    """What is wrong with a body or a query; with the values, as none of Placement's is a secret."""
    if error is None:
        return "Malformed JSON: the body cannot be read"
    first = error.errors(include_url=False)[0]
    intro = "JSON does not validate" if part == "body" else "Invalid query string parameters"
    return f"{intro}: {_said(first)}"


def checked(model: type[BaseModel], value: Any) -> None:
    """Raises: Invalid for a value, not sent in a body, that is to be as in one."""
    try:
        model.model_validate(value)
    except ValidationError as exc:
        raise Invalid(invalid("body", exc)) from None


def _said(error: ErrorDetails) -> str:
    kind, value, facts = error["type"], error["input"], error.get("ctx", {})
    where = "".join(f"['properties']['{part}']" for part in error["loc"][:-1] if isinstance(part, str))
    own = where + f"['properties']['{error['loc'][-1]}']" if error["loc"] else where
    match kind:
        case "missing":
            return _put(f"'{error['loc'][-1]}' is a required property", "required", where)
        case "extra_forbidden":
            return _put(_unexpected([str(error["loc"][-1])]), "additionalProperties", where)
        case "greater_than_equal":
            return _put(f"{value} is less than the minimum of {facts['ge']}", "minimum", own)
        case "less_than_equal":
            return _put(f"{value} is greater than the maximum of {facts['le']}", "maximum", own)
        case "string_too_long":
            return _put(f"{value!r} is too long", "maxLength", own)
        case "string_too_short":
            return _put(f"{value!r} should be non-empty", "minLength", own)
        case "too_short":
            return _put(
                f"{value!r} should be non-empty", "minItems" if isinstance(value, list) else "minProperties", own
            )
        case "string_pattern_mismatch" if error["loc"] and error["loc"][-1] == "[key]":
            return _put(
                f"{value!r} does not match any of the regexes: '{facts['pattern']}'", "additionalProperties", where
            )
        case "string_pattern_mismatch":
            return _put(f"{value!r} does not match '{facts['pattern']}'", "pattern", own)
        case "not_a_uuid":
            return _put(f"{value!r} is not a 'uuid'", "format", own)
        case "not_unique":
            return _put(f"{value!r} has non-unique elements", "uniqueItems", own)
    if kind.endswith("_type") or kind in _TYPES:
        return _put(f"{value!r} is not of type '{_TYPES.get(kind, 'object')}'", "type", own)
    return _put(f"{value!r}: {error['msg']}", kind, own)


_TYPES: Final = {
    "string_type": "string",
    "int_type": "integer",
    "int_from_float": "integer",
    "float_type": "number",
    "list_type": "array",
}


def _put(message: str, keyword: str, where: str) -> str:
    return f"{message}\n\nFailed validating '{keyword}' in schema{where}"


def _unexpected(keys: Sequence[str]) -> str:
    names = ", ".join(repr(key) for key in keys)
    return f"Additional properties are not allowed ({names} {'was' if len(keys) == 1 else 'were'} unexpected)"


def unexpected_keys(keys: Sequence[str], patterns: str = "") -> Invalid:
    """A query string with keys that mean nothing here."""
    if patterns:
        names = ", ".join(repr(key) for key in keys)
        message = f"{names} {'does' if len(keys) == 1 else 'do'} not match any of the regexes: {patterns}"
    else:
        message = _unexpected(keys)
    return Invalid(f"Invalid query string parameters: {message}")
