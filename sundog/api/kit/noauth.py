"""Tokens that anybody can make up, for conformance tests alone: Placement's ``noauth2``.

Whoever can reach a cloud in this mode is whoever they say they are. So it is refused unless the cloud listens on the
loopback interface only, and nothing turns it on by default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sundog.api.kit.links import is_loopback
from sundog.control.principal import Principal
from sundog.errors import InputError


def noauth2(listen_host: str) -> Callable[[str, Mapping[str, str]], Principal]:
    """What ``Desk.authenticate_headers`` takes in this mode.

    A token is ``user`` or ``user:project``; the user ``admin`` has the role admin, others have none. The headers
    ``x-roles``, ``x-project-id`` and ``openstack-system-scope`` say otherwise.

    Raises: InputError if ``listen_host`` is not an address of the loopback interface.
    """
    if not is_loopback(listen_host):
        raise InputError(
            f"the test-only mode noauth2 lets anybody be anyone, so it needs a loopback address, not {listen_host!r}; "
            "listen on 127.0.0.1"
        )
    return _believed


def _believed(token: str, headers: Mapping[str, str]) -> Principal:
    user, _, project = token.partition(":")
    told = headers.get("x-roles")
    roles = [role.strip() for role in told.split(",")] if told is not None else ["admin"] if user == "admin" else []
    is_system = bool(headers.get("openstack-system-scope"))
    return Principal(
        user_id=user,
        user_name=user,
        project_id=headers.get("x-project-id") or (None if is_system else project or user),
        is_system=is_system,
        roles=tuple(sorted({role for role in roles if role})),
    )
