"""Secrets that are only ever compared: kept as argon2id hashes."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from sundog.control.identity.settings import Settings
from sundog.runtime.ids import random_secret


class Passwords:
    """Hashes and compares. A comparison costs the same whether there is anything to compare with or not."""

    def __init__(self, settings: Settings) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_passes,
            memory_cost=settings.argon2_memory_kib,
            parallelism=settings.argon2_lanes,
        )
        self._nobodys = self._hasher.hash(random_secret())

    def hashed(self, secret: str) -> str:
        """What may be stored. It holds its own salt and costs."""
        return self._hasher.hash(secret)

    def matches(self, secret: str, stored: str | None) -> bool:
        """Whether ``stored`` was made of ``secret``. With None the work is done all the same, and the answer is no."""
        try:
            return self._hasher.verify(stored or self._nobodys, secret) and stored is not None
        except (VerificationError, InvalidHashError):
            return False
