"""Quotas: how many of each thing a project may have. Usage is the count of rows, never a number kept beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sundog.control.network.books import Books
from sundog.control.network.refusals import invalid_input, over_quota
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import network as tables

TABLES: Final = {
    "network": tables.networks,
    "subnet": tables.subnets,
    "subnetpool": tables.subnet_pools,
    "port": tables.ports,
    "router": tables.routers,
    "floatingip": tables.floating_ips,
    "security_group": tables.security_groups,
    "security_group_rule": tables.security_group_rules,
}

DEFAULTS: Final = {
    "network": 100,
    "subnet": 100,
    "subnetpool": -1,
    "port": 500,
    "router": 10,
    "floatingip": 50,
    "security_group": 10,
    "security_group_rule": 100,
}
"""Neutron's own; -1 is no limit."""

MOST: Final = 2**31 - 1


class Quotas:
    """The limits of projects."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def list_all(self) -> dict[str, dict[str, int]]:
        """The limits of every project that has limits of its own, by project."""
        with self._books.reading() as tx:
            projects = list(dict.fromkeys(row["project_id"] for row in tx.find(tables.quotas)))
            return {project_id: limits(tx, project_id) for project_id in projects}

    def show(self, project_id: str) -> dict[str, int]:
        """The limits of a project."""
        with self._books.reading() as tx:
            return limits(tx, project_id)

    def usage(self, project_id: str) -> dict[str, tuple[int, int]]:
        """``(limit, used)`` of everything."""
        with self._books.reading() as tx:
            return {name: (most, used(tx, project_id, name)) for name, most in limits(tx, project_id).items()}

    def update(self, project_id: str, changes: Mapping[str, int]) -> dict[str, int]:
        """Set limits of a project; one below what is used is allowed, and stops further use.

        Raises: Invalid for a number that is no limit.
        """
        for name, most in changes.items():
            if not -1 <= most <= MOST:
                raise invalid_input(f"Quota limit {most} for {name} must be greater than or equal to -1")
        with self._books.writing() as tx:
            for name, most in changes.items():
                table = tables.quotas
                if not tx.update(table, table.c.project_id == project_id, table.c.resource == name, most=most):
                    tx.insert(table, project_id=project_id, resource=name, most=most)
            return limits(tx, project_id)

    def reset(self, project_id: str) -> bool:
        """Forget the limits of a project, so that the defaults hold; whether it had any."""
        with self._books.writing() as tx:
            return tx.delete(tables.quotas, tables.quotas.c.project_id == project_id) > 0


def limits(reader: Reader, project_id: str) -> dict[str, int]:
    """The limits of a project, defaults included."""
    own = {row["resource"]: row["most"] for row in reader.find(tables.quotas, tables.quotas.c.project_id == project_id)}
    return {name: own.get(name, most) for name, most in DEFAULTS.items()}


def used(reader: Reader, project_id: str, resource: str) -> int:
    """How many things of a kind a project has."""
    table = TABLES[resource]
    return reader.count(table, table.c.project_id == project_id)


def check_quota(tx: Tx, project_id: str, resource: str, adding: int = 1) -> None:
    """Raises: QuotaExceeded if a project may not have so many more. What belongs to no project is not counted."""
    if not project_id:
        return
    row = tx.get(tables.quotas, project_id=project_id, resource=resource)
    most = DEFAULTS[resource] if row is None else row["most"]
    if 0 <= most < used(tx, project_id, resource) + adding:
        raise over_quota([resource])
