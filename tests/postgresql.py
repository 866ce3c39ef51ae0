"""A PostgreSQL server of the tests' own, from the system's package: on a Unix socket in a temporary folder."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

INSTALLED = Path("/usr/lib/postgresql")
MISSING = "PostgreSQL's server is not installed; tools/setup-postgresql does it on Debian, as root"


@dataclass(frozen=True)
class Server:
    """A running server; ``pid`` is its first process."""

    sockets: Path
    pid: int
    numbers: Iterator[int]

    def url(self, database: str) -> str:
        """The address of a database, for ``open_store``."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.sockets}"

    def make_database(self) -> str:
        """The address of a new, empty database."""
        name = f"test_{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as the server's administrator."""
        import psycopg

        with psycopg.connect(host=str(self.sockets), user="postgres", dbname="postgres", autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []


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
        pytest.skip(MISSING)
    as_whom: dict[str, Any] = {}
    # A short path: the name of a Unix socket has a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="sundog-pg-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            # The server refuses root.
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
            as_whom = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        with _started(programs, folder, as_whom) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _started(programs: Path, folder: Path, as_whom: dict[str, Any]) -> Iterator[Server]:
    data, log = folder / "data", folder / "log"
    make = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]
    done = subprocess.run(make, cwd=folder, capture_output=True, text=True, **as_whom)
    if done.returncode:
        raise RuntimeError(f"initdb failed: {done.stderr}")
    # What dies in these tests are clients, so the server need not wait for the disk.
    options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=50", "-c", "shared_buffers=16MB"]
    with log.open("w") as out:
        serve = [programs / "postgres", "-D", data, "-k", folder, *options]
        process = subprocess.Popen(
            serve, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, **as_whom
        )
    try:
        _wait_until_ready(programs, folder, process, log)
        yield Server(folder, process.pid, count(1))
    finally:
        process.send_signal(signal.SIGINT)  # its fast way to stop
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(timeout=30)


def _wait_until_ready(programs: Path, folder: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if process.poll() is not None:
            break
        if not subprocess.run([programs / "pg_isready", "-q", "-h", folder, "-t", "1"]).returncode:
            return
        time.sleep(0.1)
    process.kill()
    raise RuntimeError(f"the PostgreSQL server did not start: {log.read_text()}")
