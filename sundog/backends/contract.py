"""What a compute driver does for the control plane: one contract for simulated hosts and for real ones.

A driver acts on *copies*: what one host holds of one server. A copy is known by the server's uuid and a generation, a
number that the control plane raises before it makes another copy. So a copy that came back with a dead host is told
from the one that replaced it, and an operation for one never touches the other.

What holds for every operation:

- ``deadline`` is how many seconds from now the caller waits. An operation never returns or raises much later.
- It returns after it has happened, or raises one of five errors. ``BackendFailed`` (with ``HostDown`` and
  ``NoSuchServer``): it did not happen, and nothing of it is left but what a power cut leaves on a dead host.
  ``NotSupported``: it never will happen; the capability record says so beforehand. ``OutcomeUnknown``: it may or may
  not have happened, or may yet.
- A caller that is cancelled knows as little as after ``OutcomeUnknown``.
- ``OutcomeUnknown`` is settled by looking: ``list_servers`` of the host, once the copy is no longer ``busy``. The
  operations marked *repeatable* may then simply be asked again: they look first, and do what is missing.
- Operations on one copy happen one at a time, in the order in which they were asked. ``destroy`` waits for none of
  them: it breaks off what is under way, whose caller gets ``BackendFailed``.
- Operations on other hosts never wait for a host that is down or slow.

There is no operation for two things, since they are made of others. Shelving takes a ``snapshot`` and then destroys the
copy. Evacuation spawns the server elsewhere with a new generation, after ``fence``; the old copy is destroyed when its
host is back. Records are frozen, sizes are in the unit of their name, and host and server ids are uuids as text.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from sundog.core.pool import Inventory
from sundog.units import Seconds

# ---------------------------------------------------------------------------------------------------------------- hosts


class HostState(StrEnum):
    """What a driver knows of a host. It may be out of date by the time that it takes to notice (seconds)."""

    UP = "up"
    """It answers."""
    DOWN = "down"
    """It does not answer. Its servers may be dead, or run on behind a broken link."""
    FENCED = "fenced"
    """It was fenced and has not come back since: nothing runs on it."""


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A part of a host that is a resource provider of its own, such as a GPU or a NUMA cell."""

    name: str
    inventory: Mapping[str, Inventory]
    traits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostRecord:
    """A host, its inventory by OpenStack's resource classes, and whether it answers.

    ``uuid`` is the host's own and stays with it when its name changes. ``zone``, ``rack`` and ``aggregates`` are where
    it stands, as far as the driver knows; the control plane may put it elsewhere. ``reason`` says in words why it does
    not answer, if that is known. One that has never answered may be told of without an inventory.
    """

    uuid: str
    name: str
    state: HostState
    inventory: Mapping[str, Inventory]
    traits: tuple[str, ...] = ()
    devices: tuple[DeviceRecord, ...] = ()
    zone: str | None = None
    rack: str | None = None
    aggregates: tuple[str, ...] = ()
    hypervisor_type: str = ""
    hypervisor_version: int = 0
    address: str = ""
    reason: str = ""


# -------------------------------------------------------------------------------------------------------------- servers


