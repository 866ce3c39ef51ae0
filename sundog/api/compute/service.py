"""The service, and how it tells a client what went wrong."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError

from sundog.api.compute.history import HISTORY
from sundog.api.compute.policy import RULES
from sundog.api.kit.policy import OF_PROJECTS
from sundog.api.kit.service import Service
from sundog.errors import SundogError, Unauthorized

_FAULTS: Final = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}
_SECRET: Final = frozenset(("adminPass", "user_data", "password", "public_key"))
"""Fields whose values are in no message."""

_MOST_TOLD: Final = 255


def fault(status: int, message: str, error: SundogError | None) -> dict[str, Any]:
    """Nova's: ``{"itemNotFound": {"code", "message"}}``, the name following from the status."""
    if isinstance(error, Unauthorized):
        return {"error": {"code": status, "title": "Unauthorized", "message": message}}
    return {_FAULTS.get(status, "computeFault"): {"code": status, "message": message}}


def invalid(part: str, error: ValidationError | None) -> str:
    """What is wrong with a body or a query, as Nova says it: the first thing alone."""
    if error is None:
        return "Malformed request body: cannot understand JSON"
    each = error.errors(include_url=False)[0]
    loc, value = each["loc"], each.get("input")
    if each["type"] == "extra_forbidden":
        told = f"Additional properties are not allowed ({str(loc[-1])!r} was unexpected)"
        loc, value = loc[:-1], None
    elif each["type"] == "missing":
        told, loc = f"{str(loc[-1])!r} is a required property", loc[:-1]
    else:
        told = each["msg"].removeprefix("Value error, ")
    if not loc:
        return told
    what = "field/attribute" if part == "body" else "query parameters"
    name = loc[-1] if part == "body" else loc[0]
    secret = bool(_SECRET & {str(x) for x in loc}) or value is None or isinstance(value, dict)
    shown = "" if secret else f" Value: {str(value)[:_MOST_TOLD]}."
    return f"Invalid input for {what} {name}.{shown} {told}"


SERVICE: Final = Service(
    "compute",
    prefix="/compute",
    fault=fault,
    invalid=invalid,
    history=HISTORY,
    request_id_headers=("x-openstack-request-id", "x-compute-request-id"),
    rules=tuple(RULES.values()),
    scopes=OF_PROJECTS,
)
"""The paths begin with ``/v2.1``, and have no project in them, as since 2.18."""
