"""Hosts as the machine sees them: processes and the PID namespace that they are in, read from ``/proc``.

A host is found by how its first process was started and not by a number in a file, so a bed can be taken down whatever
became of the command that set it up.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bed.needs import BedError

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process in a host; ``pid`` is the machine's number for it. ``state`` as in proc(5): ``T`` is stopped."""

    pid: int
    name: str
    state: str


def first_process(folder: Path) -> int | None:
    """The machine's number of the first process of the host whose folder this is, or None if the host is off."""
    for pid in _numbers():
        with suppress(OSError):
            if str(folder).encode() in (PROC / str(pid) / "cmdline").read_bytes().split(b"\0") and _is_first(pid):
                return pid
    return None


def processes(first: int) -> list[Process]:
    """Everything that runs in the host whose first process this is, that one included."""
    with suppress(OSError):
        inside = (PROC / str(first) / "ns/pid").readlink()
        return [process for pid in _numbers() if (process := _in_namespace(pid, inside))]
    return []


def kill_all(first: int, seconds: float = 30.0) -> None:
    """Kill a host's first process, with which all others die, and wait until they have."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(first)
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            # It ends only when everything in its namespace has.
            if not select.select([handle], [], [], seconds)[0]:
                raise BedError(f"process {first} was killed and is still there after {seconds:.0f} s")
        finally:
            os.close(handle)


def _numbers() -> Iterator[int]:
    return (int(each.name) for each in PROC.iterdir() if each.name.isdigit())


def _is_first(pid: int) -> bool:
    """Whether it is the first in a PID namespace below the reader's."""
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("NSpid:"):
            numbers = line.split()[1:]
            return len(numbers) > 1 and numbers[-1] == "1"
    return False


def _in_namespace(pid: int, inside: Path) -> Process | None:
    with suppress(OSError):
        if (PROC / str(pid) / "ns/pid").readlink() == inside:
            # A name may hold spaces and brackets; the state follows the last bracket.
            name, _, rest = (PROC / str(pid) / "stat").read_text().partition("(")[2].rpartition(")")
            return Process(pid, name, rest.split()[0])
    return None
