"""Whether a machine can be a host: what is there, what is missing, and what to do about it.

Nothing is left on it but the two storage pools that every host has, and those only if all else is well.
"""

from __future__ import annotations

import contextlib
import ipaddress
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

from sundog.backends.libvirt.domain_xml import read_domain
from sundog.backends.libvirt.failures import Code
from sundog.backends.libvirt.host_xml import HostFacts, read_capabilities, write_network, write_volume
from sundog.backends.libvirt.identity import FILE, of_another_cloud, read_identity, to_be_given_up
from sundog.backends.libvirt.inventory import RESERVED_MEMORY_MIB
from sundog.backends.libvirt.link import HostSpec, Link
from sundog.backends.libvirt.native import OLDEST, Connection, Library, dotted, library
from sundog.backends.libvirt.records import VirtType
from sundog.backends.libvirt.storage import POOL
from sundog.backends.libvirt.threads import NoAnswer, NotStarted, Workers
from sundog.errors import BackendFailed, InputError
from sundog.runtime import clock
from sundog.units import Seconds

T = TypeVar("T")

Verdict: TypeAlias = Literal["good", "missing", "note"]

SCHEMES: Final = ("qemu", "qemu+unix", "qemu+ssh", "qemu+libssh2", "qemu+tls", "qemu+tcp")
"""How hosts are reached. ``qemu+tcp`` has neither passwords nor secrets: it is for test beds."""

LEAST_GIB: Final = 1
"""Less room than this for the disks of servers is none."""

_LITTLE_GIB: Final = 10
_SKEW: Final[Seconds] = 2.0
_CONNECT: Final[Seconds] = 20.0
_CALL: Final[Seconds] = 60.0
_TRIED: Final = "sundog-check"
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what, how it is, and what to do if it is not good."""

    what: str
    verdict: Verdict
    told: str
    advice: str = ""

    def __str__(self) -> str:
        """A line for people."""
        return f"{self.verdict:<8}{self.what}: {self.told}" + (f"; {self.advice}" if self.advice else "")


@dataclass(frozen=True, slots=True)
class HostCheck:
    """A host as it was found. ``spec`` has its own uuid, and its name if none was given."""

    spec: HostSpec
    findings: tuple[Finding, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether nothing is missing."""
        return all(each.verdict != "missing" for each in self.findings)


def address_of(uri: str) -> str:
    """Where a URI's host is, for other hosts: its own address, that of this machine if it has none.

    Raises: InputError for what is no URI of QEMU.
    """
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except ValueError as error:
        raise InputError(f"{uri} is no address of a host: {error}", uri=uri) from error
    if parts.scheme not in SCHEMES or not parts.path.startswith("/system"):
        raise InputError(
            f"{uri} is no address of a host; write one such as qemu+ssh://root@HOST/system or qemu:///system "
            f"({', '.join(SCHEMES)})",
            uri=uri,
        )
    return host or "127.0.0.1"


async def check_host(
    spec: HostSpec, *, name: str = "", virt_type: VirtType | None = None, native: Library = None
) -> HostCheck:  # fmt: skip
    """Look at a host. ``name`` is what it is to be called, its own name if that is empty.

    Without ``virt_type`` only KVM will do. ``native`` is libvirt, its library unless it is said.
    Raises: InputError where libvirt-python is not installed.
    """
    checker = _Checker(spec, native or library())
    try:
        await checker.look(name, virt_type or "kvm")
    finally:
        await checker.close()
    return HostCheck(checker.spec, tuple(checker.findings))


