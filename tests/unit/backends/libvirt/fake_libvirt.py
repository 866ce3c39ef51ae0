"""A host's libvirt as far as it is asked while a host is looked at and connected. Its errors have libvirt's codes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from sundog.backends.libvirt.failures import Code
from sundog.runtime import clock

GIB = 2**30
UUID = "8b0f1c44-7c6e-4c55-9f2a-0d8e5a3b7f10"


class LibvirtError(Exception):
    """What libvirt-python raises."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code

    def get_error_code(self) -> int:
        return self.code


@dataclass
class Host:
    """A machine with libvirt, and what is wrong with it. ``refuses`` are calls of a connection that fail."""

    uuid: str = UUID
    name: str = "host-1.example.org"
    version: int = 9_000_000
    kinds: tuple[str, ...] = ("qemu", "kvm")
    cpus: int = 4
    memory_mib: int = 8192
    free: int = 870 * GIB
    ahead: float = 0.0
    domains: tuple[str, ...] = ()
    refuses: dict[str, LibvirtError] = field(default_factory=dict)
    pools: dict[str, Pool] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    filters: dict[str, str] = field(default_factory=dict)
    opened: int = 0

    def capabilities(self) -> str:
        cells = "".join(f"<cpu id='{number}'/>" for number in range(self.cpus))
        kinds = "".join(f"<domain type='{kind}'/>" for kind in self.kinds)
        return (
            f"<capabilities><host><uuid>{self.uuid}</uuid><cpu><arch>x86_64</arch></cpu><topology><cells num='1'>"
            f"<cell id='0'><memory unit='KiB'>{self.memory_mib * 1024}</memory><cpus>{cells}</cpus></cell>"
            f"</cells></topology></host><guest><arch name='x86_64'>{kinds}</arch></guest></capabilities>"
        )


class Library:
    """The module ``libvirt`` with these hosts, by their URIs."""

    libvirtError = LibvirtError  # noqa: N815 - its name there
    VIR_DOMAIN_EVENT_ID_LIFECYCLE = 0
    VIR_STORAGE_VOL_FILE = 0
    VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES = 1

    def __init__(self, **hosts: Host) -> None:
        self.hosts = {f"qemu+tls://{name}/system": host for name, host in hosts.items()}

    def open(self, uri: str) -> Connection:
        host = self.hosts.get(uri)
        if host is None:
            raise LibvirtError(f"unable to connect to server at '{uri}': Connection refused", 38)
        if "open" in host.refuses:
            raise host.refuses["open"]
        host.opened += 1
        return Connection(host)


