"""What a network driver does for the control plane: the wires that ports, routers and floating IPs are made of.

The control plane says what there is to be, all of it, as one :class:`Wiring`; the driver makes it so, and looks what is
there first. So whatever was lost on the way is made good by saying it again, and there is nothing to be undone. The
records are pure data, with addresses as text; what a client wrote (names, DHCP options) is in them as it was written.

What holds for every driver:

- A port of a server has its filter before its first packet: ``bind`` has returned before the port is plugged on a host,
  and before a server is moved there. The compute driver, which knows its network driver, sees to that. A port that
  the last wiring does not have has no filter, and ``bind`` refuses it: so the control plane lets ``apply`` come first.
- What a driver cannot do is in its capability record; what of a wiring it left out for that is in the report of
  ``apply``, never silently. A rule that it cannot express stays closed.
- Trouble on one machine is in the report as well, and holds up no other machine.
- Both operations are repeatable, and raise BackendFailed, HostDown or OutcomeUnknown as the compute driver's do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from sundog.errors import BackendFailed
from sundog.units import Seconds

# -------------------------------------------------------------------------------------------------- what there is to be


@dataclass(frozen=True, slots=True)
class Rule:
    """What a security group lets through: connections in a direction, and what answers them.

    ``protocol`` is its number, None for any. ``low`` and ``high`` are ports, or the type and code of ICMP; None for
    any. ``remotes`` are prefixes of the other end, None for anybody; groups of ports are expanded to addresses.
    """

    direction: Literal["ingress", "egress"]
    version: Literal[4, 6]
    protocol: int | None = None
    low: int | None = None
    high: int | None = None
    remotes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class DhcpOption:
    """An option that a client wants a port to be told by DHCP, by name or by number."""

    name: str
    value: str
    version: Literal[4, 6] = 4


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a port on a subnet."""

    subnet_id: str
    ip: str


@dataclass(frozen=True, slots=True)
class Pair:
    """An address and a MAC that a port may use besides its own. ``prefix`` is an address or a CIDR."""

    mac: str
    prefix: str


@dataclass(frozen=True, slots=True)
class WiredPort:
    """A port of a server. ``secured``: it may use its own addresses and ``pairs`` only, and ``rules`` hold."""

    id: str
    mac: str
    addresses: tuple[Address, ...] = ()
    server_id: str = ""
    project_id: str = ""
    enabled: bool = True
    secured: bool = True
    pairs: tuple[Pair, ...] = ()
    rules: tuple[Rule, ...] = ()
    dhcp_options: tuple[DhcpOption, ...] = ()


@dataclass(frozen=True, slots=True)
class WiredSubnet:
    """A subnet. ``routes`` are destinations with their next hops."""

    id: str
    cidr: str
    gateway: str | None = None
    dhcp: bool = True
    nameservers: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class WiredNetwork:
    """A network. ``kind``, ``physical`` and ``segment`` are Neutron's type, physical network and segmentation id."""

    id: str
    kind: str = "vxlan"
    physical: str | None = None
    segment: int | None = None
    mtu: int = 1450
    external: bool = False
    subnets: tuple[WiredSubnet, ...] = ()
    ports: tuple[WiredPort, ...] = ()


@dataclass(frozen=True, slots=True)
class RouterLeg:
    """A router's port: where it leads, and its addresses with their prefix length, as ``10.0.0.1/24``."""

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Floating:
    """An address of an external network that leads to a fixed address behind a router."""

    address: str
    fixed: str


@dataclass(frozen=True, slots=True)
class WiredRouter:
    """A router. ``next_hop`` is the gateway of its external network; ``snat``: what is behind it shares its address."""

    id: str
    enabled: bool = True
    legs: tuple[RouterLeg, ...] = ()
    outside: RouterLeg | None = None
    next_hop: str | None = None
    snat: bool = True
    routes: tuple[tuple[str, str], ...] = ()
    floating: tuple[Floating, ...] = ()


@dataclass(frozen=True, slots=True)
class Wiring:
    """All of a cloud's networks and routers, by id."""

    networks: tuple[WiredNetwork, ...] = ()
    routers: tuple[WiredRouter, ...] = ()


# ---------------------------------------------------------------------------------------------------------- the driver


@dataclass(frozen=True, slots=True)
class NetworkCapabilities:
    """What a network driver can do. Callers ask this record, never which driver it is."""

    name: str
    """The driver's name, for people."""

    filters: bool = False
    """Keep ports to their own addresses, and let through what their rules say."""

    stateful: bool = False
    """Answers to what was let through come back by themselves."""

    between_hosts: bool = False
    """Join a network's parts on several hosts."""

    dhcp: bool = False
    """Tell ports their addresses, and names to whoever asks."""

    metadata: bool = False
    """Lead guests to the metadata service at 169.254.169.254."""

    routers: bool = False
    """Route between subnets and to external networks, floating IPs included."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a wiring. Sentences say what of it is not so, and why.

    ``left_out`` is not mended by saying it again; what ``failed`` is worth another try soon.
    """

    left_out: tuple[str, ...] = field(default=())
    failed: tuple[str, ...] = field(default=())


class NetworkDriver(Protocol):
    """The contract; the module says what holds for every operation."""

    @property
    def capabilities(self) -> NetworkCapabilities:
        """What it can do. The same for as long as it lives."""
        ...

    @property
    def report(self) -> Report:
        """What of the last wiring is not so, as far as it is known by now."""
        ...

    async def apply(self, wiring: Wiring, *, deadline: Seconds) -> Report:
        """Have everything be so, where it is not so already, and remove what was of ours and is not in it.

        Several at once are done one after the other. It returns when networks and routers are as they are to be where
        they are served; what hosts have of them follows, and what becomes of that is in ``report`` then. A host that
        does not answer is named there, and gets its filters when everything is said again, which it must be once the
        host is back. Returns the report as it is by then.
        """
        ...

    async def bind(self, host: str, ports: Sequence[str], *, deadline: Seconds) -> None:
        """Have networks and filters of these ports on a host, as the last wiring has them.

        Raises: BackendFailed for a port that it does not have.
        """
        ...

    async def done(self, *, deadline: Seconds) -> Report:
        """Return when every host that answers has all that was said, with what became of it.

        For who must know; a server waits for its own host alone. Raises: OutcomeUnknown.
        """
        ...


class NoWires:
    """A network driver of a world in which nothing is sent: it remembers, and refuses what the contract refuses."""

    capabilities = NetworkCapabilities("none")

    def __init__(self) -> None:
        self.report = Report()
        self._known: frozenset[str] = frozenset()

    async def apply(self, wiring: Wiring, *, deadline: Seconds) -> Report:
        """Remember which ports there are."""
        self._known = frozenset(port.id for network in wiring.networks for port in network.ports)
        return self.report

    async def bind(self, host: str, ports: Sequence[str], *, deadline: Seconds) -> None:
        """Nothing, for ports that there are."""
        check_known(self._known, host, ports)

    async def done(self, *, deadline: Seconds) -> Report:
        """There is nothing to wait for."""
        return self.report


def check_known(known: frozenset[str], host: str, ports: Sequence[str]) -> None:
    """Raises: BackendFailed for a port that is not among those of the last wiring."""
    unknown = [port for port in ports if port not in known]
    if unknown:
        raise BackendFailed(
            f"port {unknown[0]} is not in the wiring that was applied last, so host {host} has no filter for it; "
            "apply the wiring first",
            host=host, port=unknown[0],
        )  # fmt: skip
