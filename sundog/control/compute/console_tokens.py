"""Tokens of consoles: who has one may open a console of one copy of a server, once and soon.

What is kept is a token's hash. A token dies when it is used, when its time is over, and with the run of the copy that
it is for: ``end`` is called with every change of a server that ends one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from sundog.backends.contract import ServerKey
from sundog.control.compute.records import Server
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import compute as tables
from sundog.core.lifecycle.servers import Power
from sundog.runtime.ids import random_secret
from sundog.units import Seconds

_LIVE: Final = (Power.RUNNING, Power.PAUSED)


@dataclass(frozen=True, slots=True)
class ConsoleGrant:
    """What a token is good for: a console of a kind, of one copy on one host, until an instant."""

    server_id: str
    host: str
    generation: int
    type: str
    expires_at: datetime

    @property
    def key(self) -> ServerKey:
        """Which copy."""
        return ServerKey(self.server_id, self.generation)


def is_live(server: Server) -> bool:
    """Whether a server has a console that can be opened."""
    return server.host is not None and server.power_state in _LIVE and server.deleted_at is None


def issue(tx: Tx, server: Server, kind: str, now: datetime, *, life: Seconds) -> str:
    """A new token for a console of a live server. Those whose time is over are forgotten."""
    forget_expired(tx, now)
    token = random_secret()
    tx.insert(
        tables.console_tokens, token_hash=_hash(token), server_id=server.id, host=server.host,
        generation=server.generation, type=kind, expires_at=now + timedelta(seconds=life),
    )  # fmt: skip
    return token


def look_up(reader: Reader, token: str, now: datetime) -> ConsoleGrant | None:
    """What a token is good for; None for one that is not known, or whose time is over."""
    row = reader.get(tables.console_tokens, token_hash=_hash(token))
    if row is None or row["expires_at"] <= now:
        return None
    return ConsoleGrant(row["server_id"], row["host"], row["generation"], row["type"], row["expires_at"])


def use_up(tx: Tx, token: str) -> None:
    """Forget a token."""
    tx.delete(tables.console_tokens, tables.console_tokens.c.token_hash == _hash(token))


def end(tx: Tx, server: Server, values: Mapping[str, Any]) -> None:
    """Forget a server's tokens if a change of its columns to ``values`` ends the run that they are for."""
    if server.power_state not in _LIVE:
        return  # it has none
    goes = values.get("power_state", server.power_state) not in _LIVE or values.get("deleted_at") is not None
    moves = any(values.get(name, getattr(server, name)) != getattr(server, name) for name in ("host", "generation"))
    if goes or moves:
        tx.delete(tables.console_tokens, tables.console_tokens.c.server_id == server.id)


def forget_expired(tx: Tx, now: datetime) -> None:
    """Forget the tokens whose time is over."""
    tx.delete(tables.console_tokens, tables.console_tokens.c.expires_at <= now)


def _hash(token: str) -> str:
    return sha256(token.encode(errors="surrogatepass")).hexdigest()
