"""Who asks: bearers of real tokens, and the words by which the tables say who may.

All that is asked about belongs to project A in domain acme, and what belongs to a user to ``member``. ``stranger`` has
the most that one can have in another project of another domain, ``other_domain`` in another domain; ``admin`` and
``service`` have their roles on projects of their own.
"""

from __future__ import annotations

from typing import Final

IN_A: Final = ("reader", "member", "manager")
"""Have these roles on project A."""
ON_ACME: Final = ("domain_reader", "domain_manager", "domain_admin")
ON_SYSTEM: Final = ("system_reader", "system_admin")
OTHERS: Final = ("stranger", "other_domain", "admin", "service", "unscoped")
PERSONAS: Final = (*IN_A, *ON_ACME, *ON_SYSTEM, *OTHERS)

FOR_A_PROJECT: Final = frozenset({*IN_A, "stranger", "admin", "service", "unscoped"})
"""As in oslo.policy a token without scope counts as one for a project."""

WORDS: Final = {
    "nobody": frozenset[str](),
    "reader": frozenset({"reader", "member", "manager", "admin"}),
    "member": frozenset({"member", "manager", "admin"}),
    "manager": frozenset({"manager", "admin"}),
    "admin": frozenset({"admin"}),
    "service": frozenset({"service"}),
    "owner": frozenset({"member"}),
    "anybody": FOR_A_PROJECT,
    "everybody": frozenset(PERSONAS),
}
"""Of services whose rules are for projects. A role on project A, or the administrator."""

IDENTITY_WORDS: Final = {
    "admin": frozenset({"admin", "system_admin"}),
    "any-admin": frozenset({"admin", "system_admin", "domain_admin"}),
    "system-reader": frozenset(ON_SYSTEM),
    "domain-reader": frozenset(ON_ACME),
    "domain-manager": frozenset({"domain_manager", "domain_admin"}),
    "domain-scope": frozenset({*ON_ACME}),
    "own-project": frozenset(IN_A),
    "own": frozenset({"member"}),
    "service": frozenset({"service"}),
    "any-manager": frozenset(PERSONAS) - {"reader", "member", "domain_reader", "system_reader", "service", "unscoped"},
    "any-domain-manager": frozenset({"domain_manager", "domain_admin", "other_domain"}),
    "anybody": frozenset(PERSONAS),
}
"""Of Keystone. ``admin`` is one of a project or the system, ``any-admin`` also of a domain; ``own`` is whose it is."""


def table(text: str, words: dict[str, frozenset[str]] = WORDS) -> dict[str, frozenset[str]]:
    """Who may, by the names of rules: lines of a name and the words for those who may."""
    told: dict[str, frozenset[str]] = {}
    for line in filter(None, (line.partition("#")[0].strip() for line in text.splitlines())):
        name, *who = line.replace(",", " ").split()
        assert name not in told, f"{name} is there twice"
        told[name] = frozenset().union(*(words[word] for word in who))
    return told
