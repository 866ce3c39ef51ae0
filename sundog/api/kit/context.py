"""What an operation knows of the request that it serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from sundog.api.kit.audit import Notes
from sundog.api.kit.policy import Policy, Rule
from sundog.api.kit.versions import Version, parse_version
from sundog.control.principal import Principal
from sundog.errors import Unauthorized


@dataclass(frozen=True, slots=True)
class Context:
    """A request: who asks, by which version, for what.

    ``cloud`` is the control plane. ``root`` is the address by which the client reached us and ``prefix`` the path of
    the service on it, neither with a slash at its end. ``version`` is None for a service without microversions.
    """

    cloud: Any
    request: Request
    request_id: str
    root: str
    prefix: str
    policy: Policy
    version: Version | None = None
    principal: Principal | None = None
    asked: list[str] = field(default_factory=list)
    """The rules that were asked about, so that a handler that forgot to ask is found out."""
    notes: Notes = field(default_factory=Notes)
    """For the audit."""

    @property
    def who(self) -> Principal:
        """The bearer of the token.

        Raises: Unauthorized for an operation that needs no token and got none.
        """
        if self.principal is None:
            raise Unauthorized("The request you have made requires authentication.")
        return self.principal

    def may(self, rule: Rule, target: Mapping[str, Any]) -> bool:
        """Whether the caller may do to ``target`` what the rule is about."""
        self.asked.append(rule.name)
        return self.policy.allows(rule, self.who, target)

    def require(self, rule: Rule, target: Mapping[str, Any]) -> None:
        """Raises: Forbidden unless :meth:`may`."""
        self.asked.append(rule.name)
        self.policy.require(rule, self.who, target)

    def at_least(self, version: str) -> bool:
        """Whether the request is served by this microversion or a later one."""
        return self.version is not None and self.version >= parse_version(version)

    def link(self, path: str) -> str:
        """The absolute address of a path of the service."""
        return f"{self.root}{self.prefix}{path}"