class PowerState(StrEnum):
    """What a copy is doing, by Nova's words."""

    NOSTATE = "nostate"
    """It was not finished: what a spawn that was broken off by a power cut leaves behind."""
    RUNNING = "running"
    PAUSED = "paused"
    SHUTDOWN = "shutdown"
    CRASHED = "crashed"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class ServerKey:
    """One copy of a server among all that there are or were."""

    uuid: str
    generation: int

    def __str__(self) -> str:
        return f"{self.uuid} (generation {self.generation})"


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image to boot from. ``disk_format`` is what an inspection found, never what a client claimed."""

    id: str
    size_bytes: int
    disk_format: str = "qcow2"
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class PortSpec:
    """A port to be plugged: its addresses, and the network it leads to. ``fixed_ips`` are addresses as text."""

    id: str
    network_id: str
    mac_address: str
    fixed_ips: tuple[str, ...] = ()
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """All that a host must know to make a copy of a server.

    ``image`` None keeps the disk that is there (``reuse_disk``, resize). ``resources`` are amounts by resource class
    beyond vCPUs, memory and disk, and ``devices`` the names of the host's devices that it was given. ``user_data`` is
    what cloud-init reads, not encoded. ``drive`` are the documents of its config drive by their path, where it has one;
    the user data goes beside each ``meta_data.json``. The generation is above that of the server's earlier copies.
    """

    uuid: str
    generation: int
    name: str
    project_id: str
    vcpus: int
    memory_mib: int
    root_gib: int = 0
    ephemeral_gib: int = 0
    swap_mib: int = 0
    image: ImageReference | None = None
    ports: tuple[PortSpec, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    user_data: bytes | None = None
    config_drive: bool = False
    drive: Mapping[str, str] = field(default_factory=dict)
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, float] = field(default_factory=dict)
    devices: tuple[str, ...] = ()

    @property
    def key(self) -> ServerKey:
        """Which copy this makes."""
        return ServerKey(self.uuid, self.generation)


@dataclass(frozen=True, slots=True)
class ServerCopy:
    """What a host holds of a server, for reconciling.

    ``kept``: the source of a resize, which is kept for a revert and cannot be started. ``busy``: an operation on it is
    under way or waits for its turn, so that what is said here may be about to change.
    """

    uuid: str
    generation: int
    power_state: PowerState
    kept: bool = False
    busy: bool = False
    ports: tuple[str, ...] = ()

    @property
    def key(self) -> ServerKey:
        """Which copy this is."""
        return ServerKey(self.uuid, self.generation)


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """How far a live migration is: memory still to be sent grows when the guest writes faster than the link carries."""

    elapsed_s: Seconds
    memory_total_bytes: int
    memory_processed_bytes: int
    memory_remaining_bytes: int


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """What a snapshot wrote: the format of the stream, its length, and the size of the disk in it."""

    disk_format: str
    size_bytes: int
    virtual_size_bytes: int


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """What a host says of a running copy. ``cpu_time_s`` is that of all its vCPUs together."""

    power_state: PowerState
    uptime_s: Seconds
    cpu_time_s: Seconds
    vcpus: int
    memory_mib: int
    memory_used_mib: int
    mac_addresses: tuple[str, ...] = ()


class ConsoleStream(Protocol):
    """A console of a copy that was opened: what the guest writes, and what is written to it, as bytes.

    It ends when the copy is no longer in its host's memory as it was when it was opened (it stopped, was suspended,
    moved, or is gone), when its host is found to be down, and when it is closed. None of its operations has a
    deadline: whoever waits may be cancelled, and nothing is lost by that but what was being written.
    """

    async def read(self) -> bytes:
        """What the guest wrote next, as soon as there is anything. Empty at the end, and from then on."""
        ...

    async def write(self, data: bytes) -> None:
        """Type ``data``. Waits while the guest takes no more. Raises: BackendFailed if it has ended."""
        ...

    async def close(self) -> None:
        """End it; whoever reads gets the end. Repeatable."""
        ...


class ImageSink(Protocol):
    """Where a snapshot goes."""

    async def write(self, data: bytes) -> None:
        """Take the next bytes. What it raises ends the snapshot as ``BackendFailed``."""
        ...


# --------------------------------------------------------------------------------------------------------------- events


class EventKind(StrEnum):
    """What may happen by itself or by an operation. A copy's events come in order; those of two copies may not."""

    STARTED = "started"
    STOPPED = "stopped"
    CRASHED = "crashed"
    PAUSED = "paused"
    UNPAUSED = "unpaused"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    MIGRATED = "migrated"
    """A live migration ended: the copy runs on the event's host."""
    REMOVED = "removed"
    HOST_UP = "host-up"
    """It is there, or again. Events of the time between were lost: list its servers."""
    HOST_DOWN = "host-down"
    LOST = "lost"
    """It could not keep up, or lost its connection: events of the host, or of any if that is empty, are missing."""


@dataclass(frozen=True, slots=True)
class LifecycleEvent:
    """Something happened on a host, at ``time`` of the loop's clock. A hint: what holds is ``list_servers``."""

    kind: EventKind
    time: Seconds
    host: str
    server: ServerKey | None = None


class EventStream(Protocol):
    """Events from the moment at which it was made. Subscribe first and list then: so nothing falls in between."""

    def __aiter__(self) -> AsyncIterator[LifecycleEvent]:
        """The events, until it is closed."""
        ...

    def close(self) -> None:
        """End it. Who waits for the next event gets the end."""
        ...