@dataclass(slots=True)
class _Checker:
    """One look at one host. A step that finds something missing says whether the next ones make sense."""

    spec: HostSpec
    native: Library
    findings: list[Finding] = field(default_factory=list)
    connection: Connection = None
    workers: Workers = field(default_factory=lambda: Workers("libvirt-check", size=1, most=4))

    async def look(self, name: str, virt_type: VirtType) -> None:
        """All of it, in order."""
        if not await self._connect() or not await self._is_new_enough():
            return
        facts = await self._capabilities()
        if facts is None:
            return
        own_name = await self._try("name", lambda connection: str(connection.getHostname()))
        short = (own_name or "").split(".")[0]
        self.spec = replace(self.spec, name=name or short, uuid=facts.uuid, virt_type=virt_type)
        self._can_run(facts, virt_type)
        await self._is_nobodys()
        await self._has_networks()
        if all(each.verdict != "missing" for each in self.findings):
            await self._has_room()

    async def close(self) -> None:
        """Let the host go."""
        if self.connection is not None:
            with contextlib.suppress(self.native.libvirtError, NoAnswer, NotStarted):
                await self.workers.call(self.connection.close, _CONNECT)
        self.workers.close()

    def _say(self, what: str, verdict: Verdict, told: str, advice: str = "") -> None:
        self.findings.append(Finding(what, verdict, told, advice))

    async def _try(self, what: str, fn: Callable[[Connection], T], advice: str = "") -> T | None:
        """What a call brings, None if it fails, which is then something that is missing."""
        try:
            return await self.workers.call(lambda: fn(self.connection), _CALL)
        except self.native.libvirtError as error:
            self._say(what, "missing", str(error), advice)
        except BackendFailed as error:
            self._say(what, "missing", error.message)
        except (NoAnswer, NotStarted) as error:
            self._say(what, "missing", str(error), "is its libvirtd well? systemctl status libvirtd says so")
        return None

    async def _connect(self) -> bool:
        try:
            self.connection = await self.workers.call(lambda: self.native.open(self.spec.uri), _CONNECT)
        except (self.native.libvirtError, NoAnswer, NotStarted) as error:
            self._say("connection", "missing", str(error), _way(self.spec.uri))
            return False
        self._say("connection", "good", self.spec.uri)
        if not _is_for_others(self.spec.address):
            self._say(
                "address", "note", f"other hosts do not reach it at {self.spec.address}",
                "say --address IP if servers are to be migrated live to it",
            )  # fmt: skip
        if urlsplit(self.spec.uri).scheme == "qemu+tcp":
            self._say("secrecy", "note", "qemu+tcp is open to everybody on the wire", "use qemu+tls or qemu+ssh")
        return True

    async def _is_new_enough(self) -> bool:
        version = await self._try("libvirt", lambda connection: int(connection.getLibVersion()))
        if version is None:
            return False
        if version < OLDEST:
            self._say("libvirt", "missing", f"it is {dotted(version)}", f"install {dotted(OLDEST)} or later")
            return False
        self._say("libvirt", "good", dotted(version))
        return True

    async def _capabilities(self) -> HostFacts | None:
        text = await self._try("QEMU", lambda connection: str(connection.getCapabilities()))
        return None if text is None else read_capabilities(text)

    def _can_run(self, facts: HostFacts, virt_type: VirtType) -> None:
        if not facts.virt_types:
            self._say("QEMU", "missing", "it runs no x86_64 guests", "apt install qemu-system-x86")
        elif virt_type not in facts.virt_types:
            self._say(
                "KVM", "missing", "the processor's virtualisation cannot be used",
                "switch it on in the firmware and load the module kvm_intel or kvm_amd; "
                "or say --virt-type qemu to have guests emulated, which is slow",
            )  # fmt: skip
        else:
            kind = "KVM" if virt_type == "kvm" else "QEMU without KVM, which is slow"
            self._say("hypervisor", "good", kind)
        told = f"{facts.cpus} processors, {facts.memory_mib} MiB of memory"
        if facts.memory_mib < 2 * RESERVED_MEMORY_MIB:
            self._say("size", "note", told, "that is hardly enough for one server")
        else:
            self._say("size", "good", told)

    async def _is_nobodys(self) -> None:
        """A copy that a cloud does not know is removed from its hosts: so nobody else's may be there."""

        def stamped(connection: Connection) -> int:
            return sum(read_domain(domain.XMLDesc(0)) is not None for domain in connection.listAllDomains(0))

        count = await self._try("servers", stamped)
        if count:
            self._say(
                "servers", "missing", f"it holds {count} of another cloud, or of an earlier state of this one",
                "this cloud would remove them: let theirs delete them first, or undefine them with virsh",
            )  # fmt: skip
        elif count == 0:
            self._say("servers", "good", "it holds none of another cloud")

    async def _has_networks(self) -> None:
        def bridge(connection: Connection) -> bool:
            connection.networkCreateXML(write_network(_TRIED, "sbrcheck", 1500)).destroy()
            return True

        advice = "apt install libvirt-daemon-system, and load the module bridge"
        if await self._try("bridges", bridge, advice):
            self._say("bridges", "good", "networks can be made")

        advice = (
            "install libvirt's nwfilter driver, apt install libvirt-daemon-system: no guest runs without its filter"
        )
        if await self._try("nwfilter", lambda connection: connection.listAllNWFilters(0) or True, advice):
            self._say("nwfilter", "good", "libvirt's filters are there")

    async def _has_room(self) -> None:
        link = Link(0, self.spec, self.native, lambda _event: None)

        def look(connection: Connection) -> tuple[int, float, bytes | None]:
            link.storage.prepare(connection)
            pool = connection.storagePoolLookupByName(POOL)
            pool.refresh(0)
            return int(pool.info()[3]), _skew(pool, self.native), link.storage.read_file(connection, FILE)

        advice = f"libvirtd must be able to make {self.spec.pool} and to write there; --pool says another place"
        found = await self._try("disk", look, advice)
        if found is None:
            return
        free, skew, data = found[0] // _GIB, found[1], found[2]
        self._is_no_other_clouds(data)
        told = f"{free} GiB are free in {self.spec.pool}"
        if free < LEAST_GIB:
            self._say("disk", "missing", told, "make room, or say --pool DIR for another place")
        elif free < _LITTLE_GIB:
            self._say("disk", "note", told, "that is room for few servers")
        else:
            self._say("disk", "good", told)
        if abs(skew) > _SKEW:
            told = f"it is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
            self._say("clock", "note", told, "run NTP on both, such as systemd-timesyncd or chrony")
        else:
            self._say("clock", "good", f"within {_SKEW:g} s of this machine's")

    def _is_no_other_clouds(self, data: bytes | None) -> None:
        """By its file, which is there also while the other cloud has no servers on it."""
        try:
            left = read_identity(data or b"")
        except ValueError as error:
            self._say("owner", "missing", str(error), f"see whose {self.spec.pool}/{FILE} is, and remove it")
            return
        if left is not None and (why := of_another_cloud(left, self.spec.cloud)):
            self._say("owner", "missing", why, to_be_given_up(left.cloud))


