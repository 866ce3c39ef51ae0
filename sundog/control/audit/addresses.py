"""What the store tells of the network beyond the ports of servers: which addresses are given, free, and led to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sundog.control.audit.findings import Finding, Kind
from sundog.control.network.addresses import pool_spans, read_pool
from sundog.control.network.records import FixedIp, Subnet, record
from sundog.control.store import Reader
from sundog.control.store.tables import network
from sundog.core.ipam import AddressPool, parse_address


def check_addresses(reader: Reader) -> list[Finding]:
    """I7: an address is given or free, never both and never neither; floating IPs lead to addresses that there are."""
    given: dict[str, list[str]] = {}
    fixed: dict[str, list[FixedIp]] = {}
    for row in reader.find(network.addresses):
        given.setdefault(row["subnet_id"], []).append(row["ip_address"])
        fixed.setdefault(row["port_id"], []).append(FixedIp(subnet_id=row["subnet_id"], ip_address=row["ip_address"]))
    return [*_pools(reader, given), *_floating(reader, fixed)]


def _pools(reader: Reader, given: dict[str, list[str]]) -> Iterator[Finding]:
    for row in reader.find(network.subnets):
        subnet = record(Subnet, row)
        taken = [parse_address(each) for each in given.get(subnet.id, ())]
        expected = AddressPool.of(pool_spans(subnet.allocation_pools), taken).free
        found = read_pool(reader, subnet).free
        if list(found) != list(expected):
            yield Finding(
                "I7", Kind.WRONG_POOL,
                f"of subnet {subnet.id} the addresses {_told(found)} are called free, and {_told(expected)} are",
                (subnet.id,), "write its allocation pools again: what is free is counted anew then",
            )  # fmt: skip


def _told(spans: Any) -> str:
    return ", ".join(f"{first} to {last}" for first, last in spans) or "none"


def _floating(reader: Reader, fixed: dict[str, list[FixedIp]]) -> Iterator[Finding]:
    for row in reader.find(network.floating_ips):
        mine = [each.ip_address for each in fixed.get(row["floating_port_id"], ())]
        there = [each.ip_address for each in fixed.get(row["port_id"] or "", ())]
        text = None
        if row["floating_ip_address"] not in mine:
            text = f"its port {row['floating_port_id']} has not its address {row['floating_ip_address']}"
        elif row["port_id"] is not None and row["fixed_ip_address"] not in there:
            text = f"port {row['port_id']} has not the address {row['fixed_ip_address']} that it leads to"
        elif (row["port_id"] is None) != (row["fixed_ip_address"] is None):
            text = f"it leads to address {row['fixed_ip_address']} of port {row['port_id']}"
        elif (row["port_id"] is None) != (row["status"] == "DOWN"):
            text = f"it is {row['status']} and leads to port {row['port_id']}"
        if text is not None:
            yield Finding(
                "I7", Kind.WRONG_FLOATING, f"floating IP {row['id']}: {text}", (row["id"],), "let it lead nowhere"
            )
