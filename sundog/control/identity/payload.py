"""What is inside a token, as few bytes as can be: who, for what, until when. Never the roles."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sundog.errors import Unauthorized

METHODS: Final = ("password", "token", "application_credential")
_KINDS: Final = ("unscoped", "project", "domain", "system")
_FORMAT: Final = 1
_HEAD: Final = struct.Struct(">BBBqqI")
"""Format, scope's kind, methods (a bit each), issued and expires (microseconds since 1970), generation."""

_PACKED: Final = 255
_HEX: Final = re.compile(r"[0-9a-f]{32}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token is for. ``kind`` is ``"unscoped"``, ``"project"``, ``"domain"`` or ``"system"``."""

    kind: str = "unscoped"
    id: str = ""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says. Whether it is still so is found out when it is used.

    ``audit_ids`` has the token's own, then that of the token at the beginning of the chain that it was made from.
    ``generation`` is the user's when the token was made.
    """

    user_id: str
    generation: int
    scope: Scope
    methods: tuple[str, ...]
    audit_ids: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    application_credential_id: str = ""


def packed(claims: Claims) -> bytes:
    """The claims as bytes; :func:`unpacked` is the way back."""
    methods = sum(1 << METHODS.index(method) for method in claims.methods)
    head = _HEAD.pack(
        _FORMAT,
        _KINDS.index(claims.scope.kind),
        methods,
        (claims.issued_at - _EPOCH) // _MICROSECOND,
        (claims.expires_at - _EPOCH) // _MICROSECOND,
        claims.generation,
    )
    texts = (claims.user_id, claims.scope.id, claims.application_credential_id, *claims.audit_ids)
    return head + b"".join(_text(each) for each in texts)


def unpacked(data: bytes) -> Claims:
    """What :func:`packed` was given.

    Raises: Unauthorized for bytes that are something else, such as the payload of another version.
    """
    try:
        form, kind, bits, issued, expires, generation = _HEAD.unpack_from(data)
        if form != _FORMAT:
            raise ValueError(form)
        user_id, scope_id, credential_id, *audit_ids = _texts(data[_HEAD.size :])
        return Claims(
            user_id=user_id,
            generation=generation,
            scope=Scope(_KINDS[kind], scope_id),
            methods=tuple(method for i, method in enumerate(METHODS) if bits >> i & 1),
            audit_ids=tuple(audit_ids),
            issued_at=_EPOCH + issued * _MICROSECOND,
            expires_at=_EPOCH + expires * _MICROSECOND,
            application_credential_id=credential_id,
        )
    except (struct.error, ValueError, IndexError, OverflowError):
        raise Unauthorized("The request you have made requires authentication.") from None


def _text(text: str) -> bytes:
    """A length and the text; the ids that we make, 32 hexadecimal digits, take half."""
    if _HEX.fullmatch(text):
        return bytes([_PACKED]) + bytes.fromhex(text)
    data = text.encode()
    if len(data) >= _PACKED:
        raise ValueError(f"an id of {len(data)} bytes does not fit in a token")
    return bytes([len(data)]) + data


def _texts(data: bytes) -> list[str]:
    texts: list[str] = []
    while data:
        size = 16 if data[0] == _PACKED else data[0]
        part, rest = data[1 : 1 + size], data[1 + size :]
        if len(part) != size:
            raise ValueError("cut short")
        texts.append(part.hex() if data[0] == _PACKED else part.decode())
        data = rest
    return texts
