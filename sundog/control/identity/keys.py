"""The keys that tokens are sealed with, and their rotation.

As in Keystone: one key is the *primary*, which seals; one is *staged*, to be the next; older ones still open what they
have sealed. A key is staged before it seals, so that every process that shares the store can open with it by then.
"""

from __future__ import annotations

from cryptography.fernet import Fernet, MultiFernet

from sundog.control.identity.books import Books
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import identity as tables
from sundog.errors import InvariantError

STAGED = 0


class Keys:
    """The keys, as rows of the store. ``kept`` counts all of them and is at least 2."""

    def __init__(self, books: Books, kept: int) -> None:
        if kept < 2:
            raise ValueError(f"a staged and a primary key are two keys, not {kept}")
        self._books = books
        self._kept = kept

    def make(self) -> None:
        """Make the first two keys, where there are none."""
        with self._books.writing() as tx:
            if not tx.count(tables.token_keys):
                for number in (STAGED, 1):
                    tx.insert(tables.token_keys, number=number, secret=_new_secret())

    def rotate(self) -> None:
        """The staged key becomes the primary, a new one is staged, and the oldest beyond those kept are forgotten.

        What a forgotten key has sealed is no token any more: rotate less often than the life of a token, or keep more.
        """
        table = tables.token_keys
        with self._books.writing() as tx:
            numbers = _numbers(tx)
            if STAGED not in numbers:
                raise InvariantError("there is no staged token key; call make() first")
            tx.update(table, table.c.number == STAGED, number=max(numbers) + 1)
            tx.insert(table, number=STAGED, secret=_new_secret())
            sealing = sorted(number for number in _numbers(tx) if number != STAGED)
            for number in sealing[: -(self._kept - 1)]:
                tx.delete(table, table.c.number == number)


def seal_of(reader: Reader) -> MultiFernet:
    """Seals with the primary key, opens with any.

    Raises: InvariantError where there are no keys.
    """
    rows = reader.find(tables.token_keys, order_by=tables.token_keys.c.number.desc())
    if not rows:
        raise InvariantError("there are no token keys; call bootstrap() first")
    return MultiFernet([Fernet(row["secret"]) for row in rows])


def _numbers(tx: Tx) -> list[int]:
    return [row["number"] for row in tx.find(tables.token_keys)]


def _new_secret() -> str:
    return Fernet.generate_key().decode()
