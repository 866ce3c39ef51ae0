"""Which addresses a port gets, and giving them back; in the transaction of whoever writes the port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv6Network
from typing import Final

from sundog.control.network.records import FixedIp, Subnet, record
from sundog.control.network.refusals import conflict, invalid, invalid_input
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import network as tables
from sundog.core.ipam import (
    AddressPool,
    Intervals,
    address_text,
    eui64,
    is_host,
    parse_address,
    parse_cidr,
    version_of,
)

ROUTER_INTERFACE: Final = "network:router_interface"
ROUTER_GATEWAY: Final = "network:router_gateway"
FLOATING_IP: Final = "network:floatingip"


def subnets_of(reader: Reader, network_id: str) -> list[Subnet]:
    """The subnets of a network, oldest first."""
    table = tables.subnets
    rows = reader.find(table, {"network_id": network_id}, order_by=(table.c.created_at, table.c.id))
    return [record(Subnet, row) for row in rows]


def addresses_of(reader: Reader, port_id: str) -> list[FixedIp]:
    """The addresses of a port, in its own order."""
    table = tables.addresses
    rows = reader.find(table, table.c.port_id == port_id, order_by=table.c.position)
    return [FixedIp(subnet_id=row["subnet_id"], ip_address=row["ip_address"]) for row in rows]


def pool_spans(pools: Iterable[Mapping[str, str]]) -> Intervals:
    """Allocation pools as intervals."""
    return Intervals.of((parse_address(each["start"]), parse_address(each["end"])) for each in pools)


class Allocation:
    """Giving addresses to one port whose row is written already. ``mac`` is for addresses that follow from it."""

    def __init__(
        self, tx: Tx, network_id: str, port_id: str, *, mac: str, device_owner: str, is_new: bool = False
    ) -> None:
        self._tx, self._port_id, self._mac = tx, port_id, mac
        self._network_id, self._device_owner = network_id, device_owner
        self.subnets = subnets_of(tx, network_id)
        self.given_now: list[FixedIp] = []
        """The addresses that were given by this object, in their order."""
        had = [] if is_new else tx.find(tables.addresses, tables.addresses.c.port_id == port_id)
        self._position = 1 + max((row["position"] for row in had), default=-1)

    def of_its_own(self) -> None:
        """What a port gets for which nothing is asked: an address of each version, and all automatic ones.

        Raises: Conflict if there is none left.
        """
        for version in (4, 6):
            subnets = [each for each in self.subnets if each.ip_version == version and not each.is_automatic]
            if subnets and not any(self._take_next(each) for each in subnets):
                raise _exhausted(self._network_id)
        self.automatic(())

    def given(self, wanted: Sequence[Mapping[str, str]], *, with_automatic: bool = True) -> None:
        """Addresses as asked, each by ``subnet_id``, ``ip_address`` or both; and the automatic ones.

        Raises: Invalid for what cannot be an address here; Conflict for one that is taken.
        """
        used = {self._give(each) for each in wanted}
        if with_automatic:
            self.automatic(used)

    def automatic(self, but: Iterable[str]) -> None:
        """The addresses that follow from the MAC, in all automatic subnets but these. A router chooses its own."""
        if self._device_owner in (ROUTER_INTERFACE, FLOATING_IP):
            return
        skipped = set(but)
        for subnet in self.subnets:
            if subnet.is_automatic and subnet.id not in skipped:
                self._take(subnet, self._eui64(subnet))

    def _give(self, wanted: Mapping[str, str]) -> str:
        """One address; the id of its subnet."""
        subnet = self._subnet_for(wanted)
        routed = self._device_owner == ROUTER_INTERFACE
        if "ip_address" in wanted:
            number = parse_address(wanted["ip_address"])
            if subnet.is_automatic and not routed and number != self._eui64(subnet):
                raise invalid(
                    "AllocationOnAutoAddressSubnet",
                    f"IPv6 address {wanted['ip_address']} cannot be directly assigned to a port on subnet {subnet.id} "
                    "as the subnet is configured for automatic addresses",
                )
            self._take(subnet, number)
        elif subnet.is_automatic and not routed:
            self._take(subnet, self._eui64(subnet))
        elif not self._take_next(subnet):
            raise _exhausted(self._network_id)
        return subnet.id

    def _subnet_for(self, wanted: Mapping[str, str]) -> Subnet:
        if not self.subnets:
            raise invalid_input("IP allocation requires subnets for network")
        address = wanted.get("ip_address")
        if "subnet_id" in wanted:
            subnet = next((each for each in self.subnets if each.id == wanted["subnet_id"]), None)
            if subnet is None:
                raise invalid_input(
                    f"Failed to create port on network {self._network_id}, because fixed_ips included invalid subnet "
                    f"{wanted['subnet_id']}"
                )
            if address is not None and not _hosts(subnet, address):
                raise invalid("InvalidIpForSubnet", f"IP address {address} is not a valid IP for the specified subnet.")
            return subnet
        if address is None:
            raise invalid_input("IP allocation requires subnet_id or ip_address")
        subnet = next((each for each in self.subnets if _hosts(each, address)), None)
        if subnet is None:
            raise invalid(
                "InvalidIpForNetwork",
                f"IP address {address} is not a valid IP for any of the subnets on the specified network.",
            )
        return subnet

    def _eui64(self, subnet: Subnet) -> int:
        network = parse_cidr(subnet.cidr)
        assert isinstance(network, IPv6Network)
        return eui64(network, self._mac)

    def _take_next(self, subnet: Subnet) -> bool:
        pool = read_pool(self._tx, subnet)
        taken = pool.take_next()
        if taken is None:
            return False
        number, rest = taken
        self._write(subnet, number, rest)
        return True

    def _take(self, subnet: Subnet, number: int) -> None:
        text = address_text(number, subnet.ip_version)
        if self._tx.get(tables.addresses, subnet_id=subnet.id, ip_address=text) is not None:
            raise conflict("IpAddressAlreadyAllocated", f"IP address {text} already allocated in subnet {subnet.id}")
        self._write(subnet, number, read_pool(self._tx, subnet).take(number))

    def _write(self, subnet: Subnet, number: int, rest: AddressPool) -> None:
        _write_pool(self._tx, subnet.id, rest)
        fixed = FixedIp(subnet_id=subnet.id, ip_address=address_text(number, subnet.ip_version))
        self._tx.insert(
            tables.addresses,
            subnet_id=fixed.subnet_id,
            ip_address=fixed.ip_address,
            port_id=self._port_id,
            position=self._position,
        )
        self.given_now.append(fixed)
        self._position += 1


def release(tx: Tx, fixed_ips: Iterable[FixedIp]) -> None:
    """Give addresses back."""
    for each in fixed_ips:
        table = tables.addresses
        tx.delete(table, table.c.subnet_id == each.subnet_id, table.c.ip_address == each.ip_address)
        subnet = record(Subnet, tx.find(tables.subnets, tables.subnets.c.id == each.subnet_id)[0])
        _write_pool(tx, subnet.id, read_pool(tx, subnet).release(parse_address(each.ip_address)))


def read_pool(reader: Reader, subnet: Subnet) -> AddressPool:
    """The addresses of a subnet and which are free."""
    row = reader.get(tables.free_addresses, subnet_id=subnet.id)
    free = Intervals(tuple((first, last) for first, last in row["spans"])) if row is not None else Intervals()
    return AddressPool(pool_spans(subnet.allocation_pools), free)


def new_pool(tx: Tx, subnet_id: str, spans: Intervals) -> None:
    """Begin the books of a subnet's addresses, or begin them anew for other allocation pools."""
    table = tables.addresses
    taken = [parse_address(row["ip_address"]) for row in tx.find(table, table.c.subnet_id == subnet_id)]
    tx.delete(tables.free_addresses, tables.free_addresses.c.subnet_id == subnet_id)
    tx.insert(tables.free_addresses, subnet_id=subnet_id, spans=[list(x) for x in AddressPool.of(spans, taken).free])


def _write_pool(tx: Tx, subnet_id: str, pool: AddressPool) -> None:
    tx.update(tables.free_addresses, {"subnet_id": subnet_id}, spans=[list(each) for each in pool.free])


def _hosts(subnet: Subnet, address: str) -> bool:
    return version_of(address) == subnet.ip_version and is_host(parse_cidr(subnet.cidr), parse_address(address))


def _exhausted(network_id: str) -> Exception:
    return conflict("IpAddressGenerationFailure", f"No more IP addresses available on network {network_id}.")
