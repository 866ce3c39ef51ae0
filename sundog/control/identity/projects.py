"""Projects, and domains, which are projects that act as domains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sundog.control.identity.books import Books, check_mutable, check_name, found, merged, missing, refuse
from sundog.control.identity.records import ROOT, Project, record
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import identity as tables
from sundog.errors import Forbidden, Invalid

DEEPEST: Final = 5
"""Projects nest so far below each other, the domain counted in (Keystone's ``max_project_tree_depth``)."""

_KEPT: Final = ("name", "enabled", "description", "options")


class Projects:
    """Domains and projects. A domain is shown as a project too, as Keystone does."""

    def __init__(self, books: Books, default_domain_id: str) -> None:
        self._books = books
        self._default_domain_id = default_domain_id

    def show(self, project_id: str) -> Project:
        """A project or a domain.

        Raises: NotFound.
        """
        with self._books.reading() as reader:
            return project_of(reader, project_id)

    def show_domain(self, domain_id: str) -> Project:
        """A domain.

        Raises: NotFound, also for a project that is no domain.
        """
        with self._books.reading() as reader:
            return domain_of(reader, domain_id)

    def list_all(self, *, is_domain: bool = False) -> list[Project]:
        """All projects that are no domains, or all that are."""
        with self._books.reading() as reader:
            rows = reader.find(tables.projects, tables.projects.c.is_domain == is_domain)
            return with_tags(reader, rows)

    def create(
        self,
        name: str,
        *,
        domain_id: str | None = None,
        parent_id: str | None = None,
        is_domain: bool = False,
        enabled: bool = True,
        description: str = "",
        tags: Iterable[str] = (),
        options: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        new_id: str | None = None,
    ) -> Project:
        """A new project, or a new domain.

        Raises: Invalid for a parent that cannot be one; Conflict for a name that is taken; NotFound for no such parent.
        """
        with self._books.writing() as tx:
            if is_domain:
                if parent_id is not None:
                    raise Invalid("only root projects are allowed to act as domains")
                domain_id = ROOT
            else:
                domain_id, parent_id = _place(tx, domain_id, parent_id)
            check_name(tx, tables.projects, "domain" if is_domain else "project", name, domain_id)
            project_id = new_id or self._books.new_id()
            tx.insert(
                tables.projects,
                id=project_id,
                domain_id=domain_id,
                parent_id=parent_id,
                name=name,
                is_domain=is_domain,
                enabled=enabled,
                description=description,
                options=dict(options or {}),
                extra=dict(extra or {}),
            )
            _set_tags(tx, project_id, tags)
            return project_of(tx, project_id)

    def update(
        self,
        project_id: str,
        changes: Mapping[str, Any],
        *,
        extra: Mapping[str, Any] | None = None,
        tags: Iterable[str] | None = None,
    ) -> Project:
        """Change name, enabled, description, options or tags.

        Raises: NotFound, Conflict; Forbidden for disabling the domain Default.
        """
        with self._books.writing() as tx:
            project = project_of(tx, project_id)
            check_mutable("project", project_id, project.options, changes)
            values = {key: value for key, value in changes.items() if key in _KEPT}
            if "name" in values:
                what = "domain" if project.is_domain else "project"
                check_name(tx, tables.projects, what, values["name"], project.domain_id, project_id)
            if values.get("enabled") is False and project_id == self._default_domain_id:
                refuse("disable the default domain")
            if "options" in values:
                values["options"] = merged(project.options, values["options"])
            if extra:
                values["extra"] = {**project.extra, **extra}
            if values:
                tx.update(tables.projects, tables.projects.c.id == project_id, **values)
            if tags is not None:
                _set_tags(tx, project_id, tags)
            return project_of(tx, project_id)

    def delete(self, project_id: str) -> None:
        """Remove a project, who has which roles on it, and the application credentials for it.

        Raises: NotFound; Forbidden while it has projects below it, or for an enabled domain.
        """
        with self._books.writing() as tx:
            project = project_of(tx, project_id)
            check_mutable("project", project_id, project.options)
            if project.is_domain:
                self._delete_domain(tx, project)
                return
            if tx.count(tables.projects, tables.projects.c.parent_id == project_id):
                raise Forbidden(
                    f"Cannot delete the project {project_id} since it is not a leaf in the hierarchy. "
                    "Use the cascade option if you want to delete a whole subtree."
                )
            _delete_projects(tx, [project_id])

    def delete_domain(self, domain_id: str) -> None:
        """Remove a disabled domain with all that belongs to it.

        Raises: NotFound; Forbidden for one that is enabled, and for the domain Default.
        """
        with self._books.writing() as tx:
            self._delete_domain(tx, domain_of(tx, domain_id))

    def _delete_domain(self, tx: Tx, domain: Project) -> None:
        if domain.id == self._default_domain_id:
            refuse("delete the default domain")
        check_mutable("domain", domain.id, domain.options)
        if domain.enabled:
            raise Forbidden("Cannot delete a domain that is enabled, please disable it first.", id=domain.id)
        inside = [row["id"] for row in tx.find(tables.projects, tables.projects.c.domain_id == domain.id)]
        for table, kind in ((tables.users, "user"), (tables.groups, "group")):
            actors = [row["id"] for row in tx.find(table, table.c.domain_id == domain.id)]
            delete_assignments_of(tx, kind, actors)
            tx.delete(table, table.c.domain_id == domain.id)
        tx.delete(tables.roles, tables.roles.c.domain_id == domain.id)
        _delete_projects(tx, inside)
        delete_assignments_on(tx, "domain", [domain.id])
        tx.delete(tables.projects, tables.projects.c.id == domain.id)

    def tags(self, project_id: str) -> tuple[str, ...]:
        """The tags of a project, in the order of their names.

        Raises: NotFound.
        """
        return self.show(project_id).tags

    def above(self, project_id: str) -> list[Project]:
        """The projects above a project, the nearest first, its domain last.

        Raises: NotFound.
        """
        with self._books.reading() as reader:
            return ancestors(reader, project_of(reader, project_id))

    def below(self, project_id: str) -> list[Project]:
        """The projects below a project, nearer ones first."""
        met: list[Project] = []
        with self._books.reading() as reader:
            parents = [project_id]
            while parents:
                rows = reader.find(tables.projects, tables.projects.c.parent_id.in_(parents))
                parents = [row["id"] for row in rows]
                met += with_tags(reader, rows)
        return met

    def check_tag(self, project_id: str, tag: str) -> None:
        """Raises: NotFound for a project that has no such tag."""
        if tag not in self.tags(project_id):
            raise missing("project tag", tag)

    def add_tag(self, project_id: str, tag: str) -> None:
        """Tag a project; nothing happens where it has the tag already.

        Raises: NotFound; Invalid for an 81st tag.
        """
        with self._books.writing() as tx:
            project = project_of(tx, project_id)
            _set_tags(tx, project_id, (*project.tags, tag))

    def remove_tag(self, project_id: str, tag: str) -> None:
        """Raises: NotFound for a project that has no such tag."""
        with self._books.writing() as tx:
            project = project_of(tx, project_id)
            if tag not in project.tags:
                raise missing("project tag", tag)
            _set_tags(tx, project_id, [each for each in project.tags if each != tag])

    def set_tags(self, project_id: str, tags: Iterable[str]) -> Project:
        """Give a project these tags and no others.

        Raises: NotFound; Invalid for more than 80.
        """
        with self._books.writing() as tx:
            project_of(tx, project_id)
            _set_tags(tx, project_id, tags)
            return project_of(tx, project_id)


def project_of(reader: Reader, project_id: str) -> Project:
    """Raises: NotFound."""
    return with_tags(reader, [found(reader, tables.projects, "project", project_id)])[0]


def domain_of(reader: Reader, domain_id: str) -> Project:
    """Raises: NotFound."""
    row = reader.get(tables.projects, id=domain_id)
    if row is None or not row["is_domain"]:
        raise missing("domain", domain_id)
    return with_tags(reader, [row])[0]


def with_tags(reader: Reader, rows: Sequence[Mapping[Any, Any]]) -> list[Project]:
    """The projects in ``rows``."""
    tags: dict[str, list[str]] = {}
    wanted = [tables.project_tags.c.project_id == rows[0]["id"]] if len(rows) == 1 else []
    for row in reader.find(tables.project_tags, *wanted) if rows else []:
        tags.setdefault(row["project_id"], []).append(row["name"])
    return [record(Project, row, tags=tuple(tags.get(row["id"], ()))) for row in rows]


def ancestors(reader: Reader, project: Project) -> list[Project]:
    """The projects above ``project``, the nearest first, its domain last. A domain has none."""
    above: list[Project] = []
    while project.parent_id is not None:
        project = record(Project, found(reader, tables.projects, "project", project.parent_id))
        above.append(project)
    return above


def delete_assignments_of(tx: Tx, kind: str, actor_ids: Sequence[str]) -> None:
    """Take all roles from these users or groups."""
    if actor_ids:
        table = tables.assignments
        tx.delete(table, table.c.actor_kind == kind, table.c.actor_id.in_(actor_ids))


def delete_assignments_on(tx: Tx, kind: str, target_ids: Sequence[str]) -> None:
    """Take all roles on these projects or domains from everybody."""
    if target_ids:
        table = tables.assignments
        tx.delete(table, table.c.target_kind == kind, table.c.target_id.in_(target_ids))


def _delete_projects(tx: Tx, project_ids: Sequence[str]) -> None:
    if not project_ids:
        return
    delete_assignments_on(tx, "project", project_ids)
    users, projects = tables.users, tables.projects
    tx.update(users, users.c.default_project_id.in_(project_ids), default_project_id=None)
    # All at once: the databases check at the end of the statement whether anything is left below nothing.
    tx.delete(projects, projects.c.id.in_(project_ids))


def _place(tx: Tx, domain_id: str | None, parent_id: str | None) -> tuple[str, str]:
    """The domain and the parent of a new project, of which one may be left out."""
    if parent_id is None:
        if domain_id is None:
            raise Invalid("domain_id is a required property")
        parent_id = domain_of(tx, domain_id).id
    parent = project_of(tx, parent_id)
    own = parent.id if parent.is_domain else parent.domain_id
    if domain_id is not None and domain_id != own:
        raise Invalid(f"Cannot create project, since it specifies its domain_id {domain_id}, but specifies a parent "
                      f"in a different domain ({own}).")  # fmt: skip
    above = ancestors(tx, parent)
    if len(above) + 2 > DEEPEST:
        refuse(f"Max hierarchy depth reached for {parent_id} branch")
    if not all(each.enabled for each in (parent, *above)):
        refuse(f"cannot create a project in a branch containing a disabled project: {parent_id}")
    return own, parent_id


def _set_tags(tx: Tx, project_id: str, tags: Iterable[str]) -> None:
    wanted = sorted(set(tags))
    if len(wanted) > 80:
        raise Invalid(f"a project has at most 80 tags, not {len(wanted)}")
    table = tables.project_tags
    tx.delete(table, table.c.project_id == project_id)
    tx.insert_many(table, [{"project_id": project_id, "name": name} for name in wanted])
