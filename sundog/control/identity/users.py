"""Users, and groups of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sundog.control.identity.books import Books, check_name, found_as, merged, missing
from sundog.control.identity.passwords import Passwords
from sundog.control.identity.projects import delete_assignments_of, domain_of
from sundog.control.identity.records import Group, User, record
from sundog.control.store import Reader
from sundog.control.store.tables import identity as tables
from sundog.errors import Invalid, Unauthorized
from sundog.runtime import clock

_KEPT: Final = ("name", "enabled", "default_project_id", "description", "options")


class Users:
    """Users. Whatever ends what a user could do also ends the user's tokens."""

    def __init__(self, books: Books, passwords: Passwords) -> None:
        self._books = books
        self._passwords = passwords

    def show(self, user_id: str) -> User:
        """Raises: NotFound."""
        with self._books.reading() as reader:
            return user_of(reader, user_id)

    def list_all(self) -> list[User]:
        """Everybody."""
        with self._books.reading() as reader:
            return [record(User, row) for row in reader.find(tables.users)]

    def create(
        self,
        name: str,
        domain_id: str,
        *,
        password: str | None = None,
        enabled: bool = True,
        default_project_id: str | None = None,
        description: str | None = None,
        options: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> User:
        """A new user, without a password unless one is given; a :class:`Hashed` one makes nobody wait.

        Raises: Conflict for a name that is taken in the domain; NotFound for no such domain; Invalid for a default
        project that is a domain.
        """
        # Before the transaction: it takes long.
        password_hash = None if password is None else str(self._passwords.hashed(password))
        with self._books.writing() as tx:
            domain_of(tx, domain_id)
            check_name(tx, tables.users, "user", name, domain_id)
            _check_default_project(tx, default_project_id)
            user_id = self._books.new_id()
            tx.insert(
                tables.users,
                id=user_id,
                domain_id=domain_id,
                name=name,
                enabled=enabled,
                default_project_id=default_project_id,
                description=description,
                password_hash=password_hash,
                generation=0,
                created_at=clock.utcnow(),
                options=merged({}, options or {}),
                extra=dict(extra or {}),
            )
            return user_of(tx, user_id)

    def update(
        self,
        user_id: str,
        changes: Mapping[str, Any],
        *,
        password: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> User:
        """Change a user. A new password and disabling take all tokens of the user back.

        Raises: NotFound, Conflict, Invalid.
        """
        password_hash = None if password is None else str(self._passwords.hashed(password))
        with self._books.writing() as tx:
            user = user_of(tx, user_id)
            values = {key: value for key, value in changes.items() if key in _KEPT}
            if "name" in values:
                check_name(tx, tables.users, "user", values["name"], user.domain_id, user_id)
            if values.get("default_project_id") is not None:
                _check_default_project(tx, values["default_project_id"])
            if "options" in values:
                values["options"] = merged(user.options, values["options"])
            if extra:
                values["extra"] = {**user.extra, **extra}
            if password_hash is not None:
                values["password_hash"] = password_hash
            if password_hash is not None or (user.enabled and values.get("enabled") is False):
                values["generation"] = user.generation + 1
            if values:
                tx.update(tables.users, tables.users.c.id == user_id, **values)
            return user_of(tx, user_id)

    async def change_password(self, user_id: str, original: str, new: str) -> None:
        """What a user does who knows the password. All tokens of the user are taken back.

        Raises: Unauthorized for a wrong password, in the same words and after the same work as for no such user.
        """
        with self._books.reading() as reader:
            row = reader.get(tables.users, id=user_id)
        if not await self._passwords.compare(original, row["password_hash"] if row else None):
            raise Unauthorized("The request you have made requires authentication.")
        new_hash = str(await self._passwords.hash(new))
        with self._books.writing() as tx:
            user, now = user_of(tx, user_id), tx.get(tables.users, id=user_id)
            # Somebody else may have changed it since it was compared.
            if not user.enabled or row is None or now is None or now["password_hash"] != row["password_hash"]:
                raise Unauthorized("The request you have made requires authentication.")
            tx.update(
                tables.users, tables.users.c.id == user_id, password_hash=new_hash, generation=user.generation + 1
            )

    def delete(self, user_id: str) -> None:
        """Remove a user with roles, memberships and application credentials.

        Raises: NotFound.
        """
        with self._books.writing() as tx:
            user_of(tx, user_id)
            delete_assignments_of(tx, "user", [user_id])
            tx.delete(tables.users, tables.users.c.id == user_id)

    def groups_of(self, user_id: str) -> list[Group]:
        """The groups that a user is in.

        Raises: NotFound.
        """
        with self._books.reading() as reader:
            user_of(reader, user_id)
            wanted = group_ids_of(reader, user_id)
            return [record(Group, row) for row in reader.find(tables.groups, tables.groups.c.id.in_(wanted))]


class Groups:
    """Groups."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def show(self, group_id: str) -> Group:
        """Raises: NotFound."""
        with self._books.reading() as reader:
            return group_of(reader, group_id)

    def list_all(self) -> list[Group]:
        """All groups."""
        with self._books.reading() as reader:
            return [record(Group, row) for row in reader.find(tables.groups)]

    def create(
        self, name: str, domain_id: str, *, description: str = "", extra: Mapping[str, Any] | None = None
    ) -> Group:
        """Raises: Conflict for a name that is taken in the domain; NotFound for no such domain."""
        with self._books.writing() as tx:
            domain_of(tx, domain_id)
            check_name(tx, tables.groups, "group", name, domain_id)
            group_id = self._books.new_id()
            tx.insert(
                tables.groups,
                id=group_id,
                domain_id=domain_id,
                name=name,
                description=description,
                extra=dict(extra or {}),
            )
            return group_of(tx, group_id)

    def update(self, group_id: str, changes: Mapping[str, Any], *, extra: Mapping[str, Any] | None = None) -> Group:
        """Raises: NotFound, Conflict."""
        with self._books.writing() as tx:
            group = group_of(tx, group_id)
            values = {key: value for key, value in changes.items() if key in ("name", "description")}
            if "name" in values:
                check_name(tx, tables.groups, "group", values["name"], group.domain_id, group_id)
            if extra:
                values["extra"] = {**group.extra, **extra}
            if values:
                tx.update(tables.groups, tables.groups.c.id == group_id, **values)
            return group_of(tx, group_id)

    def delete(self, group_id: str) -> None:
        """Remove a group and its roles.

        Raises: NotFound.
        """
        with self._books.writing() as tx:
            group_of(tx, group_id)
            delete_assignments_of(tx, "group", [group_id])
            tx.delete(tables.groups, tables.groups.c.id == group_id)

    def members(self, group_id: str) -> list[User]:
        """Raises: NotFound."""
        with self._books.reading() as reader:
            group_of(reader, group_id)
            wanted = [
                row["user_id"] for row in reader.find(tables.memberships, tables.memberships.c.group_id == group_id)
            ]
            return [record(User, row) for row in reader.find(tables.users, tables.users.c.id.in_(wanted))]

    def add(self, group_id: str, user_id: str) -> None:
        """Put a user into a group, where the user may be already.

        Raises: NotFound.
        """
        with self._books.writing() as tx:
            group_of(tx, group_id)
            user_of(tx, user_id)
            if tx.get(tables.memberships, user_id=user_id, group_id=group_id) is None:
                tx.insert(tables.memberships, user_id=user_id, group_id=group_id)

    def remove(self, group_id: str, user_id: str) -> None:
        """Raises: NotFound, also for a user who is not in the group."""
        table = tables.memberships
        with self._books.writing() as tx:
            _check_member(tx, group_id, user_id)
            tx.delete(table, table.c.group_id == group_id, table.c.user_id == user_id)

    def check(self, group_id: str, user_id: str) -> None:
        """Raises: NotFound for a user who is not in the group."""
        with self._books.reading() as reader:
            _check_member(reader, group_id, user_id)


def user_of(reader: Reader, user_id: str) -> User:
    """Raises: NotFound."""
    return found_as(reader, User, tables.users, "user", user_id)


def group_of(reader: Reader, group_id: str) -> Group:
    """Raises: NotFound."""
    return found_as(reader, Group, tables.groups, "group", group_id)


def group_ids_of(reader: Reader, user_id: str) -> list[str]:
    """The ids of the groups that a user is in."""
    return [row["group_id"] for row in reader.find(tables.memberships, tables.memberships.c.user_id == user_id)]


def _check_member(reader: Reader, group_id: str, user_id: str) -> None:
    group_of(reader, group_id)
    user_of(reader, user_id)
    if reader.get(tables.memberships, user_id=user_id, group_id=group_id) is None:
        raise missing("user in group", f"{user_id} in {group_id}")


def _check_default_project(reader: Reader, project_id: str | None) -> None:
    """A default project need not exist, but no domain can be one."""
    row = reader.get(tables.projects, id=project_id) if project_id is not None else None
    if row is not None and row["is_domain"]:
        raise Invalid("User's default project ID cannot be a domain ID", id=project_id)
