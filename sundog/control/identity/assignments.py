"""Who has which role on what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, false, or_

from sundog.control.identity.books import Books
from sundog.control.identity.payload import Scope
from sundog.control.identity.projects import ancestors, domain_of, project_of, with_tags
from sundog.control.identity.records import ROOT, Group, Project, Role, User, record
from sundog.control.identity.roles import closed, implications_of, role_of
from sundog.control.identity.users import group_ids_of, group_of, user_of
from sundog.control.store import Reader
from sundog.control.store.store import Where
from sundog.control.store.tables import identity as tables
from sundog.errors import Forbidden, NotFound


@dataclass(frozen=True, slots=True)
class Actor:
    """Who has a role. ``kind`` is ``"user"`` or ``"group"``."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """That somebody has a role on something; ``inherited``: on the projects below it, and not on itself.

    An assignment that only follows from others says how: it comes by membership of ``by_group``, from ``above``, or
    because of the role ``prior_id``.
    """

    actor: Actor
    target: Scope
    role_id: str
    inherited: bool = False
    by_group: str | None = None
    above: Scope | None = None
    prior_id: str | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """The records behind the ids of a list of assignments, each by its id."""

    users: dict[str, User]
    groups: dict[str, Group]
    projects: dict[str, Project]
    roles: dict[str, Role]


SYSTEM = Scope("system")


class Assignments:
    """Who has which role on what."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def grant(self, assignment: Assignment) -> None:
        """Give a role, which may be there already.

        Raises: NotFound for a part of it that is not there; Forbidden for a domain's role outside of the domain.
        """
        with self._books.writing() as tx:
            _check_parts(tx, assignment)
            values = _columns(assignment)
            if tx.get(tables.assignments, **values) is None:
                tx.insert(tables.assignments, **values)

    def revoke(self, assignment: Assignment) -> None:
        """Take a role away.

        Raises: NotFound.
        """
        with self._books.writing() as tx:
            role_of(tx, assignment.role_id)
            if not tx.delete(tables.assignments, *_is(assignment)):
                raise _not_there(assignment)

    def check(self, assignment: Assignment) -> None:
        """Raises: NotFound for a role that was not given so."""
        with self._books.reading() as reader:
            _check_parts(reader, assignment)
            if reader.get(tables.assignments, **_columns(assignment)) is None:
                raise _not_there(assignment)

    def roles_of(self, actor: Actor, target: Scope, *, inherited: bool = False) -> list[Role]:
        """The roles that somebody was given on something by name.

        Raises: NotFound.
        """
        table = tables.assignments
        with self._books.reading() as reader:
            _check_actor(reader, actor)
            _check_target(reader, target)
            rows = reader.find(
                table,
                table.c.actor_kind == actor.kind,
                table.c.actor_id == actor.id,
                table.c.target_kind == target.kind,
                table.c.target_id == target.id,
                table.c.inherited == inherited,
            )
            return [role_of(reader, row["role_id"]) for row in rows]

    def every(self, *, effective: bool = False, below: str | None = None) -> tuple[list[Assignment], Names]:
        """All assignments; with ``effective`` what follows from them in place of groups and inheritance.

        ``below`` leaves only those on a project and the projects below it.
        """
        with self._books.reading() as reader:
            names = Names(
                {row["id"]: record(User, row) for row in reader.find(tables.users)},
                {row["id"]: record(Group, row) for row in reader.find(tables.groups)},
                {row["id"]: record(Project, row) for row in reader.find(tables.projects)},
                {row["id"]: record(Role, row) for row in reader.find(tables.roles)},
            )
            given = [_assignment(row) for row in reader.find(tables.assignments)]
            if effective:
                members: dict[str, list[str]] = {}
                for row in reader.find(tables.memberships):
                    members.setdefault(row["group_id"], []).append(row["user_id"])
                given = _followed(given, names.projects, members, implications_of(reader), names.roles)
        if below is not None:
            inside = {below, *(each.id for each in _below(names.projects, Scope("project", below)))}
            given = [each for each in given if each.target.kind == "project" and each.target.id in inside]
        return given, names

    def projects_for(self, user_id: str) -> list[Project]:
        """The enabled projects on which a user has a role.

        Raises: NotFound.
        """
        with self._books.reading() as reader:
            user_of(reader, user_id)
            given = _given(reader, user_id)
            known = {row["id"]: record(Project, row) for row in reader.find(tables.projects)}
            met = {each.target.id for each in given if each.target.kind == "project" and not each.inherited}
            for each in given:
                if each.inherited:
                    met |= {project.id for project in _below(known, each.target)}
            rows = reader.find(tables.projects, tables.projects.c.id.in_(sorted(met)))
            return [each for each in with_tags(reader, rows) if each.enabled and not each.is_domain]

    def domains_for(self, user_id: str) -> list[Project]:
        """The enabled domains on which a user has a role.

        Raises: NotFound.
        """
        with self._books.reading() as reader:
            user_of(reader, user_id)
            met = {
                each.target.id
                for each in _given(reader, user_id)
                if each.target.kind == "domain" and not each.inherited
            }
            rows = reader.find(tables.projects, tables.projects.c.id.in_(sorted(met)))
            return [each for each in with_tags(reader, rows) if each.enabled]

    def on_system(self, user_id: str) -> bool:
        """Whether a user has a role on the system."""
        with self._books.reading() as reader:
            return any(each.target == SYSTEM for each in _given(reader, user_id))


