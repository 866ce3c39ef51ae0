"""What simulated hosts hold, kept in a file, so that a simulated cloud survives its process as real hosts do.

An operation is in the ledger before its reply leaves the host, and all of it at once. One that the end of the process
broke off is not there at all: the host is as it was before. Power and links of hosts are not kept: all are up again.
"""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from pydantic import TypeAdapter

from sundog.backends.contract import PortSpec, PowerState, ServerSpec
from sundog.errors import InputError, OutputError


@dataclass(frozen=True, slots=True)
class CopyRecord:
    """A copy as the ledger keeps it; ``machine.Copy`` says what the fields mean."""

    spec: ServerSpec
    power: PowerState
    kept: bool = False
    ran: bool = False
    rescue: str | None = None
    ports: tuple[PortSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """All copies of one server that a host holds; none if there are none any more."""

    host: str
    server: str
    copies: tuple[CopyRecord, ...]


class Ledger(Protocol):
    """Where holdings are kept."""

    def save(self, holdings: Sequence[Holding]) -> None:
        """Replace what is kept of these servers on these hosts, all at once."""
        ...

    def load(self, host: str) -> tuple[Holding, ...]:
        """Everything that is kept of a host, by server."""
        ...


@dataclass(frozen=True, slots=True)
class _Row:
    """The copies of a row. User data is bytes, which JSON has not: as text of base 64, one for each copy."""

    copies: tuple[CopyRecord, ...]
    user_data: tuple[str | None, ...]


_ROW: Final = TypeAdapter(_Row)


class FileLedger:
    """A ledger in a SQLite file, made if it is missing. What was saved outlives the process, not a power cut.

    Raises: InputError if the file is no ledger; OutputError if it cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Final = Path(path)
        try:
            self._file = sqlite3.connect(self.path, isolation_level=None)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = OFF")
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS holdings (host TEXT, server TEXT, data BLOB, PRIMARY KEY (host, server))"
                " WITHOUT ROWID"
            )
        except sqlite3.OperationalError as error:
            raise OutputError(
                f"cannot open what hosts hold: {error}; {self.path} must be a file that can be written"
            ) from error
        except sqlite3.DatabaseError as error:
            raise InputError(f"this is not what hosts hold: {error}", path=self.path) from error

    def save(self, holdings: Sequence[Holding]) -> None:
        """Write them in one transaction. Raises: OutputError if they cannot be written; nothing is changed then."""
        try:
            self._file.execute("BEGIN IMMEDIATE")
            try:
                for holding in holdings:
                    self._put(holding)
                self._file.execute("COMMIT")
            except BaseException:
                self._file.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise OutputError(f"cannot write what hosts hold to {self.path}: {error}") from error

    def _put(self, holding: Holding) -> None:
        place = (holding.host, holding.server)
        if holding.copies:
            row = _Row(
                tuple(replace(copy, spec=replace(copy.spec, user_data=None)) for copy in holding.copies),
                tuple(_text(copy.spec.user_data) for copy in holding.copies),
            )
            self._file.execute("INSERT OR REPLACE INTO holdings VALUES (?, ?, ?)", (*place, _ROW.dump_json(row)))
        else:
            self._file.execute("DELETE FROM holdings WHERE host = ? AND server = ?", place)

    def load(self, host: str) -> tuple[Holding, ...]:
        """Read them. Raises: InputError if a row is damaged."""
        found = []
        rows = self._file.execute("SELECT server, data FROM holdings WHERE host = ? ORDER BY server", (host,))
        for server, data in rows:
            try:
                row = _ROW.validate_json(data)
            except ValueError as error:
                raise InputError(
                    f"what host {host} holds of server {server} is damaged: {error}", path=self.path
                ) from error
            copies = tuple(
                replace(copy, spec=replace(copy.spec, user_data=_bytes(text)))
                for copy, text in zip(row.copies, row.user_data, strict=True)
            )
            found.append(Holding(host, server, copies))
        return tuple(found)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
