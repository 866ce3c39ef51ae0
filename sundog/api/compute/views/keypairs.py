"""Keypairs."""

from __future__ import annotations

from typing import Any

from sundog.api.compute.views.common import when_to_microsecond
from sundog.api.kit.context import Context
from sundog.control.compute.keypairs import Keypair


def listed(ctx: Context, key: Keypair) -> dict[str, Any]:
    """A keypair in a list."""
    told = {"name": key.name, "public_key": key.public_key, "fingerprint": key.fingerprint}
    return told | ({"type": key.type} if ctx.at_least("2.2") else {})


def created(ctx: Context, key: Keypair, private_key: str | None) -> dict[str, Any]:
    """A new keypair, and for this once the private key, if it was made up here."""
    told = listed(ctx, key) | {"user_id": key.user_id}
    return told | ({} if private_key is None else {"private_key": private_key})


def shown(ctx: Context, key: Keypair) -> dict[str, Any]:
    """A keypair with all that is kept of it."""
    return listed(ctx, key) | {
        "user_id": key.user_id,
        "id": key.number,
        "created_at": when_to_microsecond(key.created_at),
        "updated_at": None,
        "deleted": False,
        "deleted_at": None,
    }