class Connection:
    """To one host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.closed = False

    def __getattribute__(self, name: str) -> Any:
        host: Host = object.__getattribute__(self, "host")
        if name in host.refuses:
            raise host.refuses[name]
        return object.__getattribute__(self, name)

    def close(self) -> None:
        self.closed = True

    def isAlive(self) -> bool:  # noqa: N802
        return not self.closed

    def setKeepAlive(self, _interval: int, _count: int) -> None: ...  # noqa: N802

    def registerCloseCallback(self, _call: Callable[..., None], _opaque: Any) -> None: ...  # noqa: N802

    def unregisterCloseCallback(self) -> None: ...  # noqa: N802

    def domainEventRegisterAny(self, *_wanted: Any) -> int:  # noqa: N802
        return 0

    def domainEventDeregisterAny(self, _number: int) -> None: ...  # noqa: N802

    def getLibVersion(self) -> int:  # noqa: N802
        return self.host.version

    getVersion = getLibVersion  # noqa: N815

    def getHostname(self) -> str:  # noqa: N802
        return self.host.name

    def getCapabilities(self) -> str:  # noqa: N802
        return self.host.capabilities()

    def listAllDomains(self, _flags: int) -> list[Domain]:  # noqa: N802
        return [Domain(text) for text in self.host.domains]

    def listAllNWFilters(self, _flags: int) -> list[Filter]:  # noqa: N802
        return [Filter(self.host, name) for name in self.host.filters]

    def nwfilterDefineXML(self, text: str) -> None:  # noqa: N802
        self.host.filters[ET.fromstring(text).get("name", "")] = text

    def nwfilterLookupByName(self, name: str) -> Filter:  # noqa: N802
        return Filter(self.host, name)

    def listAllNetworks(self, _flags: int) -> list[Network]:  # noqa: N802
        return list(self.host.networks.values())

    def networkLookupByName(self, name: str) -> Network:  # noqa: N802
        if name not in self.host.networks:
            raise LibvirtError(f"no network with matching name '{name}'", Code.NO_NETWORK)
        return self.host.networks[name]

    def networkDefineXML(self, text: str) -> Network:  # noqa: N802
        network = Network(self.host, text)
        self.host.networks[network.name()] = network
        return network

    def networkCreateXML(self, text: str) -> Network:  # noqa: N802
        network = self.networkDefineXML(text)
        network.create()
        return network

    def storagePoolLookupByName(self, name: str) -> Pool:  # noqa: N802
        if name not in self.host.pools:
            raise LibvirtError(f"no storage pool with matching name '{name}'", Code.NO_STORAGE_POOL)
        return self.host.pools[name]

    def storagePoolDefineXML(self, text: str, _flags: int) -> Pool:  # noqa: N802
        pool = Pool(self.host, text)
        self.host.pools[pool.name] = pool
        return pool

    def newStream(self, _flags: int) -> Stream:  # noqa: N802
        return Stream()


class Domain:
    """One that is stopped."""

    def __init__(self, text: str) -> None:
        self.text = text

    def XMLDesc(self, _flags: int) -> str:  # noqa: N802
        return self.text

    def state(self, _flags: int) -> tuple[int, int]:
        return 5, 1

    def hasManagedSaveImage(self, _flags: int) -> bool:  # noqa: N802
        return False

    def isPersistent(self) -> bool:  # noqa: N802
        return True


class Filter:
    """Of a port."""

    def __init__(self, host: Host, name: str) -> None:
        self.host, self._name = host, name

    def name(self) -> str:
        return self._name

    def undefine(self) -> None:
        del self.host.filters[self._name]


class Network:
    """A bridge, once it was started."""

    def __init__(self, host: Host, text: str) -> None:
        self.host, self.text, self.active = host, text, False

    def name(self) -> str:
        return ET.fromstring(self.text).findtext("name") or ""

    def isActive(self) -> bool:  # noqa: N802
        return self.active

    def setAutostart(self, _on: int) -> None: ...  # noqa: N802

    def create(self) -> None:
        if "create" in self.host.refuses:
            raise self.host.refuses["create"]
        self.active = True

    def destroy(self) -> None:
        del self.host.networks[self.name()]


class Pool:
    """A folder with its files."""

    def __init__(self, host: Host, text: str) -> None:
        self.host, self.text = host, text.replace("/</path>", "</path>")
        self.name, self.path = (ET.fromstring(self.text).findtext(each) or "" for each in ("name", "target/path"))
        self.volumes: dict[str, Volume] = {}
        self.active = False

    def isActive(self) -> bool:  # noqa: N802
        return self.active

    def setAutostart(self, _on: int) -> None: ...  # noqa: N802

    def build(self, _flags: int) -> None:
        if "build" in self.host.refuses:
            raise self.host.refuses["build"]

    def create(self, _flags: int) -> None:
        self.active = True

    def destroy(self) -> None:
        self.active = False

    def undefine(self) -> None:
        del self.host.pools[self.name]

    def refresh(self, _flags: int) -> None: ...

    def XMLDesc(self, _flags: int) -> str:  # noqa: N802
        return self.text

    def info(self) -> tuple[int, int, int, int]:
        return 2, 2000 * GIB, 2000 * GIB - self.host.free, self.host.free

    def storageVolLookupByName(self, name: str) -> Volume:  # noqa: N802
        if name not in self.volumes:
            raise LibvirtError(f"Storage volume not found: {name}", Code.NO_STORAGE_VOL)
        return self.volumes[name]

    def listAllVolumes(self, _flags: int) -> list[Volume]:  # noqa: N802
        inside = [pool for pool in self.host.pools.values() if pool.path.startswith(f"{self.path}/")]
        folders = [Volume(self, PurePosixPath(each.path).name, 0.0, bytearray(), kind=2) for each in inside]
        return [*self.volumes.values(), *folders]

    def createXML(self, text: str, _flags: int) -> Volume:  # noqa: N802
        name, size = (ET.fromstring(text).findtext(each) or "" for each in ("name", "capacity"))
        self.volumes[name] = Volume(self, name, clock.wall_seconds() + self.host.ahead, bytearray(int(size)))
        return self.volumes[name]


@dataclass
class Volume:
    """A file."""

    pool: Pool
    name: str
    mtime: float
    data: bytearray
    kind: int = 0

    def XMLDesc(self, _flags: int) -> str:  # noqa: N802
        return f"<volume><target><timestamps><mtime>{self.mtime:.9f}</mtime></timestamps></target></volume>"

    def info(self) -> tuple[int, int, int]:
        return self.kind, len(self.data), 0

    def delete(self, _flags: int) -> None:
        del self.pool.volumes[self.name]

    def resize(self, size: int, _flags: int) -> None:
        self.data = bytearray(bytes(self.data[:size]).ljust(size, b"\0"))

    def upload(self, stream: Stream, _offset: int, _length: int, _flags: int) -> None:
        stream.volume = self

    def download(self, stream: Stream, _offset: int, _length: int, _flags: int) -> None:
        stream.left = bytes(self.data)


class Stream:
    """Bytes on their way."""

    def __init__(self) -> None:
        self.volume: Volume | None = None
        self.left = b""

    def send(self, data: bytes) -> int:
        assert self.volume is not None
        self.volume.data[: len(data)] = data
        return len(data)

    def recv(self, size: int) -> bytes:
        part, self.left = self.left[:size], self.left[size:]
        return part

    def finish(self) -> None: ...

    def abort(self) -> None: ...
