"""Identifiers: repeatable ones from a random stream, secrets from the operating system.

Everything inside a world takes its ids from ``Ids``, so that the same seed gives the same ids. A secret (a token, a
key, a password) must not be guessable from a seed: it comes from ``random_secret``, at an edge, and never reaches a
result.
"""

from __future__ import annotations

import secrets
import uuid

import numpy as np


class Ids:
    """Ids drawn from ``rng``, a named stream of the run: ``Ids(streams.stream("ids"))``."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def uuid(self) -> uuid.UUID:
        """The next id, laid out as a random UUID (version 4, variant RFC 4122)."""
        return uuid.UUID(bytes=self._rng.bytes(16), version=4)

    def hex(self, digits: int = 32) -> str:
        """The next id as ``digits`` lower-case hexadecimal digits."""
        if digits < 1:
            raise ValueError(f"an id needs at least one digit, not {digits}")
        return self._rng.bytes((digits + 1) // 2).hex()[:digits]


def random_secret(entropy_bytes: int = 32) -> str:
    """A secret of ``entropy_bytes`` random bytes of the operating system, as text that fits in a URL. For edges."""
    if entropy_bytes < 16:
        raise ValueError(f"a secret of {entropy_bytes} bytes can be guessed; use at least 16")
    return secrets.token_urlsafe(entropy_bytes)


def random_uuid() -> uuid.UUID:
    """An id that nothing else has, wherever it was made: for what must be known from its like. For edges."""
    return uuid.UUID(bytes=secrets.token_bytes(16), version=4)


def random_seed() -> int:
    """A seed that nobody can guess, for a world that is not meant to be repeated. For edges."""
    return secrets.randbits(64)
