"""Quotas: how much a project, or one of its users, may have. Usage is counted, never kept beside what is counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import bindparam, func, select

from sundog.control.compute.books import Books
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import compute as tables
from sundog.errors import Invalid, QuotaExceeded

DEFAULTS: Final = {
    "instances": 10,
    "cores": 20,
    "ram": 50 * 1024,
    "key_pairs": 100,
    "server_groups": 10,
    "server_group_members": 10,
    "metadata_items": 128,
    "injected_files": 5,
    "injected_file_content_bytes": 10 * 1024,
    "injected_file_path_bytes": 255,
    "fixed_ips": -1,
    "floating_ips": -1,
    "security_groups": -1,
    "security_group_rules": -1,
}
"""Nova's own, ``ram`` in MiB; -1 is no limit. The last four are Neutron's affair and limit nothing here."""

DEFAULT_CLASS: Final = "default"
"""The class of quotas that stands in for ``DEFAULTS``."""

_OF_PROJECTS_ALONE: Final = ("fixed_ips", "floating_ips")
_NO_LIMIT: Final = -1
_PROJECT: Final = ""
"""What stands for the user in the rows of a project's own limits."""


class Quotas:
    """The limits of projects and users."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def show(self, project_id: str, user_id: str | None = None) -> dict[str, int]:
        """The limits of a project, or of a user in it."""
        with self._books.reading() as tx:
            return limits(tx, project_id, user_id)

    def usage(self, project_id: str, user_id: str | None = None) -> dict[str, tuple[int, int]]:
        """``(limit, used)`` of everything; what is not counted by projects is told as 0."""
        with self._books.reading() as tx:
            used = usage(tx, project_id, user_id)
            return {name: (most, used.get(name, 0)) for name, most in limits(tx, project_id, user_id).items()}

    def defaults(self) -> dict[str, int]:
        """The limits of projects that have none of their own."""
        return self.of_class(DEFAULT_CLASS)

    def of_class(self, name: str) -> dict[str, int]:
        """The limits of a class."""
        with self._books.reading() as tx:
            return _of_class(tx, name)

    def update_class(self, name: str, changes: Mapping[str, int]) -> dict[str, int]:
        """Set limits of a class; those of ``DEFAULT_CLASS`` hold for all projects that have none of their own."""
        table = tables.quota_classes
        with self._books.writing() as tx:
            for resource, most in changes.items():
                if not tx.update(table, table.c.class_name == name, table.c.resource == resource, most=most):
                    tx.insert(table, class_name=name, resource=resource, most=most)
            return _of_class(tx, name)

    def update(
        self, project_id: str, changes: Mapping[str, int], *, user_id: str | None = None, force: bool = False
    ) -> dict[str, int]:
        """Set limits of a project, or of a user in it.

        Raises: Invalid, unless ``force``, for a limit below what is used or was given to users, or, of a user, above
        what the project has left to give.
        """
        table = tables.quotas
        with self._books.writing() as tx:
            if not force:
                _check_settable(tx, project_id, user_id, changes)
            for name, most in changes.items():
                user = _PROJECT if name in _OF_PROJECTS_ALONE else user_id or _PROJECT
                where = (table.c.project_id == project_id, table.c.user_id == user, table.c.resource == name)
                if not tx.update(table, *where, most=most):
                    tx.insert(table, project_id=project_id, user_id=user, resource=name, most=most)
            return limits(tx, project_id, user_id)

    def reset(self, project_id: str, user_id: str | None = None) -> None:
        """Forget the limits of a project and all of its users, or those of one user."""
        table = tables.quotas
        where = [table.c.project_id == project_id] + ([table.c.user_id == user_id] if user_id else [])
        with self._books.writing() as tx:
            tx.delete(table, *where)


def limits(reader: Reader, project_id: str, user_id: str | None = None) -> dict[str, int]:
    """The limits of a project, or of a user in it: the user's own, else the project's, else the defaults."""
    own = _own(reader, project_id, _PROJECT) | (_own(reader, project_id, user_id) if user_id else {})
    return _of_class(reader, DEFAULT_CLASS) | own


def usage(reader: Reader, project_id: str, user_id: str | None = None) -> dict[str, int]:
    """What a project, or a user in it, has: ``instances``, ``cores``, ``ram`` in MiB and ``server_groups``."""
    groups = tables.server_groups.c
    where = [groups.project_id == project_id] + ([groups.user_id == user_id] if user_id else [])
    return {**_of_servers(reader, project_id, user_id), "server_groups": reader.count(tables.server_groups, *where)}


def _of_servers(reader: Reader, project_id: str, user_id: str | None) -> dict[str, int]:
    """What live servers use: ``instances``, ``cores``, ``ram`` in MiB."""
    if user_id:
        (row,) = reader.rows(_SUMS_OF_USER, project=project_id, user=user_id)
    else:
        (row,) = reader.rows(_SUMS, project=project_id)
    return {name: int(row[name] or 0) for name in ("instances", "cores", "ram")}


_LIVE: Final = tables.servers.c
_SUMS: Final = select(
    func.count().label("instances"), func.sum(_LIVE.vcpus).label("cores"), func.sum(_LIVE.memory_mb).label("ram")
).where(_LIVE.project_id == bindparam("project"), _LIVE.deleted_at.is_(None))
_SUMS_OF_USER: Final = _SUMS.where(_LIVE.user_id == bindparam("user"))


def headroom(reader: Reader, project_id: str, user_id: str) -> dict[str, int | None]:
    """How many more ``instances``, ``cores`` and MiB of ``ram`` a user may take in a project; None is no limit."""
    room: dict[str, int | None] = {}
    for most, user in _scopes(reader, project_id, user_id):
        used = _of_servers(reader, project_id, user)
        for name in ("instances", "cores", "ram"):
            left = room.get(name)
            if most[name] >= 0:
                here = max(0, most[name] - used[name])
                left = here if left is None else min(left, here)
            room[name] = left
    return room


def check(tx: Reader, project_id: str, user_id: str, *, instances: int = 0, cores: int = 0, ram_mb: int = 0) -> None:
    """Whether a user may take so much more in a project. To be asked in the transaction that takes it.

    Raises: QuotaExceeded, in Nova's words.
    """
    wanted = {"cores": cores, "instances": instances, "ram": ram_mb}
    for most, user in _scopes(tx, project_id, user_id):
        limited = [name for name, more in wanted.items() if more > 0 and most[name] >= 0]
        used = _of_servers(tx, project_id, user) if limited else {}
        over = [name for name in limited if most[name] < used[name] + wanted[name]]
        if over:
            asked, has, of = (", ".join(str(told[name]) for name in over) for told in (wanted, used, most))
            names = ", ".join(over)
            raise QuotaExceeded(
                f"Quota exceeded for {names}: Requested {asked}, but already used {has} of {of} {names}", resources=over
            )


def check_key_pairs(tx: Reader, project_id: str, user_id: str) -> None:
    """Whether a user may have another keypair. They belong to users, so only those of the user count.

    Raises: QuotaExceeded.
    """
    most = limits(tx, project_id, user_id)["key_pairs"]
    if 0 <= most <= tx.count(tables.keypairs, tables.keypairs.c.user_id == user_id):
        raise QuotaExceeded("Quota exceeded, too many key pairs.", resources=["key_pairs"])


def check_server_groups(tx: Reader, project_id: str, user_id: str) -> None:
    """Whether a user may make another server group in a project.

    Raises: QuotaExceeded.
    """
    for most, user in _scopes(tx, project_id, user_id):
        if 0 <= most["server_groups"] <= usage(tx, project_id, user)["server_groups"]:
            raise QuotaExceeded("Quota exceeded, too many server groups.", resources=["server_groups"])


def check_group_members(tx: Reader, project_id: str, user_id: str, group_id: str, adding: int = 1) -> None:
    """Whether a user may put so many more servers into a group. Only those of the user count.

    Raises: QuotaExceeded.
    """
    most, servers = limits(tx, project_id, user_id)["server_group_members"], tables.servers.c
    where = (servers.group_id == group_id, servers.user_id == user_id, servers.deleted_at.is_(None))
    if 0 <= most < tx.count(tables.servers, *where) + adding:
        raise QuotaExceeded("Quota exceeded, too many servers in group", resources=["server_group_members"])


def check_metadata(tx: Reader, project_id: str, user_id: str, items: int) -> None:
    """Whether a server may have so many items of metadata.

    Raises: QuotaExceeded.
    """
    most = limits(tx, project_id, user_id)["metadata_items"] if items else _NO_LIMIT
    if 0 <= most < items:
        raise QuotaExceeded(f"Maximum number of metadata items exceeds {most}", resources=["metadata_items"])


def _scopes(reader: Reader, project_id: str, user_id: str) -> list[tuple[dict[str, int], str | None]]:
    """Limits of the project, and of the user too if the user has limits of their own; each with whose use counts."""
    own: dict[str, dict[str, int]] = {_PROJECT: {}, user_id: {}}
    for row in reader.find(tables.quotas, {"project_id": project_id, "user_id": (_PROJECT, user_id)}):
        own[row["user_id"]][row["resource"]] = row["most"]
    most = _of_class(reader, DEFAULT_CLASS) | own[_PROJECT]
    scopes: list[tuple[dict[str, int], str | None]] = [(most, None)]
    if user_id and own[user_id]:
        scopes.append((most | own[user_id], user_id))
    return scopes


def _own(reader: Reader, project_id: str, user_id: str) -> dict[str, int]:
    table = tables.quotas
    rows = reader.find(table, table.c.project_id == project_id, table.c.user_id == user_id)
    return {row["resource"]: row["most"] for row in rows}


def _of_class(reader: Reader, name: str) -> dict[str, int]:
    own = {row["resource"]: row["most"] for row in reader.find(tables.quota_classes, {"class_name": name})}
    return {resource: own.get(resource, most) for resource, most in DEFAULTS.items()}


def _check_settable(tx: Tx, project_id: str, user_id: str | None, changes: Mapping[str, int]) -> None:
    project, given = limits(tx, project_id), _given_to_users(tx, project_id)
    used = usage(tx, project_id, user_id)
    own = _own(tx, project_id, user_id) if user_id else {}
    for name, most in changes.items():
        left = project[name] - given.get(name, 0)
        if user_id:
            least = used.get(name, 0)
            greatest = _NO_LIMIT if left <= _NO_LIMIT else left + own.get(name, 0)
        else:
            unlimited = project[name] <= _NO_LIMIT or left <= _NO_LIMIT
            least = max(_NO_LIMIT if unlimited else given.get(name, 0), used.get(name, 0))
            greatest = _NO_LIMIT
        if _endless(most) < _endless(least):
            raise Invalid(
                f"Quota limit {most} for {name} must be greater than or equal to already used and reserved {least}."
            )
        if _endless(most) > _endless(greatest):
            raise Invalid(f"Quota limit {most} for {name} must be less than or equal to {greatest}.")


def _given_to_users(reader: Reader, project_id: str) -> dict[str, int]:
    table = tables.quotas
    given: dict[str, int] = {}
    for row in reader.find(table, table.c.project_id == project_id, table.c.user_id != _PROJECT):
        given[row["resource"]] = given.get(row["resource"], 0) + row["most"]
    return given


def _endless(most: int) -> float:
    return float("inf") if most == _NO_LIMIT else most