def effective_roles(reader: Reader, user_id: str, scope: Scope) -> tuple[Role, ...]:
    """The roles that a token for ``scope`` has, implied ones included, by name. None for one without scope."""
    if scope.kind == "unscoped":
        return ()
    table = tables.assignments
    role_ids = [
        row["role_id"]
        for row in reader.find(table, _by(user_id, group_ids_of(reader, user_id)), _reaches(reader, scope))
    ]
    if not role_ids:
        return ()
    met = closed(role_ids, implications_of(reader))
    rows = reader.find(tables.roles, tables.roles.c.id.in_(list(met)), tables.roles.c.domain_id == ROOT)
    return tuple(sorted((record(Role, row) for row in rows), key=lambda role: role.name))


def _by(user_id: str, group_ids: Sequence[str]) -> Where:
    """Of a user, by name or by a group."""
    table = tables.assignments
    return or_(
        and_(table.c.actor_kind == "user", table.c.actor_id == user_id),
        and_(table.c.actor_kind == "group", table.c.actor_id.in_(group_ids)) if group_ids else false(),
    )


def _reaches(reader: Reader, scope: Scope) -> Where:
    """On what is asked for itself, or inherited from above."""
    table = tables.assignments
    here = and_(table.c.target_kind == scope.kind, table.c.target_id == scope.id, table.c.inherited.is_(False))
    if scope.kind != "project":
        return here
    above = [each.id for each in ancestors(reader, project_of(reader, scope.id))]
    # A domain's id names nothing else, so the kind need not be looked at.
    return or_(here, and_(table.c.target_id.in_(above), table.c.inherited.is_(True)))


def _given(reader: Reader, user_id: str) -> list[Assignment]:
    """What a user was given by name or by a group, on anything."""
    rows = reader.find(tables.assignments, _by(user_id, group_ids_of(reader, user_id)))
    return [_assignment(row) for row in rows]


def _followed(
    given: Iterable[Assignment],
    projects: dict[str, Project],
    members: dict[str, list[str]],
    implications: dict[str, list[str]],
    roles: dict[str, Role],
) -> list[Assignment]:
    """What follows from ``given``: for users only, on what they reach, with the roles that they imply."""
    followed: dict[Assignment, None] = {}
    for each in given:
        targets = [(each.target, None)]
        if each.inherited:
            targets = [(Scope("project", below.id), each.target) for below in _below(projects, each.target)]  # type: ignore[misc]
        actors = [(each.actor, None)]
        if each.actor.kind == "group":
            actors = [(Actor("user", user), each.actor.id) for user in members.get(each.actor.id, ())]  # type: ignore[misc]
        for target, above in targets:
            for actor, group in actors:
                for role_id, prior in closed([each.role_id], implications).items():
                    if roles[role_id].domain_id == ROOT:
                        followed[Assignment(actor, target, role_id, False, group, above, prior)] = None
    return list(followed)


def _below(projects: dict[str, Project], above: Scope) -> list[Project]:
    """The projects below a project or in a domain, wherever."""
    if above.kind == "domain":
        return [each for each in projects.values() if each.domain_id == above.id]
    met, queue = [], [above.id]
    for parent in queue:
        children = [each for each in projects.values() if each.parent_id == parent]
        met += children
        queue += [each.id for each in children]
    return met


def _check_parts(reader: Reader, assignment: Assignment) -> None:
    role = role_of(reader, assignment.role_id)
    _check_actor(reader, assignment.actor)
    domain_id = _check_target(reader, assignment.target)
    if role.domain_id not in (ROOT, domain_id):
        raise Forbidden(
            f"Project {assignment.target.id} must be in the same domain as the role {role.id} being assigned."
        )


def _check_actor(reader: Reader, actor: Actor) -> None:
    if actor.kind == "user":
        user_of(reader, actor.id)
    else:
        group_of(reader, actor.id)


def _check_target(reader: Reader, target: Scope) -> str | None:
    """The domain that a target belongs to or is; None for the system."""
    if target.kind == "project":
        project = project_of(reader, target.id)
        return project.id if project.is_domain else project.domain_id
    return domain_of(reader, target.id).id if target.kind == "domain" else None


def _columns(assignment: Assignment) -> dict[str, str | bool]:
    return {
        "actor_kind": assignment.actor.kind,
        "actor_id": assignment.actor.id,
        "target_kind": assignment.target.kind,
        "target_id": assignment.target.id,
        "role_id": assignment.role_id,
        "inherited": assignment.inherited,
    }


def _is(assignment: Assignment) -> list[Where]:
    return [tables.assignments.c[name] == value for name, value in _columns(assignment).items()]


def _assignment(row: object) -> Assignment:
    told: dict[str, str] = dict(row)  # type: ignore[call-overload]
    return Assignment(
        Actor(told["actor_kind"], told["actor_id"]),
        Scope(told["target_kind"], told["target_id"]),
        told["role_id"],
        bool(told["inherited"]),
    )


def _not_there(assignment: Assignment) -> NotFound:
    return NotFound(
        f"Could not find role assignment with role: {assignment.role_id}, user or group: {assignment.actor.id}, "
        f"project, domain, or system: {assignment.target.id or 'system'}."
    )
