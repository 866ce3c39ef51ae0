"""The real hosts of a cloud: ``hosts.yaml`` in its state folder, which ``sundog host`` writes.

A file, and not the database: hosts are added before there is a cloud, and while another process serves it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from ruamel.yaml import YAML, YAMLError

from sundog.backends.libvirt.host_check import HostCheck, address_of, check_host, release_host
from sundog.backends.libvirt.link import HostSpec
from sundog.backends.libvirt.network_shell import is_here
from sundog.backends.libvirt.records import VirtType
from sundog.errors import InputError, OutputError

T = TypeVar("T")

FILE_NAME: Final = "hosts.yaml"
"""What the file is called in a state folder."""

DEFAULT_POOL: Final = "/var/lib/libvirt/sundog"
"""Where the disks of servers lie on a host."""


_CARD: Final = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,14}$|^$"


class KnownHost(BaseModel):
    """A host of a cloud: how it is reached, who it is, and what runs there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    uri: str
    uuid: str
    virt_type: VirtType = "kvm"
    address: str = "127.0.0.1"
    pool: str = Field(default=DEFAULT_POOL, pattern="^/")
    wire: str = Field(default="", pattern=_CARD)
    shell: tuple[str, ...] = ()
    fence: tuple[str, ...] = Field(default=(), repr=False)

    def spec(self, cloud: str = "", *, node: bool = False) -> HostSpec:
        """The host as the driver wants it, as one of the cloud with this id.

        ``node``: this machine is the network node.
        """
        return HostSpec(
            self.name, self.uri, self.uuid, self.virt_type, self.address, self.pool, cloud, filtered=True,
            wire=self.wire, shell=self.shell, bridged=node and is_here(self.uri),
        )  # fmt: skip


class _Kept(BaseModel):
    """What is in the file of hosts."""

    hosts: tuple[KnownHost, ...]


_HOSTS: Final = TypeAdapter(tuple[KnownHost, ...])


class KnownNode(BaseModel):
    """How the network node, which is the machine that serves the cloud, is joined to others.

    ``wire`` is its card to hosts, found by itself if it is empty. ``external`` are bridges by physical networks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    wire: str = Field(default="", pattern=_CARD)
    external: dict[str, Annotated[str, Field(pattern=_CARD)]] = {}


NODE_NAME: Final = "network.yaml"
"""What the file of the network node is called in a state folder."""


def read_node(folder: Path) -> KnownNode:
    """The network node of a state folder. Raises: InputError if it cannot be read."""
    return _read(folder / NODE_NAME, KnownNode.model_validate)


def change_node(folder: Path, *, wire: str | None = None, external: Mapping[str, str] | None = None) -> KnownNode:
    """Let the network node be joined otherwise; what is None stays. It is so when the cloud is served next.

    Raises: InputError for what cannot be; OutputError if it cannot be written.
    """
    asked = {"wire": wire, "external": None if external is None else dict(external)}
    told = read_node(folder).model_dump() | {name: value for name, value in asked.items() if value is not None}
    try:
        node = KnownNode.model_validate(told)
    except ValidationError as exc:
        first = exc.errors()[0]
        raise InputError(f"the network node cannot have {first['loc'][0]} {first['input']!r}: {first['msg']}") from exc
    with changing_hosts(folder):  # one process at a time
        _write(folder / NODE_NAME, "# The network node of this cloud. Change it with: sundog network-node", node)
    return node


def read_hosts(folder: Path) -> tuple[KnownHost, ...]:
    """The hosts of a state folder, in the order in which they were added. Raises: InputError if they cannot be read."""
    return _read(folder / FILE_NAME, lambda told: _HOSTS.validate_python(told.get("hosts") or ()), within="hosts.")


def _read(path: Path, understand: Callable[[Any], T], *, within: str = "") -> T:
    """What a file says, of which nothing is as good as an empty one; ``within`` is where what is understood stands."""
    try:
        return understand(YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) or {})
    except FileNotFoundError:
        return understand({})
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(each) for each in first["loc"])
        raise InputError(f"{path} cannot be used: {within}{where}: {first['msg']}", path=path) from exc
    except (OSError, ValueError, AttributeError, YAMLError) as exc:
        raise InputError(f"{path} cannot be read: {exc}", path=path) from exc


def find_host(hosts: Sequence[KnownHost], name: str) -> KnownHost:
    """The host with this name or uuid. Raises: InputError if there is none."""
    for host in hosts:
        if name in (host.name, host.uuid):
            return host
    there = ", ".join(host.name for host in hosts) or "none yet; add one with sundog host add URI"
    raise InputError(f"there is no host {name!r}; the hosts are {there}", host=name)


def refuse_twice(hosts: Sequence[KnownHost], new: KnownHost) -> None:
    """Raises: InputError if one of ``hosts`` has the name, the address or the identity of a new one."""
    for host in hosts:
        if host.uuid == new.uuid:
            raise InputError(
                f"{new.uri} is the host {host.name}, which was added before, or another one with the same UUID "
                f"{host.uuid}; give each its own host_uuid in /etc/libvirt/libvirtd.conf",
                host=new.name,
            )
        for what in ("name", "uri"):
            if getattr(host, what) == getattr(new, what):
                raise InputError(f"there is a host with the {what} {getattr(new, what)} already", host=new.name)


@contextmanager
def changing_hosts(folder: Path) -> Iterator[list[KnownHost]]:
    """The hosts to be changed; they are written at the end, at once, if nothing was raised. One process at a time.

    Raises: InputError if they cannot be read; OutputError if they cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "hosts.lock").open("w")
    except OSError as exc:
        raise OutputError(f"the state folder cannot be used: {exc}", path=folder) from exc
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        hosts = list(read_hosts(folder))
        before = tuple(hosts)
        yield hosts
        if tuple(hosts) != before:
            text = "# The hosts of this cloud. Change them with: sundog host add, sundog host remove"
            _write(folder / FILE_NAME, text, _Kept(hosts=tuple(hosts)))


