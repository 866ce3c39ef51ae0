"""The service, and how it tells a client what went wrong."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError

from sundog.api.kit.policy import OF_PROJECTS
from sundog.api.kit.service import Service
from sundog.api.network.policy import RULES
from sundog.errors import Forbidden, QuotaExceeded, SundogError, Unauthorized

_TYPES: Final = {
    400: "HTTPBadRequest",
    403: "PolicyNotAuthorized",
    404: "HTTPNotFound",
    409: "HTTPConflict",
    413: "HTTPRequestEntityTooLarge",
    415: "HTTPUnsupportedMediaType",
    503: "HTTPServiceUnavailable",
}


def fault(status: int, message: str, error: SundogError | None) -> dict[str, Any]:
    """Neutron's: ``{"NeutronError": {"type", "message", "detail"}}``, the type being the name of its exception."""
    if isinstance(error, Unauthorized):
        return {"error": {"code": status, "title": "Unauthorized", "message": message}}
    if isinstance(error, Forbidden) and not isinstance(error, QuotaExceeded) and "rule" in error.facts:
        message = f"rule:{error.rule} is disallowed by policy"
    kind = error.facts.get("type") if error is not None else None
    return {
        "NeutronError": {
            "type": kind or _TYPES.get(status, "HTTPInternalServerError"),
            "message": message,
            "detail": "",
        }
    }


def invalid(part: str, error: ValidationError | None) -> str:
    """What is wrong with a body or a query, as Neutron says it."""
    if error is None:
        return "Request body is not valid JSON"
    unknown, wrong = [], []
    for each in error.errors(include_input=False, include_url=False):
        name = ".".join(str(x) for x in each["loc"]) or part
        if each["type"] == "extra_forbidden":
            unknown.append(str(each["loc"][-1]))
        elif each["type"] == "missing":
            wrong.append(f"Failed to parse request. Required attribute '{each['loc'][-1]}' not specified")
        else:
            wrong.append(f"Invalid input for {name}. Reason: {each['msg']}.")
    if unknown:
        wrong.insert(0, "Unrecognized attribute(s) " + ", ".join(repr(name) for name in unknown))
    return "; ".join(wrong)


SERVICE: Final = Service(
    "network",
    prefix="/network",
    fault=fault,
    invalid=invalid,
    rules=tuple(RULES.values()),
    scopes=OF_PROJECTS,
)
"""No microversions; the paths begin with ``/v2.0``, since the version is told one step above."""
