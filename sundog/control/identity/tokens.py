"""Tokens: given for a password, another token or an application credential; checked, and taken back.

A token is a sealed :class:`~sundog.control.identity.payload.Claims`, kept nowhere. What follows from it (whether the
user may still use it, and with which roles) is read from the store when it is used, and remembered until the next write
to identity by whatever process. That makes revocation immediate: there is nothing to wait for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.fernet import InvalidToken, MultiFernet

from sundog.control.identity.assignments import effective_roles
from sundog.control.identity.books import Books, version_of
from sundog.control.identity.catalogue import Entry, entries_for
from sundog.control.identity.keys import seal_of
from sundog.control.identity.passwords import Passwords
from sundog.control.identity.payload import METHODS, Claims, Scope, packed, unpacked
from sundog.control.identity.records import ROOT, ApplicationCredential, Project, Role, User, record
from sundog.control.identity.roles import closed, implications_of
from sundog.control.identity.settings import Settings
from sundog.control.principal import Principal
from sundog.control.store import Reader, Row
from sundog.control.store.tables import identity as tables
from sundog.errors import NotFound, Unauthorized
from sundog.runtime import clock

_LONGEST: Final = 2048
"""No token of ours has so many characters; what has is not looked at."""

_SKEW: Final = 60


@dataclass(frozen=True, slots=True)
class Named:
    """Something that a client names: by its id, or by its name and its domain's id or name."""

    id: str | None = None
    name: str | None = None
    domain: Named | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The scope that a client wants. ``kind`` as in Scope; ``named`` is None for the system and for unscoped."""

    kind: str
    named: Named | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """What a client shows to get a token. ``methods`` says which of it counts.

    Without a ``scope`` the token is for the user's default project where there is a usable one, else unscoped.
    """

    methods: tuple[str, ...]
    user: Named | None = None
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    credential: Named | None = None
    credential_user: Named | None = None
    secret: str = field(default="", repr=False)
    scope: Wanted | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """What a good token means. ``project`` is that of its scope, or the domain's for a domain scope."""

    claims: Claims
    user: User
    user_domain: Project
    project: Project | None
    project_domain: Project | None
    roles: tuple[Role, ...]
    credential: ApplicationCredential | None
    catalogue: tuple[Entry, ...]
    principal: Principal

    @property
    def delegated(self) -> bool:
        """Whether it came from an application credential that may not make others."""
        return self.credential is not None and not self.credential.unrestricted


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token, and what it means."""

    token: str = field(repr=False)
    session: Session


@dataclass(frozen=True, slots=True)
class _Proof:
    """Whose login it is, and the token, the application credential or the password's hash that says so."""

    user_id: str
    parent: Claims | None = None
    credential: ApplicationCredential | None = None
    password_hash: str | None = field(default=None, repr=False)


