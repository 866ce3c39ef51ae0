"""Who is asking: what a valid token says of its bearer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """The bearer of a valid token. At most one of project, domain and system is what the token is scoped to.

    ``roles`` has the names of all roles, implied ones included, in the order of their names. ``attributes`` are further
    facts for policy rules, under the names that OpenStack's rules use.
    """

    user_id: str
    user_name: str = ""
    user_domain_id: str = ""
    project_id: str | None = None
    project_name: str | None = None
    project_domain_id: str | None = None
    domain_id: str | None = None
    is_system: bool = False
    roles: tuple[str, ...] = ()
    token_id: str = ""
    """The audit id of the token, which says nothing of its secret."""

    @property
    def is_admin(self) -> bool:
        """Whether the role admin is among the roles."""
        return "admin" in self.roles

    @property
    def scope(self) -> str | None:
        """``"project"``, ``"domain"`` or ``"system"``; None for a token without scope."""
        if self.is_system:
            return "system"
        if self.project_id is not None:
            return "project"
        return "domain" if self.domain_id is not None else None
