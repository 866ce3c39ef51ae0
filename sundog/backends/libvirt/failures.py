"""What libvirt's errors mean: one table from its codes to the contract's errors. Pure; needs no libvirt.

The numbers are those of ``virErrorNumber``, which libvirt never changes; a test compares them with the library's.
"""

from __future__ import annotations

import errno
import os
from enum import Enum, IntEnum
from typing import Final

from sundog.backends.contract import ServerKey
from sundog.errors import BackendFailed, HostDown, NoSuchServer, NotSupported, OutcomeUnknown, PlainFailure, SundogError


class Code(IntEnum):
    """The codes of ``virErrorNumber`` that mean something to us."""

    INTERNAL_ERROR = 1
    NO_SUPPORT = 3
    NO_CONNECT = 5
    INVALID_CONN = 6
    RPC = 39
    NO_DOMAIN = 42
    NO_NETWORK = 43
    AUTH_FAILED = 45
    NO_STORAGE_POOL = 49
    NO_STORAGE_VOL = 50
    OPERATION_INVALID = 55
    NO_NWFILTER = 62
    AUTH_CANCELLED = 79
    AGENT_UNRESPONSIVE = 86
    STORAGE_VOL_EXIST = 90
    AUTH_UNAVAILABLE = 94


class Meaning(Enum):
    """What an error says about the operation."""

    FAILED = "failed"
    """It did not happen."""
    GONE = "gone"
    """The domain is not there."""
    UNREACHABLE = "unreachable"
    """The host was not reached at all."""
    BROKEN = "broken"
    """The connection broke, with the operation under way."""
    IMPOSSIBLE = "impossible"
    """This host's libvirt never can."""
    DEAF = "deaf"
    """The guest has no agent that answers."""


_MEANINGS: Final[dict[int, Meaning]] = {
    Code.NO_SUPPORT: Meaning.IMPOSSIBLE,
    Code.NO_CONNECT: Meaning.UNREACHABLE,
    Code.AUTH_FAILED: Meaning.UNREACHABLE,
    Code.AUTH_CANCELLED: Meaning.UNREACHABLE,
    Code.AUTH_UNAVAILABLE: Meaning.UNREACHABLE,
    Code.INVALID_CONN: Meaning.BROKEN,
    Code.RPC: Meaning.BROKEN,
    Code.NO_DOMAIN: Meaning.GONE,
    Code.AGENT_UNRESPONSIVE: Meaning.DEAF,
}


_NO_MACHINE: Final = (errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH, errno.ETIMEDOUT)


def meaning(code: int, *, opening: bool = False, alive: bool = True) -> Meaning:
    """What an error with a code means.

    ``opening``: it came while the connection was being made. ``alive``: the connection still stands, without which any
    error may be that of the connection, whatever its code says.
    """
    if opening:
        return Meaning.UNREACHABLE
    found = _MEANINGS.get(code, Meaning.FAILED)
    return Meaning.BROKEN if not alive and found is not Meaning.UNREACHABLE else found


def tells_of_no_machine(message: str) -> bool:
    """Whether a connection could not be made because no machine is there, rather than no daemon on it.

    By the system's words, which are all that is left of it where SSH or TLS is between.
    """
    return any(os.strerror(number) in message for number in _NO_MACHINE)


def translate(
    said: Meaning, message: str, *, operation: str, host: str, name: str, server: ServerKey | None = None
) -> SundogError:
    """The contract's error: ``message`` is libvirt's own, ``host`` and ``name`` are the host's uuid and name."""
    where = f"{operation} on host {name}" + (f" of server {server}" if server is not None else "")
    facts = {"host": host, "server": server, "operation": operation}
    match said:
        case Meaning.GONE if server is not None:
            return NoSuchServer(f"{where} found no such copy: {message}", there=(), **facts)
        case Meaning.UNREACHABLE:
            return HostDown(f"{where} did not reach it: {message}; see to the host and its link", **facts)
        case Meaning.BROKEN:
            return OutcomeUnknown(
                f"{where} may or may not have happened, since the connection broke: {message}; reconcile", **facts
            )
        case Meaning.IMPOSSIBLE:
            return NotSupported(f"{where} is not possible with its libvirt: {message}", **facts)
        case Meaning.DEAF:
            return PlainFailure(
                "the guest has no QEMU agent that answers; install qemu-guest-agent in it, and ask again", **facts
            )
    return BackendFailed(f"{where} failed: {message}", **facts)
