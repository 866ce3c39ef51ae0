"""Who may do what: OpenStack's own rules by their own names, decided by oslo.policy's checks.

A rule is declared beside the operations of its service. An operator overrides any of them by name in a YAML file, as
for OpenStack itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from oslo_policy.policy import Rules

from sundog.control.principal import Principal
from sundog.errors import Forbidden, InputError

# The defaults that most services share (OpenStack's "secure RBAC"). A manager is a member and a member a reader, by
# implied roles.
ADMIN: Final = "role:admin"
PROJECT_MANAGER: Final = "role:manager and project_id:%(project_id)s"
PROJECT_MEMBER: Final = "role:member and project_id:%(project_id)s"
PROJECT_READER: Final = "role:reader and project_id:%(project_id)s"
PROJECT_MANAGER_OR_ADMIN: Final = f"({PROJECT_MANAGER}) or {ADMIN}"
PROJECT_MEMBER_OR_ADMIN: Final = f"({PROJECT_MEMBER}) or {ADMIN}"
PROJECT_READER_OR_ADMIN: Final = f"({PROJECT_READER}) or {ADMIN}"
ANYBODY: Final = "@"
NOBODY: Final = "!"

OF_PROJECTS: Final = ("project",)
"""The scopes of all rules of Nova, Neutron, Glance and Placement: their administrators have a token for a project."""
OF_PROJECTS_AND_SYSTEM: Final = ("project", "system")
OF_ALL: Final = ("project", "domain", "system")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule by OpenStack's name, with its default check in oslo.policy's language, and what it allows in words.

    ``scopes`` are the kinds of tokens that it is for, of ``project``, ``domain`` and ``system``; none named are all. As
    in oslo.policy a token without scope counts as one for a project. An operator's override does not change them.
    """

    name: str
    check: str
    doc: str = ""
    scopes: tuple[str, ...] = ()


class Policy:
    """The rules in force.

    Raises: InputError if an override names no rule, or is not in the language.
    """

    def __init__(self, rules: Iterable[Rule], overrides: Mapping[str, str] | None = None) -> None:
        declared = {rule.name: rule for rule in rules}
        checks = {name: rule.check for name, rule in declared.items()}
        for name, check in (overrides or {}).items():
            if name not in declared:
                raise InputError(
                    f"policy file: there is no rule {name!r}; see the sample for those there are", rule=name
                )
            checks[name] = check
        parsed = Rules.from_dict(checks)
        for name, check in checks.items():
            # What cannot be parsed becomes a check that always fails; an operator wants to know.
            if str(parsed[name]) == NOBODY and check.strip() != NOBODY:
                raise InputError(f"policy file: the check of rule {name!r} cannot be read: {check!r}", rule=name)
        self.declared = declared
        self._enforcer = _Enforcer(parsed)

    def allows(self, rule: Rule, principal: Principal, target: Mapping[str, Any]) -> bool:
        """Whether the bearer of a token may do to ``target`` what the rule is about."""
        scopes = self.declared[rule.name].scopes
        if scopes and (principal.scope or "project") not in scopes:
            return False
        enforcer: Any = self._enforcer
        return bool(enforcer.rules[rule.name](dict(target), _credentials(principal), enforcer))

    def require(self, rule: Rule, principal: Principal, target: Mapping[str, Any]) -> None:
        """Raises: Forbidden, naming the rule, unless :meth:`allows`."""
        if not self.allows(rule, principal, target):
            raise Forbidden(f"Policy doesn't allow {rule.name} to be performed.", rule=rule.name)

    def sample(self) -> str:
        """A policy file in which every rule is commented out."""
        return "\n".join(
            f'# {rule.doc or rule.name}\n#"{rule.name}": "{rule.check}"\n' for rule in self.declared.values()
        )


@dataclass(frozen=True, slots=True)
class _Enforcer:
    """What oslo.policy's checks ask of the enforcer they are given: where ``rule:x`` is looked up."""

    rules: Rules


def read_policy_file(path: Path) -> dict[str, str]:
    """The overrides in a YAML policy file.

    Raises: InputError for a file that cannot be read or is no mapping of names to checks.
    """
    from ruamel.yaml import YAML, YAMLError

    try:
        told = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as exc:
        raise InputError(f"the policy file cannot be read: {exc}", path=path) from exc
    if told is None:
        return {}
    if not isinstance(told, dict) or not all(isinstance(k, str) and isinstance(v, str) for k, v in told.items()):
        raise InputError("a policy file is a mapping of rule names to checks, both text", path=path)
    return told


def _credentials(principal: Principal) -> dict[str, Any]:
    """A principal under the names that OpenStack's checks use."""
    return {
        "user_id": principal.user_id,
        "user_domain_id": principal.user_domain_id,
        "project_id": principal.project_id,
        "tenant": principal.project_id,
        "project_domain_id": principal.project_domain_id,
        "domain_id": principal.domain_id,
        "system_scope": "all" if principal.is_system else None,
        "system": {"all": True} if principal.is_system else None,
        "roles": list(principal.roles),
        "is_admin": principal.is_admin,
        "token": {
            "domain": {"id": principal.domain_id},
            "project": {"domain": {"id": principal.project_domain_id}},
        },
    }