class Tokens:
    """Tokens of one deployment."""

    def __init__(self, books: Books, passwords: Passwords, settings: Settings) -> None:
        self._books, self._passwords = books, passwords
        self._life, self._most = timedelta(seconds=settings.token_life), settings.remembered_tokens
        self._version = -1
        self._seal: MultiFernet | None = None
        self._known: dict[bytes, Session] = {}

    async def issue(self, login: Login) -> Issued:
        """A token for whoever shows what is needed.

        Raises: Unauthorized in the same words whatever was wrong: the user, the password, the scope.
        """
        if not login.methods or not set(login.methods) <= set(METHODS):
            raise Unauthorized("Attempted to authenticate with an unsupported method.")
        proven = [await self._proven(method, login) for method in dict.fromkeys(login.methods)]
        proof = _agreed(proven)
        parent, credential = proof.parent, proof.credential
        now = clock.utcnow()
        expires_at = parent.expires_at if parent else now + self._life
        with self._books.reading() as reader:
            self._refresh(reader)
            user = reader.get(tables.users, id=proof.user_id)
            # Somebody may have changed the password since it was compared, which takes long.
            if user is None or (proof.password_hash and user["password_hash"] != proof.password_hash):
                raise _refused()
            if credential is not None and credential.expires_at is not None:
                expires_at = min(expires_at, credential.expires_at)
            methods = set(login.methods) | (set(parent.methods) if parent else set())
            claims = Claims(
                user_id=proof.user_id,
                generation=parent.generation if parent else user["generation"],
                scope=_scope(reader, login.scope, record(User, user), credential),
                methods=tuple(method for method in METHODS if method in methods),
                audit_ids=(self._new_audit_id(), *(parent.audit_ids[-1:] if parent else ())),
                issued_at=now,
                expires_at=expires_at,
                application_credential_id=credential.id if credential else "",
            )
            session = _session(reader, claims, now)
            token = self._sealed(claims)
        self._remember(token, session)
        return Issued(token, session)

    def session(self, token: str) -> Session:
        """What a token means now.

        Raises: Unauthorized for one that is not good, in the same words whatever the reason.
        """
        now = clock.utcnow()
        key = _key(token)
        with self._books.reading() as reader:
            self._refresh(reader)
            session = self._known.get(key)
            if session is None:
                session = _session(reader, self._opened(token), now)
                self._remember(token, session)
        if session.claims.expires_at <= now:
            raise _refused()
        return session

    def subject(self, token: str) -> Session:
        """:meth:`session` of a token that a request is about, not made with.

        Raises: NotFound.
        """
        try:
            return self.session(token)
        except Unauthorized:
            # Not the token itself: it may be good elsewhere.
            raise NotFound("Could not find token.") from None

    def revoke(self, token: str) -> None:
        """Take a token back. Others that were made from it stay good.

        Raises: NotFound for one that is not good.
        """
        claims = self.subject(token).claims
        table, now = tables.revoked_tokens, clock.utcnow()
        with self._books.writing() as tx:
            tx.delete(table, table.c.expires_at <= now)
            if tx.get(table, audit_id=claims.audit_ids[0]) is None:
                tx.insert(table, audit_id=claims.audit_ids[0], expires_at=claims.expires_at)

    async def _proven(self, method: str, login: Login) -> _Proof:
        """What one method proves."""
        if method == "password":
            return await self._by_password(login)
        if method == "application_credential":
            credential = await self._by_credential(login)
            return _Proof(credential.user_id, credential=credential)
        session = self.session(login.token)
        return _Proof(session.claims.user_id, session.claims, session.credential)

    async def _by_password(self, login: Login) -> _Proof:
        with self._books.reading() as reader:
            row = _user_named(reader, login.user)
        if not await self._passwords.compare(login.password, row["password_hash"] if row else None) or row is None:
            raise _refused()
        return _Proof(row["id"], password_hash=row["password_hash"])

    async def _by_credential(self, login: Login) -> ApplicationCredential:
        with self._books.reading() as reader:
            row = _credential_named(reader, login.credential, login.credential_user)
        if not await self._passwords.compare(login.secret, row["secret_hash"] if row else None) or row is None:
            raise _refused()
        # An application credential has the scope that it was made with; it cannot ask for another.
        if login.scope is not None:
            raise _refused()
        return credential_record(row)

    def _new_audit_id(self) -> str:
        return base64.urlsafe_b64encode(self._books.ids.uuid().bytes).rstrip(b"=").decode()

    def _sealed(self, claims: Claims) -> str:
        assert self._seal is not None
        sealed = self._seal.encrypt_at_time(packed(claims), int(claims.issued_at.timestamp()))
        return sealed.rstrip(b"=").decode()

    def _opened(self, token: str) -> Claims:
        """Raises: Unauthorized for anything that is not, to the letter, what was sealed."""
        assert self._seal is not None
        if len(token) > _LONGEST:
            raise _refused()
        try:
            padded = token.encode("ascii") + b"=" * (-len(token) % 4)
            # Base64 has several spellings of the same bytes; one of them is ours.
            if base64.urlsafe_b64encode(base64.urlsafe_b64decode(padded)) != padded:
                raise _refused()
            now = int(clock.utcnow().timestamp())
            return unpacked(self._seal.decrypt_at_time(padded, now + _SKEW, now))
        except (InvalidToken, UnicodeEncodeError, binascii.Error, ValueError):
            raise _refused() from None

    def _refresh(self, reader: Reader) -> None:
        """Forget what is known if there was a write since."""
        version = version_of(reader)
        if version != self._version or self._seal is None:
            self._known.clear()
            self._seal = seal_of(reader)
            self._version = version

    def _remember(self, token: str, session: Session) -> None:
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[_key(token)] = session


def credential_record(row: Mapping[Any, Any]) -> ApplicationCredential:
    """An application credential without its secret's hash."""
    return record(ApplicationCredential, {**row, "role_ids": tuple(row["role_ids"])})


def _agreed(proven: Sequence[_Proof]) -> _Proof:
    """All that was proven. It must be about the same user.

    Raises: Unauthorized.
    """
    if len({each.user_id for each in proven}) != 1:
        raise _refused()
    return _Proof(
        proven[0].user_id,
        next((each.parent for each in proven if each.parent), None),
        next((each.credential for each in proven if each.credential), None),
        next((each.password_hash for each in proven if each.password_hash), None),
    )


def _session(reader: Reader, claims: Claims, now: datetime) -> Session:
    """What the claims mean by the books as they are.

    Raises: Unauthorized.
    """
    row = reader.get(tables.users, id=claims.user_id)
    if row is None or not row["enabled"] or row["generation"] != claims.generation or claims.expires_at <= now:
        raise _refused()
    if reader.get(tables.revoked_tokens, audit_id=claims.audit_ids[0]) is not None:
        raise _refused()
    user = record(User, row)
    user_domain = _enabled(reader, user.domain_id)
    project, project_domain = _scoped(reader, claims.scope)
    credential = _credential(reader, claims, now)
    roles = effective_roles(reader, user.id, claims.scope)
    if credential is not None:
        roles = _narrowed(reader, roles, credential)
    if not roles and claims.scope.kind != "unscoped":
        raise _refused()
    project_id = claims.scope.id if claims.scope.kind == "project" else None
    return Session(
        claims=claims,
        user=user,
        user_domain=user_domain,
        project=project,
        project_domain=project_domain,
        roles=roles,
        credential=credential,
        catalogue=() if claims.scope.kind == "unscoped" else entries_for(reader, project_id),
        principal=_principal(claims, user, project, project_domain, roles),
    )


