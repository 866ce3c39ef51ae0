"""Secrets that are only ever compared: kept as argon2id hashes.

To hash or to compare takes tens of milliseconds, on purpose. What serves requests awaits it (:meth:`Passwords.hash`,
:meth:`Passwords.compare`), so that a login keeps nobody else waiting; where the clock jumps it is done at once.
"""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from sundog.control.identity.settings import Settings
from sundog.runtime import aio
from sundog.runtime.ids import random_secret


class Hashed(str):
    """The hash of a secret: takes the secret's place where that was hashed before."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Hashed(...)"


class Passwords:
    """Hashes and compares. A comparison costs the same whether there is anything to compare with or not."""

    def __init__(self, settings: Settings) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_passes,
            memory_cost=settings.argon2_memory_kib,
            parallelism=settings.argon2_lanes,
        )
        self._turns = aio.Semaphore(settings.argon2_at_once)
        self._nobodys = self._hasher.hash(random_secret())

    async def hash(self, secret: str) -> Hashed:
        """:meth:`hashed`, while others have their turn."""
        async with self._turns:
            return await aio.apart(self.hashed, secret)

    async def compare(self, secret: str, stored: str | None) -> bool:
        """:meth:`matches`, while others have their turn. What ``stored`` came from may have changed by then."""
        async with self._turns:
            return await aio.apart(self.matches, secret, stored)

    def hashed(self, secret: str) -> Hashed:
        """What may be stored. It holds its own salt and costs."""
        return secret if isinstance(secret, Hashed) else Hashed(self._hasher.hash(secret))

    def matches(self, secret: str, stored: str | None) -> bool:
        """Whether ``stored`` was made of ``secret``. With None the work is done all the same, and the answer is no."""
        try:
            return self._hasher.verify(stored or self._nobodys, secret) and stored is not None
        except (VerificationError, InvalidHashError):
            return False
