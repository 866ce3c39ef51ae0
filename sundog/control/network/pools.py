"""Subnet pools: prefixes from which subnets take theirs, so that none overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, or_

from sundog.control.network.books import Books, Only, chosen, found
from sundog.control.network.quotas import check_quota
from sundog.control.network.records import SubnetPool, record
from sundog.control.network.refusals import bad_request, conflict, invalid, invalid_input, over_quota
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import network as tables
from sundog.control.viewer import EVERYTHING, Viewer
from sundog.core.ipam import Intervals, IPNetwork, next_subnet, overlapping, parse_cidr, span_of
from sundog.errors import SundogError

_LEAST = {4: 8, 6: 64}
_MOST = {4: 32, 6: 128}


class SubnetPools:
    """Subnet pools: a project sees its own and those shared with all."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def list_all(self, viewer: Viewer, only: Only | None = None) -> list[SubnetPool]:
        """The pools that the viewer sees."""
        with self._books.reading() as tx:
            rows = tx.find(tables.subnet_pools, *_visible(viewer), *chosen(tables.subnet_pools, only or {}))
            return [record(SubnetPool, row) for row in rows]

    def show(self, viewer: Viewer, pool_id: str) -> SubnetPool:
        """A pool.

        Raises: NotFound.
        """
        with self._books.reading() as tx:
            return get_pool(tx, viewer, pool_id)

    def create(self, specs: Sequence[Mapping[str, Any]]) -> list[SubnetPool]:
        """Make pools, all or none.

        Raises: QuotaExceeded, Invalid.
        """
        with self._books.writing() as tx:
            return [self._create(tx, **spec) for spec in specs]

    def _create(
        self,
        tx: Tx,
        *,
        project_id: str,
        prefixes: Sequence[str],
        name: str = "",
        description: str = "",
        default_prefixlen: int | None = None,
        min_prefixlen: int | None = None,
        max_prefixlen: int | None = None,
        default_quota: int | None = None,
        shared: bool = False,
        is_default: bool = False,
    ) -> SubnetPool:
        nets = _merged(prefixes)
        version = nets[0].version
        least = _LEAST[version] if min_prefixlen is None else min_prefixlen
        most = _MOST[version] if max_prefixlen is None else max_prefixlen
        usual = least if default_prefixlen is None else default_prefixlen
        _check_bounds(version, least, usual, most)
        check_quota(tx, project_id, "subnetpool")
        if is_default:
            _check_only_default(tx, version, None)
        row = self._books.standard(project_id, description)
        tx.insert(
            tables.subnet_pools,
            **row,
            name=name,
            ip_version=version,
            prefixes=[str(each) for each in nets],
            default_prefixlen=usual,
            min_prefixlen=least,
            max_prefixlen=most,
            default_quota=default_quota,
            shared=shared,
            is_default=is_default,
        )
        return get_pool(tx, EVERYTHING, row["id"])

    def update(self, viewer: Viewer, pool_id: str, changes: Mapping[str, Any]) -> SubnetPool:
        """Change a pool; prefixes are added to it, never taken.

        Raises: NotFound, Invalid.
        """
        with self._books.writing() as tx:
            pool = get_pool(tx, viewer, pool_id)
            values = dict(changes)
            if "prefixes" in values:
                nets = _merged([*values["prefixes"]])
                _check_kept(pool, nets)
                values["prefixes"] = [str(each) for each in nets]
            _check_bounds(
                pool.ip_version,
                values.get("min_prefixlen", pool.min_prefixlen),
                values.get("default_prefixlen", pool.default_prefixlen),
                values.get("max_prefixlen", pool.max_prefixlen),
            )
            if values.get("is_default") and not pool.is_default:
                _check_only_default(tx, pool.ip_version, pool_id)
            self._books.change(tx, tables.subnet_pools, pool_id, values)
            return get_pool(tx, EVERYTHING, pool_id)

    def delete(self, viewer: Viewer, pool_id: str) -> None:
        """Delete a pool.

        Raises: NotFound; Invalid while subnets are from it.
        """
        with self._books.writing() as tx:
            get_pool(tx, viewer, pool_id)
            if tx.count(tables.subnets, tables.subnets.c.subnetpool_id == pool_id):
                raise invalid(
                    "SubnetPoolDeleteError", "Unable to delete subnet pool: Subnet pool has existing allocations."
                )
            tx.delete(tables.subnet_pools, tables.subnet_pools.c.id == pool_id)


def get_pool(reader: Reader, viewer: Viewer, pool_id: str) -> SubnetPool:
    """A pool.

    Raises: NotFound.
    """
    return record(SubnetPool, found(reader, tables.subnet_pools, "SubnetPool", pool_id, *_visible(viewer)))


