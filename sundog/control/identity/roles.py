"""Roles, and which of them imply which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sundog.control.identity.books import Books, check_mutable, check_name, found_as, merged
from sundog.control.identity.projects import domain_of
from sundog.control.identity.records import ROOT, Role, record
from sundog.control.store import Reader
from sundog.control.store.tables import identity as tables
from sundog.errors import Forbidden, Invalid, NotFound


class Roles:
    """Roles of all domains (``domain_id`` is ROOT) and of single ones."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def show(self, role_id: str) -> Role:
        """Raises: NotFound."""
        with self._books.reading() as reader:
            return role_of(reader, role_id)

    def list_all(self, domain_id: str = ROOT) -> list[Role]:
        """The roles of a domain; by default those of all."""
        with self._books.reading() as reader:
            return [record(Role, row) for row in reader.find(tables.roles, tables.roles.c.domain_id == domain_id)]

    def create(
        self,
        name: str,
        domain_id: str = ROOT,
        *,
        description: str | None = None,
        options: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Role:
        """Raises: Conflict for a name that is taken; NotFound for no such domain."""
        with self._books.writing() as tx:
            if domain_id != ROOT:
                domain_of(tx, domain_id)
            check_name(tx, tables.roles, "role", name, domain_id)
            role_id = self._books.new_id()
            tx.insert(
                tables.roles,
                id=role_id,
                domain_id=domain_id,
                name=name,
                description=description,
                options=merged({}, options or {}),
                extra=dict(extra or {}),
            )
            return role_of(tx, role_id)

    def update(self, role_id: str, changes: Mapping[str, Any], *, extra: Mapping[str, Any] | None = None) -> Role:
        """Raises: NotFound, Conflict."""
        with self._books.writing() as tx:
            role = role_of(tx, role_id)
            check_mutable("role", role_id, role.options, changes)
            values = {key: value for key, value in changes.items() if key in ("name", "description", "options")}
            if "name" in values:
                check_name(tx, tables.roles, "role", values["name"], role.domain_id, role_id)
            if "options" in values:
                values["options"] = merged(role.options, values["options"])
            if extra:
                values["extra"] = {**role.extra, **extra}
            if values:
                tx.update(tables.roles, tables.roles.c.id == role_id, **values)
            return role_of(tx, role_id)

    def delete(self, role_id: str) -> None:
        """Remove a role, and take it from everybody who has it.

        Raises: NotFound; Forbidden for a role that is marked as not to be deleted.
        """
        with self._books.writing() as tx:
            role = role_of(tx, role_id)
            check_mutable("role", role_id, role.options)
            tx.delete(tables.roles, tables.roles.c.id == role_id)

    def imply(self, prior_id: str, implied_id: str) -> tuple[Role, Role]:
        """Whoever has the first role has the second too.

        Raises: NotFound; Forbidden if the second is admin, or belongs to a domain and the first does not; Invalid for a
        role of itself.
        """
        with self._books.writing() as tx:
            prior, implied = role_of(tx, prior_id), role_of(tx, implied_id)
            if implied.name == "admin" or (implied.domain_id != ROOT and prior.domain_id == ROOT):
                raise Forbidden(f"{implied_id} cannot be an implied roles.", id=implied_id)
            if prior_id == implied_id:
                raise Invalid("a role cannot imply itself", id=prior_id)
            if tx.get(tables.implied_roles, prior_id=prior_id, implied_id=implied_id) is None:
                tx.insert(tables.implied_roles, prior_id=prior_id, implied_id=implied_id)
            return prior, implied

    def implied(self, prior_id: str, implied_id: str) -> tuple[Role, Role]:
        """The two roles, of which the first implies the second.

        Raises: NotFound if it does not.
        """
        with self._books.reading() as reader:
            prior, implied = role_of(reader, prior_id), role_of(reader, implied_id)
            if reader.get(tables.implied_roles, prior_id=prior_id, implied_id=implied_id) is None:
                raise _does_not_imply(prior_id, implied_id)
            return prior, implied

    def unimply(self, prior_id: str, implied_id: str) -> None:
        """Raises: NotFound if the first role does not imply the second."""
        table = tables.implied_roles
        with self._books.writing() as tx:
            role_of(tx, prior_id)
            role_of(tx, implied_id)
            if not tx.delete(table, table.c.prior_id == prior_id, table.c.implied_id == implied_id):
                raise _does_not_imply(prior_id, implied_id)

    def implications(self, prior_id: str | None = None) -> list[tuple[Role, list[Role]]]:
        """Each role that implies others, with these; or one role with those that it implies, which may be none.

        Raises: NotFound.
        """
        with self._books.reading() as reader:
            known = {row["id"]: record(Role, row) for row in reader.find(tables.roles)}
            told = implications_of(reader)
            priors = sorted(told)
            if prior_id is not None:
                priors = [role_of(reader, prior_id).id]
            return [(known[each], [known[implied] for implied in told.get(each, ())]) for each in priors]


def role_of(reader: Reader, role_id: str) -> Role:
    """Raises: NotFound."""
    return found_as(reader, Role, tables.roles, "role", role_id)


def implications_of(reader: Reader) -> dict[str, list[str]]:
    """From the id of a role to the ids of those that it implies by itself."""
    told: dict[str, list[str]] = {}
    for row in reader.find(tables.implied_roles):
        told.setdefault(row["prior_id"], []).append(row["implied_id"])
    return told


def closed(role_ids: Iterable[str], implications: Mapping[str, Iterable[str]]) -> dict[str, str | None]:
    """These roles and all that they imply, in the order in which they are met; each with the one that brought it.

    >>> closed(["admin"], {"admin": ["member"], "member": ["reader"]})
    {'admin': None, 'member': 'admin', 'reader': 'member'}
    """
    met: dict[str, str | None] = dict.fromkeys(role_ids)
    queue = list(met)
    for prior in queue:
        for implied in implications.get(prior, ()):
            if implied not in met:
                met[implied] = prior
                queue.append(implied)
    return met


def _does_not_imply(prior_id: str, implied_id: str) -> NotFound:
    return NotFound(f"{prior_id} does not imply {implied_id}.", prior=prior_id, implied=implied_id)
