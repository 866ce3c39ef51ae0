"""A PostgreSQL server of the tests' own, from the system's package: on a Unix socket in a temporary folder."""

from __future__ import annotations

import os
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

INSTALLED = Path("/usr/lib/postgresql")


class Server:
    """A server with its data in ``folder``, and its socket too. Not started yet."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.sockets, self.data = programs, folder, folder / "data"
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._as_whom: dict[str, Any] = {}
        if os.geteuid() == 0:
            # The server refuses root.
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
            self._as_whom = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        made = self._run(programs / "initdb", "-D", self.data, *options)
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")

    def url(self, database: str) -> str:
        """The address of a database, for ``open_store``."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.sockets}"

    def make_database(self) -> str:
        """The address of a new, empty database."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str) -> None:
        """Run a statement as the server's administrator."""
        with psycopg.connect(host=str(self.sockets), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def start(self) -> None:
        """Start, and wait until it answers."""
        log = self.sockets / "log"
        # What dies in these tests are clients, so the server need not wait for the disk.
        settings = ("listen_addresses=", "fsync=off", "max_connections=50", "shared_buffers=16MB")
        options = [word for setting in settings for word in ("-c", setting)]
        with log.open("a") as out:
            self._process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, "-k", self.sockets, *options],
                **{"cwd": self.sockets, "stdin": subprocess.DEVNULL, "stdout": out, "stderr": out} | self._as_whom,
            )
        for _ in range(300):
            if not self._run(self.programs / "pg_isready", "-q", "-h", self.sockets).returncode:
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"the PostgreSQL server did not start: {log.read_text()}")

    def stop(self) -> None:
        """Stop, and wait for it; clients are cut off."""
        if self._process is None:
            return
        for how in (signal.SIGINT, signal.SIGQUIT):
            self._process.send_signal(how)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=30)
                break
        self._process = None

    def _run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=self.sockets, capture_output=True, text=True, **self._as_whom)


def newest_programs(installed: Path = INSTALLED) -> Path | None:
    """The folder of the newest server's programs."""
    found = [
        (int(re.sub(r"\D", "", folder.parent.name) or 0), folder)
        for folder in installed.glob("*/bin")
        if (folder / "initdb").exists() and (folder / "postgres").exists()
    ]
    return max(found)[1] if found else None


@contextmanager
def running_server() -> Iterator[Server]:
    """A server, for as long as the block lasts. The test is skipped, with the reason, where there can be none."""
    programs = newest_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed; tools/setup-postgresql does it on Debian, as root")
    # A short path: the name of a Unix socket has about a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="sundog-pg-", dir="/tmp"))
    try:
        server = Server(programs, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Wire:
    """What lies between a client and a server: it hands on every byte, and can be cut when a commit passes.

    Clients find it in ``folder``, as they would find the server.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self._server, self._folder = server, folder
        self._cut: str | None = None
        self._skip = 0
        self._is_down = self._stays = False
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / ".s.PGSQL.5432"))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def make_database(self) -> str:
        """The address of a new, empty database, by way of the wire."""
        return self._server.make_database().replace(str(self._server.sockets), str(self._folder))

    def cut(self, when: str, *, stays: bool = False, skip: int = 0) -> None:
        """Cut it once, ``before`` a commit arrives or ``after`` it happened; with ``stays`` until it is mended.

        It is the next commit, or one after ``skip`` others; ``never`` takes it back.
        """
        self._cut, self._stays, self._skip = None if when == "never" else when, stays, skip

    @property
    def is_to_be_cut(self) -> bool:
        """Whether the commit at which it will be cut has not come yet."""
        return self._cut is not None

    def mend(self) -> None:
        """Let clients connect again."""
        self._is_down = False

    def close(self) -> None:
        """Take no more clients."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Hand on what both say, until one of them hangs up or the wire is cut."""
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            if self._is_down:
                return
            server.connect(str(self._server.sockets / ".s.PGSQL.5432"))
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for one, other in ((client, server), (server, client)):
                    if one not in ready:
                        continue
                    data = one.recv(1 << 16)
                    if not data or (one is client and self._is_cut(data, server)):
                        return
                    other.sendall(data)

    def _is_cut(self, data: bytes, server: socket.socket) -> bool:
        if self._cut is None or b"COMMIT\0" not in data:
            return False
        if self._skip:
            self._skip -= 1
            return False
        when, self._cut, self._is_down = self._cut, None, self._stays
        if when == "after":
            server.sendall(data)
            server.recv(1 << 16)  # its reply, which nobody hears
        return True


@contextmanager
def cut_wire(server: Server) -> Iterator[Wire]:
    """A wire to a server that runs."""
    folder = Path(tempfile.mkdtemp(prefix="sundog-wire-", dir="/tmp"))
    wire = Wire(server, folder)
    try:
        yield wire
    finally:
        wire.close()
        shutil.rmtree(folder, ignore_errors=True)