# --------------------------------------------------------------------------------------------------------- capabilities


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a driver can do. Callers ask this record, never which driver it is.

    What is False or empty here raises ``NotSupported``, always; what is True never does.
    """

    name: str
    """The driver's name, for people."""

    disk_formats: tuple[str, ...]
    """Formats of images that servers may boot from, such as ``qcow2`` and ``raw``."""

    pause: bool = False
    """Stop the vCPUs of a server and let them go on, with its memory kept where it is."""

    suspend: bool = False
    """Write a server's memory to disk and bring it back."""

    soft_reboot: bool = False
    """Ask the guest to restart. Where it is False, a soft reboot is done as a hard one."""

    rescue: bool = False
    """Boot a server from another image, with its own disk beside it."""

    rebuild: bool = False
    """Give a server a new disk from an image, in its place."""

    resize: bool = False
    """Move a stopped server to another host, or to another size on the same one. Cold migration is this as well."""

    live_migration: bool = False
    """Move a running server to another host."""

    abort_live_migration: bool = False
    """Break a live migration off while it copies."""

    force_live_migration: bool = False
    """Bring a live migration to its end however fast the guest writes, at the price of a longer standstill."""

    snapshot: bool = False
    """Read a server's disk into an image."""

    snapshot_running: bool = False
    """Do so without stopping the server."""

    shared_disks: bool = False
    """Hosts see each other's disks: a copy can be spawned from the disk of one on a dead host (``reuse_disk``)."""

    plug_running: bool = False
    """Plug and unplug ports of a server that runs."""

    set_password: bool = False
    """Set the password of the guest's administrator."""

    console_log: bool = False
    """Read what a server wrote to its serial console."""

    consoles: tuple[str, ...] = ()
    """Kinds of console that can be opened: ``serial`` for a line of text, ``novnc`` (RFB) and ``spice-html5`` for a
    screen."""

    config_drive: bool = False
    """Give a server its metadata on a small disk."""

    diagnostics: bool = False
    """Say how a running server is doing."""

    fence: bool = False
    """Make sure, without the host's help, that nothing runs on it."""


# ----------------------------------------------------------------------------------------------------------- the driver

RebootKind = Literal["SOFT", "HARD"]


