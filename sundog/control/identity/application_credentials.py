"""Application credentials: what a program shows in place of its user's password."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sundog.control.identity.assignments import effective_roles
from sundog.control.identity.books import Books, found, taken
from sundog.control.identity.passwords import Passwords
from sundog.control.identity.payload import Scope
from sundog.control.identity.projects import project_of
from sundog.control.identity.records import ApplicationCredential, Role
from sundog.control.identity.roles import role_of
from sundog.control.identity.tokens import credential_record
from sundog.control.identity.users import user_of
from sundog.control.store.tables import identity as tables
from sundog.errors import Invalid, NotFound
from sundog.runtime import clock
from sundog.runtime.ids import random_secret


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A credential and its secret, which is told this once."""

    credential: ApplicationCredential
    secret: str = field(repr=False)


class ApplicationCredentials:
    """Application credentials, all of them without access rules."""

    def __init__(self, books: Books, passwords: Passwords) -> None:
        self._books, self._passwords = books, passwords

    async def create(
        self,
        user_id: str,
        project_id: str,
        name: str,
        *,
        secret: str | None = None,
        description: str | None = None,
        role_ids: Sequence[str] | None = None,
        unrestricted: bool = False,
        expires_at: datetime | None = None,
    ) -> NewCredential:
        """A credential for some of the user's roles on a project; for all of them unless told which.

        Without a ``secret`` one is made up.

        Raises: Conflict for a name that the user has given already; Invalid for a role that the user has not, or a
        time that is past; NotFound.
        """
        if expires_at is not None and expires_at <= clock.utcnow():
            raise Invalid("The 'expires_at' must not be before now.")
        told = secret if secret is not None else random_secret(64)
        secret_hash = await self._passwords.hash(told)
        with self._books.writing() as tx:
            user_of(tx, user_id)
            project_of(tx, project_id)
            if tx.get(tables.application_credentials, user_id=user_id, name=name) is not None:
                taken("application_credential", f"Duplicate entry found with name {name}")
            own = [role.id for role in effective_roles(tx, user_id, Scope("project", project_id))]
            wanted = own if role_ids is None else list(dict.fromkeys(role_ids))
            for role_id in wanted:
                if role_id not in own:
                    raise Invalid(
                        f"Invalid application credential: Could not find role assignment with role: {role_id}, "
                        f"user or group: {user_id}, project, domain, or system: {project_id}."
                    )
            if not wanted:
                raise Invalid("Invalid application credential: it would have no role")
            credential_id = self._books.new_id()
            tx.insert(
                tables.application_credentials,
                id=credential_id,
                user_id=user_id,
                project_id=project_id,
                name=name,
                description=description,
                secret_hash=str(secret_hash),
                role_ids=wanted,
                unrestricted=unrestricted,
                expires_at=expires_at,
            )
            row = found(tx, tables.application_credentials, "Application Credential", credential_id)
            return NewCredential(credential_record(row), told)

    def show(self, credential_id: str) -> ApplicationCredential:
        """Raises: NotFound."""
        with self._books.reading() as reader:
            row = found(reader, tables.application_credentials, "Application Credential", credential_id)
            return credential_record(row)

    def list_of(self, user_id: str) -> list[ApplicationCredential]:
        """The credentials of a user.

        Raises: NotFound.
        """
        table = tables.application_credentials
        with self._books.reading() as reader:
            user_of(reader, user_id)
            return [credential_record(row) for row in reader.find(table, table.c.user_id == user_id)]

    def roles_of(self, credential: ApplicationCredential) -> list[Role]:
        """The roles of a credential, without those that were removed since."""
        roles: list[Role] = []
        with self._books.reading() as reader:
            for role_id in credential.role_ids:
                try:
                    roles.append(role_of(reader, role_id))
                except NotFound:
                    continue
        return roles

    def delete(self, credential_id: str) -> None:
        """Remove a credential; its tokens are no good any more.

        Raises: NotFound.
        """
        table = tables.application_credentials
        with self._books.writing() as tx:
            found(tx, table, "Application Credential", credential_id)
            tx.delete(table, table.c.id == credential_id)