def allocated_cidr(
    tx: Tx,
    viewer: Viewer,
    project_id: str,
    *,
    cidr: str | None,
    prefixlen: int | None,
    pool_id: str | None,
    use_default: bool,
    ip_version: int | None,
) -> tuple[str, IPNetwork]:
    """The pool and the network for a new subnet: the one asked for, or the next that is free.

    Raises: NotFound, Invalid; QuotaExceeded if the project has enough of the pool.
    """
    if pool_id is not None and use_default:
        raise bad_request("subnets", "subnetpool_id and use_default_subnetpool cannot both be specified")
    if cidr is not None and prefixlen is not None:
        raise bad_request("subnets", "cidr and prefixlen must not be supplied together")
    pool = _default_pool(tx, ip_version) if use_default else get_pool(tx, viewer, _told(pool_id))
    if ip_version is not None and ip_version != pool.ip_version:
        raise bad_request("subnets", f"Cannot allocate IPv{ip_version} subnet from IPv{pool.ip_version} subnet pool")
    rows = tx.find(tables.subnets, tables.subnets.c.subnetpool_id == pool.id)
    taken = [parse_cidr(row["cidr"]) for row in rows]
    prefixes = [parse_cidr(each) for each in pool.prefixes]
    if cidr is not None:
        net = parse_cidr(cidr)
        if not any(_within(net, each) for each in prefixes) or overlapping(net, taken):
            raise _no_room(cidr)
        _check_length(pool, net.prefixlen)
    else:
        length = pool.default_prefixlen if prefixlen is None else prefixlen
        _check_length(pool, length)
        free = next_subnet(prefixes, taken, length)
        if free is None:
            raise _no_room(f"/{length}")
        net = free
    own = [parse_cidr(row["cidr"]) for row in rows if row["project_id"] == project_id]
    _check_own_quota(pool, [*own, net])
    return pool.id, net


def _visible(viewer: Viewer) -> list[ColumnElement[bool]]:
    if viewer.sees_all:
        return []
    c = tables.subnet_pools.c
    return [or_(c.project_id == viewer.project_id, c.shared)]


def _told(pool_id: str | None) -> str:
    if pool_id is None:
        raise bad_request("subnets", "a subnetpool must be specified in the absence of a cidr")
    return pool_id


def _default_pool(tx: Tx, ip_version: int | None) -> SubnetPool:
    if ip_version is None:
        raise bad_request("subnets", "ip_version must be specified in the absence of cidr and subnetpool_id")
    c = tables.subnet_pools.c
    rows = tx.find(tables.subnet_pools, c.is_default, c.ip_version == ip_version)
    if not rows:
        raise bad_request("subnets", f"No default subnetpool found for IPv{ip_version}")
    return record(SubnetPool, rows[0])


def _merged(prefixes: Sequence[str]) -> list[IPNetwork]:
    """The prefixes, those that are within others left out."""
    if not prefixes:
        raise invalid("EmptySubnetPoolPrefixList", "Empty subnet pool prefix list.")
    nets = [parse_cidr(each) for each in prefixes]
    if len({each.version for each in nets}) > 1:
        raise invalid("PrefixVersionMismatch", "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.")
    nets = sorted(set(nets), key=lambda each: (each.prefixlen, int(each.network_address)))
    kept: list[IPNetwork] = []
    for each in nets:
        if overlapping(each, kept) is None:
            kept.append(each)
    return sorted(kept, key=lambda each: int(each.network_address))


def _within(net: IPNetwork, outer: IPNetwork) -> bool:
    (first, last), (low, high) = span_of(net), span_of(outer)
    return net.version == outer.version and low <= first and last <= high


def _check_kept(pool: SubnetPool, nets: list[IPNetwork]) -> None:
    """Raises: Invalid if a prefix that the pool has would be lost."""
    whole = Intervals.of(span_of(each) for each in nets)
    for each in pool.prefixes:
        first, last = span_of(parse_cidr(each))
        if Intervals.of([*whole, (first, last)]).size != whole.size:
            raise invalid(
                "IllegalSubnetPoolPrefixUpdate",
                "Illegal update to prefixes: Existing prefixes must be a subset of the new prefixes.",
            )


def _check_bounds(version: int, least: int, usual: int, most: int) -> None:
    """Raises: Invalid for lengths of prefixes that do not go together."""
    if least < _LEAST[version]:
        raise invalid("UnsupportedMinSubnetPoolPrefix", f"Prefix '{least}' not supported in IPv{version} pool.")
    pairs = (
        ("max", most, "version_max", _MOST[version], most <= _MOST[version]),
        ("min", least, "max", most, least <= most),
        ("default", usual, "min", least, usual >= least),
        ("default", usual, "max", most, usual <= most),
    )
    for kind, length, base, bound, fits in pairs:
        if not fits:
            raise invalid(
                "IllegalSubnetPoolPrefixBounds",
                f"Illegal prefix bounds: {kind}_prefixlen={length}, {base}_prefixlen={bound}.",
            )


def _check_length(pool: SubnetPool, length: int) -> None:
    for kind, bound, fits, word in (
        ("Min", pool.min_prefixlen, length >= pool.min_prefixlen, "minimum"),
        ("Max", pool.max_prefixlen, length <= pool.max_prefixlen, "maximum"),
    ):
        if not fits:
            raise invalid(
                f"{kind}PrefixSubnetAllocationError",
                f"Unable to allocate subnet with prefix length {length}, {word} allowed prefix is {bound}.",
            )


def _check_own_quota(pool: SubnetPool, nets: list[IPNetwork]) -> None:
    """Raises: QuotaExceeded if a project has more of the pool than its ``default_quota`` (of /64 in IPv6)."""
    if pool.default_quota is None:
        return
    unit = 1 if pool.ip_version == 4 else 1 << 64
    if sum(each.num_addresses for each in nets) / unit > pool.default_quota:
        raise over_quota(["subnetpool"])


def _check_only_default(tx: Tx, version: int, but: str | None) -> None:
    c = tables.subnet_pools.c
    others = [row for row in tx.find(tables.subnet_pools, c.is_default, c.ip_version == version) if row["id"] != but]
    if others:
        raise invalid_input(
            "A default subnetpool for this IP family has already been set. Only one default may exist per IP family"
        )


def _no_room(what: str) -> SundogError:
    return conflict(
        "SubnetAllocationError",
        f"Failed to allocate subnet: Insufficient prefix space to allocate subnet size {what}.",
    )
