"""From what the control plane refuses to an HTTP status, the same for all services; the body is each service's own."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from sundog import errors
from sundog.errors import SundogError

STATUS: Final = {
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.Unsupported: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.NotSupported: HTTPStatus.NOT_IMPLEMENTED,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


def status_of(error: SundogError) -> int:
    """The status for an error, by the nearest of its families; 500 for one that is not a refusal.

    An error may carry a ``status`` of its own among its facts, where OpenStack has another for the case.
    """
    own = error.facts.get("status")
    if isinstance(own, int):
        return own
    return next((int(STATUS[family]) for family in type(error).__mro__ if family in STATUS), 500)


def plain(status: int, message: str, _error: SundogError | None = None) -> dict[str, Any]:
    """``{"error": {"code": 404, "message": "..."}}``: the fault of what is no service of OpenStack's."""
    return {"error": {"code": status, "message": message}}