class ComputeDriver(Protocol):
    """The contract. ``check_driver`` tries it out; the module says what holds for every operation."""

    # -- what it is

    @property
    def capabilities(self) -> Capabilities:
        """What it can do. The same for as long as it lives."""
        ...

    # -- hosts and inventory

    async def hosts(self, *, deadline: Seconds) -> Sequence[HostRecord]:
        """Every host that it knows, up or not, in a fixed order. Answered from what is known; waits for no host."""
        ...

    async def list_servers(self, host: str, *, deadline: Seconds) -> Sequence[ServerCopy]:
        """Every copy on the host that this cloud made, kept and unfinished ones too, by uuid and then generation.

        What somebody else made there is never shown, and never touched.
        """
        ...

    async def fence(self, host: str, *, deadline: Seconds) -> None:
        """Make sure that nothing runs on the host until it is brought back by hand. Repeatable.

        A host that is off already is a success. Works on a host that does not answer: that is what it is for.
        """
        ...

    # -- the life of a copy

    async def spawn(
        self, host: str, spec: ServerSpec, *, deadline: Seconds, start: bool = True, reuse_disk: bool = False
    ) -> None:
        """Make the copy ``spec.key`` on the host, and start it unless told otherwise. Repeatable.

        Where the copy is there already, it is finished and started if need be, and never made twice. Where another copy
        of the server is there: BackendFailed; destroy that first. ``reuse_disk`` takes the disk of the server's last
        copy on storage that hosts share, instead of a new one from the image.
        """
        ...

    async def destroy(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Stop exactly this copy and remove all that belongs to it. Repeatable: one that is not there is a success.

        Copies of other generations are left alone. Whatever is under way on this copy is broken off.
        """
        ...

    async def rebuild(self, host: str, spec: ServerSpec, *, deadline: Seconds, start: bool = True) -> None:
        """Replace the server's older copy on this host by ``spec``, with a new disk from its image. Repeatable.

        The ports are those of ``spec``. If it fails before the old disk is given up, the old copy is as it was.
        """
        ...

    # -- power

    async def power_on(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Start the copy, whether it was shut down, crashed or suspended (it resumes). Repeatable."""
        ...

    async def power_off(self, host: str, server: ServerKey, *, deadline: Seconds, grace: Seconds = 0) -> None:
        """Stop the copy. The guest has ``grace`` seconds to do so itself before it is cut off. Repeatable."""
        ...

    async def reboot(self, host: str, server: ServerKey, kind: RebootKind, *, deadline: Seconds) -> None:
        """Restart the copy. SOFT asks the guest, and may cut it off; HARD also starts a stopped one.

        Not repeatable: asked twice, it restarts twice.
        """
        ...

    async def pause(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Stop the vCPUs of a running copy. Repeatable."""
        ...

    async def unpause(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Let a paused copy go on. Repeatable."""
        ...

    async def suspend(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Write the memory of a running copy to disk, and stop it. Repeatable."""
        ...

    async def resume(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Bring a suspended copy back to where it was. Repeatable."""
        ...

    async def rescue(self, host: str, server: ServerKey, image: ImageReference, *, deadline: Seconds) -> None:
        """Restart the copy from ``image``, with its own disk as the second one. Repeatable."""
        ...

    async def unrescue(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Restart the copy from its own disk again. Repeatable."""
        ...

    # -- moving. A resize and a cold migration are begin, finish, and then confirm or revert. The copy that they leave
    #    is kept meanwhile: it holds its disk, and cannot be started.

    async def resize_begin(
        self, host: str, server: ServerKey, target: str, spec: ServerSpec, *, deadline: Seconds
    ) -> None:
        """Stop the copy, keep it, and make the stopped copy ``spec.key`` from its disk on ``target``. Repeatable.

        ``target`` may be the same host. If it fails, the copy is no longer kept, and runs if it ran before.
        """
        ...

    async def resize_finish(self, host: str, server: ServerKey, *, deadline: Seconds, start: bool = True) -> None:
        """Grow the disk of the new copy to its size, and start it unless told otherwise. Repeatable."""
        ...

    async def resize_confirm(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Remove the kept copy ``server``; nothing but a kept one. Repeatable: one that is not there is a success."""
        ...

    async def resize_revert(self, host: str, server: ServerKey, *, deadline: Seconds, start: bool = True) -> None:
        """Make the kept copy ``server`` an ordinary one again, and start it unless told otherwise. Repeatable.

        The new copy is to be destroyed first; where it is on the same host, this fails otherwise.
        """
        ...

    async def live_migrate(
        self, host: str, server: ServerKey, target: str, *, generation: int, deadline: Seconds
    ) -> None:
        """Move the running copy to ``target``, where it has the new ``generation``; the host keeps nothing. Repeatable.

        At no instant do both run. If it fails, the copy runs on at home and ``target`` holds nothing of it.
        """
        ...

    async def live_migration_progress(
        self, host: str, server: ServerKey, *, deadline: Seconds
    ) -> MigrationProgress | None:
        """How far the live migration of the copy from this host is; None if there is none."""
        ...

    async def live_migration_abort(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Break the copy's live migration off: it fails, and the copy stays. BackendFailed if there is none."""
        ...

    async def live_migration_force(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Let the copy's live migration come to its end: the guest stands still for the rest of it. Repeatable.

        Returns when the guest stands still; the end is that of ``live_migrate``. BackendFailed if there is none.
        """
        ...

    # -- disks and images

    async def snapshot(self, host: str, server: ServerKey, sink: ImageSink, *, deadline: Seconds) -> SnapshotRecord:
        """Write the copy's disk, flattened, to ``sink``. The copy goes on as it was. A repetition writes it again."""
        ...

    # -- ports

    async def plug(self, host: str, server: ServerKey, port: PortSpec, *, deadline: Seconds) -> None:
        """Give the copy a port. Repeatable, by the port's id."""
        ...

    async def unplug(self, host: str, server: ServerKey, port: str, *, deadline: Seconds) -> None:
        """Take the port with this id from the copy. Repeatable: one that is not there is a success."""
        ...

    # -- looking in

    async def console_log(
        self, host: str, server: ServerKey, *, deadline: Seconds, last_bytes: int = 100 * 1024
    ) -> bytes:
        """The last bytes that the copy wrote to its serial console, since it was made or for as long as is kept."""
        ...

    async def open_console(self, host: str, server: ServerKey, kind: str, *, deadline: Seconds) -> ConsoleStream:
        """Open a console of the running or paused copy; ``deadline`` is for that alone. BackendFailed if it is neither.

        A serial line has one end: opening it again takes it over, and the stream before ends. After ``OutcomeUnknown``
        just open it again.
        """
        ...

    async def diagnostics(self, host: str, server: ServerKey, *, deadline: Seconds) -> Diagnostics:
        """How the copy is doing."""
        ...

    async def set_password(self, host: str, server: ServerKey, password: str, *, deadline: Seconds) -> None:
        """Set the password of the guest's administrator in a running copy. Repeatable. It is kept nowhere."""
        ...

    # -- events

    def events(self) -> EventStream:
        """What happens on the hosts from now on. Any number of streams may be open."""
        ...