def _principal(
    claims: Claims, user: User, project: Project | None, domain: Project | None, roles: tuple[Role, ...]
) -> Principal:
    on_project = project if claims.scope.kind == "project" else None
    return Principal(
        user_id=user.id,
        user_name=user.name,
        user_domain_id=user.domain_id,
        project_id=on_project.id if on_project else None,
        project_name=on_project.name if on_project else None,
        project_domain_id=domain.id if on_project and domain else None,
        domain_id=claims.scope.id if claims.scope.kind == "domain" else None,
        is_system=claims.scope.kind == "system",
        roles=tuple(role.name for role in roles),
        token_id=claims.audit_ids[0],
    )


def _enabled(reader: Reader, project_id: str) -> Project:
    row = reader.get(tables.projects, id=project_id)
    if row is None or not row["enabled"]:
        raise _refused()
    return record(Project, row)


def _scoped(reader: Reader, scope: Scope) -> tuple[Project | None, Project | None]:
    """The project of a scope and its domain, both of which must be enabled."""
    if scope.kind == "domain":
        domain = _enabled(reader, scope.id)
        if not domain.is_domain:
            raise _refused()
        return domain, domain
    if scope.kind != "project":
        return None, None
    project = _enabled(reader, scope.id)
    return project, project if project.is_domain else _enabled(reader, project.domain_id)


def _credential(reader: Reader, claims: Claims, now: datetime) -> ApplicationCredential | None:
    """The application credential behind the claims, which must still be there, and for the same scope."""
    if not claims.application_credential_id:
        return None
    row = reader.get(tables.application_credentials, id=claims.application_credential_id)
    if row is None or row["user_id"] != claims.user_id or claims.scope != Scope("project", row["project_id"]):
        raise _refused()
    if row["expires_at"] is not None and row["expires_at"] <= now:
        raise _refused()
    return credential_record(row)


def _narrowed(reader: Reader, roles: tuple[Role, ...], credential: ApplicationCredential) -> tuple[Role, ...]:
    """Of the user's roles those of the credential; none once the user has lost one of them."""
    if not set(credential.role_ids) <= {role.id for role in roles}:
        return ()
    met = closed(credential.role_ids, implications_of(reader))
    return tuple(role for role in roles if role.id in met)


def _scope(reader: Reader, wanted: Wanted | None, user: User, credential: ApplicationCredential | None) -> Scope:
    """The scope of a new token.

    Raises: Unauthorized for one that is not there.
    """
    if credential is not None:
        own = Scope("project", credential.project_id)
        if wanted is not None and _named_scope(reader, wanted) != own:
            raise _refused()
        return own
    if wanted is not None:
        return _named_scope(reader, wanted)
    default = Scope("project", user.default_project_id or "")
    if default.id:
        try:
            _scoped(reader, default)
        except Unauthorized:
            return Scope()
        if effective_roles(reader, user.id, default):
            return default
    return Scope()


def _named_scope(reader: Reader, wanted: Wanted) -> Scope:
    if wanted.kind in ("system", "unscoped"):
        return Scope(wanted.kind)
    row = _project_named(reader, wanted.named or Named(), is_domain=wanted.kind == "domain")
    if row is None:
        raise _refused()
    return Scope(wanted.kind, row["id"])


def _project_named(reader: Reader, named: Named, *, is_domain: bool = False) -> Row | None:
    """A project or a domain. A project may also be a domain that acts as one."""
    if named.id is not None:
        row = reader.get(tables.projects, id=named.id)
        return row if row is not None and (row["is_domain"] or not is_domain) else None
    if is_domain:
        return reader.get(tables.projects, domain_id=ROOT, name=named.name or "")
    domain = _project_named(reader, named.domain, is_domain=True) if named.domain else None
    if domain is None:
        return None
    return reader.get(tables.projects, domain_id=domain["id"], name=named.name or "")


def _user_named(reader: Reader, named: Named | None) -> Row | None:
    if named is None:
        return None
    if named.id is not None:
        return reader.get(tables.users, id=named.id)
    domain = _project_named(reader, named.domain, is_domain=True) if named.domain else None
    return None if domain is None else reader.get(tables.users, domain_id=domain["id"], name=named.name or "")


def _credential_named(reader: Reader, named: Named | None, owner: Named | None) -> Row | None:
    if named is None:
        return None
    if named.id is not None:
        return reader.get(tables.application_credentials, id=named.id)
    user = _user_named(reader, owner)
    if user is None:
        return None
    return reader.get(tables.application_credentials, user_id=user["id"], name=named.name or "")


def _key(token: str) -> bytes:
    """By what a token is remembered: not by itself."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _refused() -> Unauthorized:
    return Unauthorized("The request you have made requires authentication.")
