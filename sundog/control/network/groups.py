"""Security groups and their rules. Every project has a default group from its first use of the network on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sundog.control.network.books import Books, Only, chosen, found, grouped, owned
from sundog.control.network.quotas import check_quota
from sundog.control.network.records import SecurityGroup, SecurityGroupRule, record
from sundog.control.network.refusals import conflict, missing
from sundog.control.network.rules import RuleSpec, checked_rule
from sundog.control.store import Reader, Row, Tx
from sundog.control.store.tables import network as tables
from sundog.control.viewer import EVERYTHING, Viewer

DEFAULT: Final = "default"
_ETHERTYPES: Final = ("IPv4", "IPv6")


class SecurityGroups:
    """The security groups of projects."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def ensure_default(self, project_id: str) -> str:
        """The id of the default group of a project, which is made if it is not there."""
        with self._books.reading() as tx:
            known = tx.get(tables.default_groups, project_id=project_id)
        if known is not None:
            return str(known["security_group_id"])
        with self._books.writing() as tx:
            return ensure_default_group(tx, self._books, project_id)

    def list_all(self, viewer: Viewer, only: Only | None = None) -> list[SecurityGroup]:
        """The security groups that the viewer sees."""
        with self._books.reading() as tx:
            table = tables.security_groups
            rows = tx.find(table, *owned(table, viewer), *chosen(table, only or {}))
            rules = grouped(tx.find(tables.security_group_rules, order_by=_RULES_ORDER), "security_group_id")
            return [_group(row, rules.get(row["id"], [])) for row in rows]

    def show(self, viewer: Viewer, group_id: str) -> SecurityGroup:
        """A security group.

        Raises: NotFound.
        """
        with self._books.reading() as tx:
            return get_group(tx, viewer, group_id)

    def create(self, specs: Sequence[Mapping[str, Any]]) -> list[SecurityGroup]:
        """Make security groups, all or none. Each begins with rules that let everything out.

        Raises: QuotaExceeded; Conflict for the name of the default group.
        """
        with self._books.writing() as tx:
            return [self._create(tx, **spec) for spec in specs]

    def _create(
        self, tx: Tx, *, project_id: str, name: str = "", description: str = "", stateful: bool = True
    ) -> SecurityGroup:
        if name.lower() == DEFAULT:
            raise conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
        ensure_default_group(tx, self._books, project_id)
        check_quota(tx, project_id, "security_group")
        check_quota(tx, project_id, "security_group_rule", len(_ETHERTYPES))
        return get_group(tx, EVERYTHING, _add_group(tx, self._books, project_id, name, description, stateful))

    def update(self, viewer: Viewer, group_id: str, changes: Mapping[str, Any]) -> SecurityGroup:
        """Change a security group.

        Raises: NotFound; Conflict for the name of a default group, or for one that is in use and would forget state.
        """
        with self._books.writing() as tx:
            group = get_group(tx, viewer, group_id)
            name = changes.get("name", group.name)
            if name != group.name and is_default(tx, group_id):
                raise conflict("SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
            if name != group.name and name.lower() == DEFAULT:
                raise conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
            if changes.get("stateful", group.stateful) != group.stateful:
                _check_unused(tx, group_id)
            self._books.change(tx, tables.security_groups, group_id, changes)
            return get_group(tx, EVERYTHING, group_id)

    def delete(self, viewer: Viewer, group_id: str) -> None:
        """Delete a security group and its rules, and those that name it as the other side.

        Raises: NotFound; Conflict while ports are in it, or for the default group, unless the viewer sees all.
        """
        with self._books.writing() as tx:
            get_group(tx, viewer, group_id)
            _check_unused(tx, group_id)
            if is_default(tx, group_id) and not viewer.sees_all:
                raise conflict(
                    "SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group."
                )
            tx.delete(tables.security_groups, tables.security_groups.c.id == group_id)


class SecurityGroupRules:
    """The rules of security groups."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def list_all(self, viewer: Viewer, only: Only | None = None) -> list[SecurityGroupRule]:
        """The rules that the viewer sees."""
        with self._books.reading() as tx:
            table = tables.security_group_rules
            return [_rule(row) for row in tx.find(table, *owned(table, viewer), *chosen(table, only or {}))]

    def show(self, viewer: Viewer, rule_id: str) -> SecurityGroupRule:
        """A rule.

        Raises: NotFound.
        """
        with self._books.reading() as tx:
            return _get_rule(tx, viewer, rule_id)

    def create(self, viewer: Viewer, specs: Sequence[Mapping[str, Any]]) -> list[SecurityGroupRule]:
        """Make rules, all or none. A rule belongs to the project of its group.

        Raises: QuotaExceeded; NotFound for a group that is not there; Invalid for a rule that makes no sense; Conflict
        if the group has it already.
        """
        with self._books.writing() as tx:
            return [self._create(tx, viewer, **spec) for spec in specs]

    def _create(
        self, tx: Tx, viewer: Viewer, *, security_group_id: str, description: str = "", **told: Any
    ) -> SecurityGroupRule:
        group = get_group(tx, viewer, security_group_id)
        spec = checked_rule(**told)
        if spec.remote_group_id is not None:
            get_group(tx, viewer, spec.remote_group_id)
        check_quota(tx, group.project_id, "security_group_rule")
        for each in group.rules:
            if spec.key == _spec(each).key:
                raise conflict("SecurityGroupRuleExists", f"Security group rule already exists. Rule id is {each.id}.")
        rule_id = _add_rule(tx, self._books, group.project_id, group.id, spec, description)
        self._books.change(tx, tables.security_groups, group.id, {})
        return _get_rule(tx, EVERYTHING, rule_id)

    def delete(self, viewer: Viewer, rule_id: str) -> None:
        """Delete a rule.

        Raises: NotFound.
        """
        with self._books.writing() as tx:
            rule = _get_rule(tx, viewer, rule_id)
            tx.delete(tables.security_group_rules, tables.security_group_rules.c.id == rule_id)
            self._books.change(tx, tables.security_groups, rule.security_group_id, {})


def ensure_default_group(tx: Tx, books: Books, project_id: str) -> str:
    """The id of the default group of a project, made now if need be. It counts, but no quota stands in its way."""
    if not project_id:
        return ""
    known = tx.get(tables.default_groups, project_id=project_id)
    if known is not None:
        return str(known["security_group_id"])
    group_id = _add_group(tx, books, project_id, DEFAULT, "Default security group")
    tx.insert(tables.default_groups, project_id=project_id, security_group_id=group_id)
    for ethertype in _ETHERTYPES:
        spec = RuleSpec(direction="ingress", ethertype=ethertype, remote_group_id=group_id)
        _add_rule(tx, books, project_id, group_id, spec, "")
    return group_id


def get_group(reader: Reader, viewer: Viewer, group_id: str) -> SecurityGroup:
    """A security group with its rules.

    Raises: NotFound.
    """
    row = found(reader, tables.security_groups, "SecurityGroup", group_id, *owned(tables.security_groups, viewer))
    table = tables.security_group_rules
    return _group(row, reader.find(table, table.c.security_group_id == group_id, order_by=_RULES_ORDER))


def check_groups(reader: Reader, viewer: Viewer, group_ids: Sequence[str]) -> None:
    """Raises: NotFound for the first that the viewer does not see."""
    table = tables.security_groups
    rows = reader.find(table, table.c.id.in_(list(group_ids)), *owned(table, viewer)) if group_ids else []
    known = {row["id"] for row in rows}
    for group_id in group_ids:
        if group_id not in known:
            raise missing("SecurityGroup", group_id)


def is_default(reader: Reader, group_id: str) -> bool:
    """Whether a group is the default one of its project."""
    return reader.get(tables.default_groups, security_group_id=group_id) is not None


_RULES_ORDER: Final = (tables.security_group_rules.c.created_at, tables.security_group_rules.c.id)


def _add_group(tx: Tx, books: Books, project_id: str, name: str, description: str, stateful: bool = True) -> str:
    row = books.standard(project_id, description)
    tx.insert(tables.security_groups, **row, name=name, stateful=stateful)
    for ethertype in _ETHERTYPES:
        _add_rule(tx, books, project_id, row["id"], RuleSpec(direction="egress", ethertype=ethertype), "")
    return str(row["id"])


def _add_rule(tx: Tx, books: Books, project_id: str, group_id: str, spec: RuleSpec, description: str) -> str:
    row = books.standard(project_id, description)
    tx.insert(tables.security_group_rules, **row, security_group_id=group_id, **spec.columns())
    return str(row["id"])


def _get_rule(reader: Reader, viewer: Viewer, rule_id: str) -> SecurityGroupRule:
    table = tables.security_group_rules
    return _rule(found(reader, table, "SecurityGroupRule", rule_id, *owned(table, viewer)))


def _rule(row: Row) -> SecurityGroupRule:
    return record(SecurityGroupRule, row, group_project_id=row["project_id"])


def _group(row: Row, rules: Sequence[Row]) -> SecurityGroup:
    return record(SecurityGroup, row, rules=tuple(_rule(each) for each in rules))


def _spec(rule: SecurityGroupRule) -> RuleSpec:
    return RuleSpec(
        direction=rule.direction,
        ethertype=rule.ethertype,
        protocol=rule.protocol,
        port_range_min=rule.port_range_min,
        port_range_max=rule.port_range_max,
        remote_ip_prefix=rule.remote_ip_prefix,
        remote_group_id=rule.remote_group_id,
    )


def _check_unused(tx: Tx, group_id: str) -> None:
    """Raises: Conflict while a port is in the group."""
    if tx.count(tables.port_groups, tables.port_groups.c.security_group_id == group_id):
        raise conflict("SecurityGroupInUse", f"Security Group {group_id} in use.")