async def release_host(spec: HostSpec) -> str:
    """Remove our file from a host, so that it may be another cloud's. Why it is still there; empty if it is not.

    Raises: InputError where libvirt-python is not installed.
    """
    native = library()
    workers = Workers("libvirt-release", size=1, most=4)
    by_hand = f"before it can be another cloud's, remove {spec.pool}/{FILE} on it by hand"
    try:
        connection = await workers.call(lambda: native.open(spec.uri), _CONNECT)
        try:
            why = await workers.call(lambda: _release(connection, spec, native), _CALL)
        finally:
            with contextlib.suppress(native.libvirtError, NoAnswer, NotStarted):
                await workers.call(connection.close, _CONNECT)
    except (native.libvirtError, NoAnswer, NotStarted) as error:
        why = str(error)
    finally:
        workers.close()
    return f"{why}; {by_hand}" if why else ""


def _release(connection: Connection, spec: HostSpec, native: Library) -> str:
    storage = Link(0, spec, native, lambda _event: None).storage
    try:
        left = read_identity(storage.read_file(connection, FILE) or b"")
    except native.libvirtError as error:
        if error.get_error_code() != Code.NO_STORAGE_POOL:
            raise
        return ""
    except ValueError as error:
        return str(error)
    if left is None:
        return ""
    if left.uuid != spec.uuid or left.uuid != read_capabilities(connection.getCapabilities()).uuid:
        return f"it says that it is {left.uuid}, and host {spec.name} is {spec.uuid}"
    if why := of_another_cloud(left, spec.cloud):
        return why
    storage.delete_file(connection, FILE)
    return ""


def _skew(pool: Any, native: Library) -> Seconds:
    """How far a host's clock is ahead of ours: the age of a file that it has just made."""
    with contextlib.suppress(native.libvirtError):
        pool.storageVolLookupByName(_TRIED).delete(0)
    before = clock.wall_seconds()
    volume = pool.createXML(write_volume(_TRIED, "raw", 0), 0)
    after = clock.wall_seconds()
    try:
        told = float(ET.fromstring(volume.XMLDesc(0)).findtext("target/timestamps/mtime") or before)  # noqa: S314
    finally:
        volume.delete(0)
    return told - after if told > after else min(0.0, told - before)


def _is_for_others(address: str) -> bool:
    """Whether an address means the same on every host: a number, and not that of each machine to itself."""
    try:
        return not ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _way(uri: str) -> str:
    """What to do where a host cannot be connected."""
    parts = urlsplit(uri)
    where = parts.hostname or "this machine"
    return {
        "qemu+ssh": f"try: ssh {parts.netloc or 'HOST'} virsh -c qemu:///system version; it must ask for no password",
        "qemu+libssh2": f"try: ssh {parts.netloc or 'HOST'} virsh -c qemu:///system version",
        "qemu+tls": f"is libvirtd-tls.socket started on {where}, and are the certificates in /etc/pki here and there?",
        "qemu+tcp": f"is libvirtd-tcp.socket started on {where}, and does its firewall let port 16509 in?",
    }.get(parts.scheme, "is libvirtd started, and may you use it? adduser $USER libvirt")
