"""A machine behind a Redfish service, as its BMC: whether it is on, and switching it off. In a process of its own.

The library's calls block, and are for nobody who has anything else to do.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from sundog.errors import BackendFailed, InputError, OutcomeUnknown
from sundog.runtime import aio, clock
from sundog.units import Seconds

System: TypeAlias = Any
"""A ComputerSystem of sushy's, which has no types."""

LOOK_S: Final[Seconds] = 1.0
"""How often a machine that was told to go off is looked at."""

_CONNECT_S: Final = 5
_ANSWER_S: Final = 15


@dataclass(frozen=True, slots=True)
class Bmc:
    """Where a Redfish service is, and who asks.

    ``address`` is an URL: https://HOST. ``system`` is the id of the machine, or its path; empty where there is but one.
    ``trust`` is a file of certificates, in PEM, of which one must vouch for the service: True for those that this
    machine trusts, False for whoever answers, without TLS too.
    """

    address: str
    username: str
    password: str = field(repr=False)
    system: str = ""
    trust: str | bool = True


@contextmanager
def machine_of(bmc: Bmc) -> Iterator[System]:
    """The machine behind a BMC, for the block; the session there ends with it.

    Raises: InputError if it is not clear which that is, or sushy is not installed; BackendFailed, in the block as well,
    for what the BMC refuses or does not answer.
    """
    sushy = _library()
    _check(bmc)
    auth = sushy.auth.SessionOrBasicAuth(bmc.username, bmc.password)
    try:
        root = sushy.Sushy(
            bmc.address, auth=auth, verify=bmc.trust, connect_timeout=_CONNECT_S, read_timeout=_ANSWER_S,
            server_side_retries=2, server_side_retries_delay=2,
        )  # fmt: skip
        yield root.get_system(_which(bmc, list(root.get_system_collection().members_identities)))
    except sushy.exceptions.AccessError as error:
        raise BackendFailed(f"the BMC at {bmc.address} does not let {bmc.username} in with this password") from error
    except sushy.exceptions.SushyError as error:
        raise BackendFailed(f"the BMC at {bmc.address}: {error}") from error
    finally:
        with suppress(sushy.exceptions.SushyError):  # it forgets sessions by itself, in time
            auth.close()


def _library() -> Any:
    try:
        import sushy
        import sushy.auth
    except ImportError as error:
        raise InputError("Redfish is spoken by sushy, which is not installed; pip install 'sundog[libvirt]'") from error
    logging.getLogger("sushy").setLevel(logging.CRITICAL)  # what it logs it raises too
    return sushy


def _check(bmc: Bmc) -> None:
    parts = urlsplit(bmc.address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"{bmc.address} is not where a BMC is; write it as https://HOST")
    if parts.username is not None:
        raise InputError("the address of a BMC has no name and no password in it; use --username and --password-file")
    if parts.scheme == "http" and bmc.trust is not False:
        raise InputError(f"{bmc.address} would send the password for all to read; use https, or --insecure")


def _which(bmc: Bmc, paths: list[str]) -> str:
    """The path of the machine, of those that the BMC has."""
    found = [path for path in paths if bmc.system in ("", path, _id(path))]
    if len(found) == 1:
        return found[0]
    ids = ", ".join(map(_id, paths)) or "no systems"
    which = f"not one that is {bmc.system}" if bmc.system else "and it must be said which is meant"
    raise InputError(f"the BMC at {bmc.address} has {ids}, {which}; use --system")


def _id(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def told(system: System) -> str:
    """What a BMC says of a machine, in a sentence."""
    return f"{system.name or 'the machine'} ({system.identity}, UUID {system.uuid or 'unknown'}) is {_power(system)}"


def _power(system: System) -> str:
    return str(getattr(system.power_state, "value", system.power_state))


async def switch_off(system: System, *, uuid: str = "", limit: Seconds = 50.0) -> None:
    """Return when the BMC says that the machine is off; at once if it is.

    It must have this ``uuid``, if one is given and the BMC knows one. To be called in the block of ``machine_of``.
    Raises: BackendFailed if it is another machine; OutcomeUnknown if it is not off after ``limit`` seconds.
    """
    if uuid and system.uuid and not is_same(uuid, system.uuid):
        raise BackendFailed(
            f"the BMC has a machine with the UUID {system.uuid}, and the one to be switched off has {uuid}; if it is "
            f"the one all the same, use --uuid {system.uuid}"
        )
    from sushy import RESET_FORCE_OFF, SYSTEM_POWER_STATE_OFF

    due, asked = clock.now() + limit, False
    while system.power_state != SYSTEM_POWER_STATE_OFF:
        if not asked:
            system.reset_system(RESET_FORCE_OFF)
            asked = True
        if clock.now() >= due:
            raise OutcomeUnknown(f"the BMC was told to switch the machine off, and it is {_power(system)} still")
        await aio.sleep(LOOK_S)
        system.refresh(force=True)


def is_same(one: str, other: str) -> bool:
    """Whether two UUIDs are those of one machine; firmware and BMCs do not agree on the order of the first bytes."""
    try:
        first, second = uuid.UUID(one), uuid.UUID(other)
    except ValueError:
        return one.lower() == other.lower()
    return second in (first, uuid.UUID(bytes=first.bytes_le))
