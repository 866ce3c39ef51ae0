"""Which host this is: what it says of itself, against a file of ours that was left on it. Pure.

Names and uuids of hosts change and get copied: a disk is put into another machine, a machine is cloned, somebody edits
``libvirtd.conf``. What a host was, and whose it is, is in the file ``host.json`` beside its disks. A host that is not
what its file says is let in no more, and nothing on it is touched, until an administrator has decided.

Files of version 1 name no cloud: such a host is nobody's yet, and the first cloud that connects it writes itself in.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

FILE: Final = "host.json"

VERSION: Final = 2
"""Of the file, as it is written. Older ones are read."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A host: its own uuid, its own name for itself, and, for people, the name by which we call it.

    ``cloud`` is the id of the cloud that it belongs to, empty if it belongs to none.
    """

    uuid: str
    hostname: str
    name: str
    cloud: str = ""


def write_identity(identity: Identity) -> bytes:
    """The file's content."""
    return (json.dumps({"version": VERSION, **asdict(identity)}, indent=2) + "\n").encode()


def read_identity(data: bytes) -> Identity | None:
    """What a file says; None if it was not written to its end. Raises: ValueError if it is something else."""
    text = data.rstrip(b"\0")
    if not text:
        return None
    try:
        said = json.loads(text)
        if said["version"] not in range(1, VERSION + 1):
            raise ValueError(f"its version is {said['version']}, and this one knows those up to {VERSION}")
        names = ("uuid", "hostname", "name") if said["version"] == 1 else ("uuid", "hostname", "name", "cloud")
        return Identity(*(str(said[name]) for name in names))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{FILE} cannot be read: {error!r}") from error


def of_another_cloud(left: Identity, cloud: str) -> str:
    """What is wrong if a host is said by its file to be another cloud's than ``cloud``; empty if it is not."""
    if left.cloud in ("", cloud):
        return ""
    return f"it belongs to cloud {left.cloud}, and this is cloud {cloud or 'without an id, as it never ran'}"


def to_be_given_up(cloud: str) -> str:
    """How a host comes to be another cloud's."""
    return (
        f"remove it from cloud {cloud} with sundog host remove; if that cloud is no more, remove {FILE} beside the "
        "host's disks by hand"
    )


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
    if why := of_another_cloud(left, found.cloud):
        return f"host {found.name}: {why}; {to_be_given_up(left.cloud)}; {end}"
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
