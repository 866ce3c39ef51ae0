"""Which host this is: what it says of itself, against a file of ours that was left on it. Pure.

Names and uuids of hosts change and get copied: a disk is put into another machine, a machine is cloned, somebody edits
``libvirtd.conf``. What a host was is in the file ``host.json`` beside its disks. A host that is not what its file says
is let in no more, and nothing on it is touched, until an administrator has decided.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

FILE: Final = "host.json"


@dataclass(frozen=True, slots=True)
class Identity:
    """A host: its own uuid, its own name for itself, and, for people, the name by which we call it."""

    uuid: str
    hostname: str
    name: str


def write_identity(identity: Identity) -> bytes:
    """The file's content."""
    return (json.dumps({"version": 1, **asdict(identity)}, indent=2) + "\n").encode()


def read_identity(data: bytes) -> Identity | None:
    """What a file says; None if it was not written to its end. Raises: ValueError if it is something else."""
    text = data.rstrip(b"\0")
    if not text:
        return None
    try:
        said = json.loads(text)
        return Identity(*(str(said[name]) for name in ("uuid", "hostname", "name")))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{FILE} cannot be read: {error!r}") from error


def why_quarantined(found: Identity, *, data: bytes | None, expected: str, twin: str | None, copies: int) -> str:
    """Why a host is not let in; empty if it is.

    ``found`` is what it says of itself. ``data`` is its file, None without one. ``expected`` is the uuid by which it is
    known, empty if it is new. ``twin`` is the name of another host with the same uuid. ``copies``: how many copies of
    servers of ours it has.
    """
    end = "nothing on it is touched until an administrator says which it is"
    if expected and found.uuid != expected:
        return f"host {found.name} says that it is {found.uuid} and not {expected}; {end}"
    if twin is not None:
        return (
            f"host {found.name} says that it is {found.uuid}, which host {twin} is; give each a host_uuid of its own "
            f"in libvirtd.conf; {end}"
        )
    try:
        left = None if data is None else read_identity(data)
    except ValueError as error:
        return f"host {found.name}: {error}; see what became of its disk, and put the file right; {end}"
    if left is None:
        if copies:
            return (
                f"host {found.name} has {copies} servers of ours and not the {FILE} that belongs to them: its disk is "
                f"not mounted, or was replaced; {end}"
            )
        return ""
    for what, now, before in (
        ("uuid", found.uuid, left.uuid),
        ("host name", found.hostname, left.hostname),
    ):
        if now != before:
            return (
                f"the {what} of host {found.name} was {before} and is now {now}: it was renamed, or is a copy of "
                f"another; if it is the same machine, put that back, or what it is now into {FILE} beside its disks; "
                f"{end}"
            )
    return ""
