"""A test bed: several libvirt hosts on one machine, each in mount, network, UTS, IPC and PID namespaces of its own.

Needs root, and no KVM. Faults have the names that they have on simulated hosts (docs/reference/faults.md).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bed import layout, processes
from tests.bed.layout import HostPlace, Layout
from tests.bed.needs import HOSTS, SEARCHED, BedError, need

ROOT = Path("/var/lib/sundog-bed")
WAIT_SECONDS = 60.0
LIBVIRT = Path("/etc/libvirt")
ENVIRONMENT = {"PATH": SEARCHED, "HOME": "/root", "LANG": "C.UTF-8"}
_PROBE = (
    *("unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--mount-proc", "sh", "-ec"),
    "mount -t sysfs sys /sys; ip link add probe0 type bridge; ip link add probe1 type veth peer name probe2; "
    "ip link add probe3 type vxlan id 1 dstport 4789 dev probe0; ip tuntap add probe4 mode tap; "
    "nft add table inet probe; iptables -n -L",
)
"""What a host does first, and its guests' cards: whoever may not do this can have no host."""

FAULTS = ("kill", "revive", "partition", "heal", "hang", "wake")


@dataclass(frozen=True)
class HostStatus:
    """How a host is. ``guests`` are its QEMU processes; ``stopped`` the names of processes that SIGSTOP holds."""

    place: HostPlace
    on: bool
    partitioned: bool
    guests: int
    stopped: tuple[str, ...]

    @property
    def well(self) -> bool:
        return self.on and not self.partitioned and not self.stopped

    @property
    def words(self) -> str:
        """The state in words."""
        said = ["on" if self.on else "off"]
        said += ["partitioned"] * self.partitioned
        said += [f"hung: {', '.join(self.stopped)}"] if self.stopped else []
        return ", ".join(said)


