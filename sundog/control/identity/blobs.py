"""What is kept for others as it is: credentials of users, policies of services."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sundog.control.identity.books import Books, found_as, taken
from sundog.control.identity.records import Credential, PolicyBlob, record
from sundog.control.identity.users import user_of
from sundog.control.store import Reader
from sundog.control.store.tables import identity as tables
from sundog.errors import Invalid


class Credentials:
    """Credentials of users. Nothing here logs anybody in by one."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def show(self, credential_id: str) -> Credential:
        """Raises: NotFound."""
        with self._books.reading() as reader:
            return _credential(reader, credential_id)

    def list_all(self) -> list[Credential]:
        """All credentials of all users."""
        with self._books.reading() as reader:
            return [record(Credential, row) for row in reader.find(tables.credentials)]

    def create(
        self,
        user_id: str,
        kind: str,
        blob: str,
        *,
        project_id: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Credential:
        """A new credential of the type ``kind``. The id of one for EC2 follows from its access key, as in Keystone.

        Raises: NotFound for no such user; Invalid for one for EC2 without an access key or a project; Conflict if its
        access key is there already.
        """
        credential_id = _ec2_id(blob) if kind.lower() == "ec2" else self._books.new_id()
        if kind.lower() == "ec2" and project_id is None:
            raise Invalid("Expecting to find project_id in credential")
        with self._books.writing() as tx:
            user_of(tx, user_id)
            if tx.get(tables.credentials, id=credential_id) is not None:
                taken("credential", f"Duplicate entry found with ID {credential_id}")
            tx.insert(
                tables.credentials,
                id=credential_id,
                user_id=user_id,
                project_id=project_id,
                type=kind,
                blob=blob,
                extra=dict(extra or {}),
            )
            return _credential(tx, credential_id)

    def update(
        self, credential_id: str, changes: Mapping[str, Any], *, extra: Mapping[str, Any] | None = None
    ) -> Credential:
        """Change the blob; what it is, whose it is and for which project never changes.

        Raises: NotFound; Invalid for one for EC2 that would have no access key.
        """
        with self._books.writing() as tx:
            credential = _credential(tx, credential_id)
            values: dict[str, Any] = {"blob": changes["blob"]} if "blob" in changes else {}
            if credential.type.lower() == "ec2" and values:
                _ec2_id(values["blob"])
            if extra:
                values["extra"] = {**credential.extra, **extra}
            if values:
                tx.update(tables.credentials, tables.credentials.c.id == credential_id, **values)
            return _credential(tx, credential_id)

    def delete(self, credential_id: str) -> None:
        """Raises: NotFound."""
        with self._books.writing() as tx:
            _credential(tx, credential_id)
            tx.delete(tables.credentials, tables.credentials.c.id == credential_id)


class Policies:
    """Policies of services. Nothing here goes by one."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def show(self, policy_id: str) -> PolicyBlob:
        """Raises: NotFound."""
        with self._books.reading() as reader:
            return _policy(reader, policy_id)

    def list_all(self) -> list[PolicyBlob]:
        """All policies."""
        with self._books.reading() as reader:
            return [record(PolicyBlob, row) for row in reader.find(tables.policies)]

    def create(self, kind: str, blob: str, *, extra: Mapping[str, Any] | None = None) -> PolicyBlob:
        """A new policy of the type ``kind``."""
        with self._books.writing() as tx:
            policy_id = self._books.new_id()
            tx.insert(tables.policies, id=policy_id, type=kind, blob=blob, extra=dict(extra or {}))
            return _policy(tx, policy_id)

    def update(
        self, policy_id: str, changes: Mapping[str, Any], *, extra: Mapping[str, Any] | None = None
    ) -> PolicyBlob:
        """Raises: NotFound."""
        with self._books.writing() as tx:
            policy = _policy(tx, policy_id)
            values = {key: value for key, value in changes.items() if key in ("type", "blob")}
            if extra:
                values["extra"] = {**policy.extra, **extra}
            if values:
                tx.update(tables.policies, tables.policies.c.id == policy_id, **values)
            return _policy(tx, policy_id)

    def delete(self, policy_id: str) -> None:
        """Raises: NotFound."""
        with self._books.writing() as tx:
            _policy(tx, policy_id)
            tx.delete(tables.policies, tables.policies.c.id == policy_id)


def _credential(reader: Reader, credential_id: str) -> Credential:
    return found_as(reader, Credential, tables.credentials, "credential", credential_id)


def _policy(reader: Reader, policy_id: str) -> PolicyBlob:
    return found_as(reader, PolicyBlob, tables.policies, "policy", policy_id)


def _ec2_id(blob: str) -> str:
    """Raises: Invalid for a blob in which there is no access key."""
    try:
        access = json.loads(blob)["access"]
    except (ValueError, KeyError, TypeError, RecursionError):
        access = None
    if not isinstance(access, str):
        raise Invalid("Invalid blob in credential: that of one for EC2 is JSON with an access key and a secret")
    return hashlib.sha256(access.encode(errors="surrogatepass")).hexdigest()