def _write(path: Path, heading: str, told: BaseModel) -> None:
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{heading}\n")
            YAML(typ="safe", pure=True).dump(told.model_dump(mode="json"), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as exc:
        raise OutputError(f"{path} cannot be written: {exc}", path=path) from exc


def _resolved(name: str) -> str:
    """The number of a host's address, as a host may call itself by another; the name where nobody knows it."""
    try:
        return str(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return name


def add_host(
    folder: Path,
    uri: str,
    *,
    name: str = "",
    virt_type: VirtType | None = None,
    address: str = "",
    pool: str = DEFAULT_POOL,
    wire: str = "",
    shell: Sequence[str] = (),
    fence: Sequence[str] = (),
    cloud: str = "",
) -> HostCheck:
    """Look at a host and, if nothing is missing there, let it be one of a state folder's from now on.

    ``name`` is its own if it is empty, ``address`` that of the URI; without ``virt_type`` only KVM will do. ``wire``
    and ``shell`` are as in ``HostSpec``; ``fence`` is the command that switches it off; ``cloud`` is the id of the
    cloud, empty before its first start. Raises: InputError for what cannot be, or is there already; OutputError if the
    folder cannot be written.
    """
    spec = HostSpec(name, uri, address=_resolved(address or address_of(uri)), pool=pool, cloud=cloud)
    for host in read_hosts(folder):
        if name == host.name or uri == host.uri:
            raise InputError(f"{host.name} at {host.uri} is a host of this cloud already", host=host.name)
    check = asyncio.run(check_host(spec, name=name, virt_type=virt_type))
    if check.usable:
        found = check.spec
        try:
            new = KnownHost(
                name=found.name,
                uri=found.uri,
                uuid=found.uuid,
                virt_type=found.virt_type,
                address=found.address,
                pool=found.pool,
                wire=wire,
                shell=tuple(shell),
                fence=tuple(fence),
            )
        except ValidationError as exc:
            first = exc.errors()[0]
            raise InputError(f"a host cannot have the {first['loc'][0]} {first['input']!r}: {first['msg']}") from exc
        with changing_hosts(folder) as hosts:
            refuse_twice(hosts, new)
            hosts.append(new)
    return check


def change_host(folder: Path, name: str, *, fence: Sequence[str]) -> KnownHost:
    """Let a host be switched off by another command, or by none if it is empty; a cloud that is served knows at once.

    Raises: InputError if there is no such host; OutputError if the folder cannot be written.
    """
    with changing_hosts(folder) as hosts:
        known = find_host(hosts, name)
        changed = known.model_copy(update={"fence": tuple(fence)})
        hosts[hosts.index(known)] = changed
    return changed


def release(host: KnownHost, cloud: str) -> str:
    """Let a host be another cloud's, now that it is no more that of ``cloud``, an id.

    Why it cannot be yet, and what to do about it; empty if it can.
    """
    if not cloud:
        return ""  # a cloud that never ran has left nothing there
    try:
        return asyncio.run(release_host(host.spec(cloud)))
    except InputError as exc:
        return exc.message