class Bed:
    """Bed ``number``, with its files below ``root``, on a file system where O_DIRECT works: guests' disks want it."""

    def __init__(self, number: int = 0, root: Path = ROOT) -> None:
        if number not in layout.BEDS:
            raise BedError(f"there is no bed {number}; beds are {layout.BEDS.start} to {layout.BEDS.stop - 1}")
        self.layout = Layout(number, root)

    # What there is.

    @property
    def shared(self) -> Path:
        """The storage that all hosts see, for disks of guests that migrate."""
        return self.layout.shared

    def hosts(self) -> list[HostPlace]:
        """The hosts of the bed, on or off, by number; none if the bed is down."""
        numbers = sorted(int(each.name[1:]) for each in self.layout.folder.glob("h[0-9]*"))
        return [self.layout.host(number) for number in numbers]

    def host(self, number: int) -> HostPlace:
        """A host that is there."""
        place = self.layout.host(number)
        if not place.folder.is_dir():
            there = ", ".join(str(each.number) for each in self.hosts()) or "none: it is down"
            raise BedError(f"bed {self.layout.number} has no host {number}; it has {there}")
        return place

    def status(self) -> list[HostStatus]:
        return [self._status(place) for place in self.hosts()]

    def run(self, number: int, command: Sequence[str], **options: object) -> subprocess.CompletedProcess[str]:
        """Run a command in a host, as its root; ``options`` are those of ``subprocess.run``."""
        inside = [
            "nsenter",
            "-t",
            str(self._first(self.host(number))),
            "-m",
            "-n",
            "-u",
            "-i",
            "-p",
            "-r",
            "--",
            *command,
        ]
        chosen = {"text": True, "check": False, "env": ENVIRONMENT} | options
        return subprocess.run(inside, **chosen)  # type: ignore[call-overload]

    # Up and down.

    def up(self, hosts: int = 2) -> None:
        """Bring up so many hosts. Those that are up stay as they are, those that are off are switched on."""
        if hosts not in layout.HOSTS:
            raise BedError(f"a bed has {layout.HOSTS.start} to {layout.HOSTS.stop - 1} hosts, not {hosts}")
        check_machine()
        with self._alone():
            self._bridges()
            self.shared.mkdir(parents=True, exist_ok=True)
            first, *others = [self.layout.host(number) for number in range(1, hosts + 1)]
            self._switch_on([first])
            if any(processes.first_process(place.folder) is None for place in others):
                # To ask QEMU what it can do takes a host seconds; one asks for all.
                virsh(first, "domcapabilities")
            self._switch_on(others)

    def down(self) -> None:
        """Kill all hosts and remove everything, whatever state it is in, also after a command that was killed."""
        with self._alone():
            for folder in [self.layout.host(number).folder for number in layout.HOSTS]:
                while (first := processes.first_process(folder)) is not None:
                    processes.kill_all(first)
            for link in self._links():
                remove_link(link)
            shutil.rmtree(self.layout.folder, ignore_errors=True)
            if self.layout.folder.exists():
                raise BedError(f"{self.layout.folder} cannot be removed: is something mounted in it?")
            if self.layout.root.is_dir() and not any(self.layout.root.iterdir()):
                self.layout.root.rmdir()

    # Faults.

    def kill(self, number: int) -> None:
        """Cut the power: everything in the host dies at once; its disks and definitions stay."""
        place = self.host(number)
        first = processes.first_process(place.folder)
        if first is not None:
            processes.kill_all(first)
            # A card that comes back needs the name, and the kernel takes a namespace apart when it likes: not while TCP
            # of a host that is cut off still tries to say goodbye.
            for link in {place.link(0), place.link(1)} & _link_names():
                remove_link(link)

    def revive(self, number: int) -> None:
        """Switch it on again; its guests are there, stopped."""
        with self._alone():
            self._switch_on([self.host(number)])

    def partition(self, number: int) -> None:
        """Take its links down: out of reach over the network, and its guests run on. Outlasts a power cut."""
        self._set_links(self.host(number), up=False)

    def heal(self, number: int) -> None:
        """Its links are up again."""
        self._set_links(self.host(number), up=True)

    def hang(self, number: int, process: str = "") -> None:
        """Stop every process of the host, or those whose name begins with ``process``, such as ``libvirtd``."""
        self._signal(number, process, signal.SIGSTOP)

    def wake(self, number: int, process: str = "") -> None:
        """What was stopped goes on."""
        self._signal(number, process, signal.SIGCONT)

    # How.

    def _switch_on(self, places: list[HostPlace]) -> None:
        for place in places:
            if processes.first_process(place.folder) is None:
                self._write_files(place)
                self._start(place)
            # Also those that are on: whoever started them may have been killed before this.
            self._wire(place)
        for place in places:
            if not self._status(place).stopped:
                wait_for(f"{place.name} to answer", partial(answers, place))

    def _write_files(self, place: HostPlace) -> None:
        """The host's folders and files; what is volatile is made anew."""
        folder = place.folder
        shutil.rmtree(folder / "run", ignore_errors=True)
        for own in ("etc/nwfilter", "lib/images", "log/qemu", "cache", "run/lock", "run/libvirt"):
            (folder / own).mkdir(parents=True, exist_ok=True)
        if not any((folder / "etc/nwfilter").iterdir()) and (LIBVIRT / "nwfilter").is_dir():
            shutil.copytree(LIBVIRT / "nwfilter", folder / "etc/nwfilter", dirs_exist_ok=True)
        known = self.layout.host(1).folder / "cache"
        if not any((folder / "cache").iterdir()) and known.is_dir() and place.number != 1:
            shutil.copytree(known, folder / "cache", dirs_exist_ok=True)
        (folder / "etc/libvirtd.conf").write_text(layout.libvirtd_conf(place))
        (folder / "etc/qemu.conf").write_text(layout.qemu_conf(place))
        (folder / "hosts").write_text(layout.hosts_file(self.layout))
        (folder / "hostname").write_text(f"{place.name}\n")
        (folder / "machine-id").write_text(place.uuid.replace("-", "") + "\n")

    def _start(self, place: HostPlace) -> None:
        """Make the namespaces and start the first process in them, which waits for its cards."""
        init = Path(__file__).with_name("host.py")
        words = (place.folder, place.name, place.address, self.layout.gateway)
        namespaces = ("--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--mount-proc", "--propagation=private")
        with (place.folder / "log/host.log").open("a") as log:
            subprocess.run(
                # It outlives this process and has no terminal.
                ["setsid", "--fork", "unshare", *namespaces, sys.executable, "-B", init, *map(str, words)],
                env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", check=True,
            )  # fmt: skip
        try:
            wait_for(f"{place.name} to start", lambda: processes.first_process(place.folder) is not None)
        except BedError as error:
            raise BedError(f"{error}; it said: {(place.folder / 'log/host.log').read_text()[-1000:]}") from None

    def _wire(self, place: HostPlace) -> None:
        """Put in the host's cards, as far as they are not."""
        first = str(self._first(place))
        for card, bridge in enumerate(self.layout.bridges):
            link, mac = place.link(card), place.mac(card)
            if link not in _link_names():
                ip("link", "add", link, "type", "veth", "peer", "name", f"eth{card}", "address", mac, "netns", first)
            ip("link", "set", link, "master", bridge)
        self._set_links(place, up=not (place.folder / "partitioned").exists())

    def _set_links(self, place: HostPlace, *, up: bool) -> None:
        note = place.folder / "partitioned"
        if up:
            note.unlink(missing_ok=True)
        else:
            note.touch()
        for link in {place.link(0), place.link(1)} & _link_names():
            ip("link", "set", link, "up" if up else "down")

    def _bridges(self) -> None:
        for bridge in self.layout.bridges:
            if bridge not in _link_names():
                ip("link", "add", bridge, "type", "bridge")
            ip("link", "set", bridge, "up")
        control = self.layout.bridges[0]
        ip("address", "replace", f"{self.layout.gateway}/24", "dev", control)

    def _links(self) -> list[str]:
        """What the bed has on the machine."""
        cables = {place.link(card) for place in map(self.layout.host, layout.HOSTS) for card in (0, 1)}
        return sorted((cables | {*self.layout.bridges}) & _link_names())

    def _signal(self, number: int, process: str, what: signal.Signals) -> None:
        place = self.host(number)
        struck = [each for each in processes.processes(self._first(place)) if each.name.startswith(process)]
        if not struck:
            raise BedError(f"nothing called {process}… runs on {place.name}")
        for each in struck:
            with suppress(ProcessLookupError):  # one that has just ended of itself
                os.kill(each.pid, what)

    def _first(self, place: HostPlace) -> int:
        first = processes.first_process(place.folder)
        if first is None:
            raise BedError(f"{place.name} is off")
        return first

    def _status(self, place: HostPlace) -> HostStatus:
        first = processes.first_process(place.folder)
        inside = [] if first is None else processes.processes(first)
        return HostStatus(
            place,
            on=first is not None,
            partitioned=(place.folder / "partitioned").exists(),
            guests=sum(each.name.startswith("qemu-system") for each in inside),
            stopped=tuple(sorted({each.name for each in inside if each.state == "T"})),
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with held(f"sundog-bed-{self.layout.number}") as mine:
            if not mine:
                raise BedError(f"another command is at work on bed {self.layout.number}; try again when it has ended")
            yield


@contextmanager
def held(name: str) -> Iterator[bool]:
    """A lock on the machine that leaves no file and ends with its holder; False if somebody else holds it."""
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            lock.bind(f"\0{name}")
        except OSError:
            yield False
        else:
            yield True


def check_machine(*, install: bool = False) -> None:
    """BedError, with the reason, where no bed can be: NotInstalled if it is for want of a package."""
    if os.geteuid() != 0:
        raise BedError("a test bed needs root: it makes namespaces and bridges")
    need(HOSTS, install=install)
    tried = subprocess.run(_PROBE, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if tried.returncode:
        raise BedError(f"no host can be in namespaces of this machine: {tried.stderr.strip()}")


def answers(place: HostPlace) -> bool:
    """Whether libvirtd does; by the socket, which works for hosts that are partitioned too."""
    try:
        return virsh(place, "hostname", check=False, seconds=5).returncode == 0
    except BedError:
        return False


def virsh(
    place: HostPlace, *words: str, check: bool = True, seconds: float = WAIT_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run virsh against a host, by its socket. BedError if it takes too long, or, unless not to check, if it fails."""
    command = ["virsh", "-q", "-c", place.unix, *words]
    try:
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise BedError(f"virsh {' '.join(words)} on {place.name} took more than {seconds:.0f} s") from None
    if check and done.returncode:
        raise BedError(f"virsh {' '.join(words)} on {place.name}: {done.stderr.strip()}")
    return done


def wait_for(what: str, done: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    """Ask until it is; BedError after so many seconds."""
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            raise BedError(f"waited {seconds:.0f} s for {what} in vain")
        time.sleep(0.05)


def ip(*words: str) -> None:
    """Run ip(8). BedError with what it said if that fails."""
    done = subprocess.run(["ip", *words], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BedError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def remove_link(name: str) -> None:
    """Remove a link that may be going by itself: the kernel takes a dead host's network apart when it likes."""
    subprocess.run(["ip", "link", "delete", name], env=ENVIRONMENT, capture_output=True, check=False)
    wait_for(f"link {name} to go", lambda: name not in _link_names())


def _link_names() -> set[str]:
    return {name for _, name in socket.if_nameindex()}
