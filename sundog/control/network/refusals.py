"""What is refused, in the words and under the names of Neutron's exceptions, which clients read."""

from __future__ import annotations

from typing import Any, Final

from sundog.errors import Conflict, Invalid, NotFound, QuotaExceeded

_NOT_FOUND: Final = {
    "Network": "Network {id} could not be found.",
    "Subnet": "Subnet {id} could not be found.",
    "Port": "Port {id} could not be found.",
    "SecurityGroup": "Security group {id} does not exist",
    "SecurityGroupRule": "Security group rule {id} does not exist",
    "Router": "Router {id} could not be found",
    "FloatingIP": "Floating IP {id} could not be found",
    "SubnetPool": "Subnet pool {id} could not be found.",
}


def missing(kind: str, identifier: str) -> NotFound:
    """Nothing of this kind has this id, or nobody may know."""
    return NotFound(_NOT_FOUND[kind].format(id=identifier), type=f"{kind}NotFound", id=identifier)


def invalid_input(message: str, *, kind: str = "InvalidInput") -> Invalid:
    """A value that cannot be."""
    return Invalid(f"Invalid input for operation: {message}.", type=kind)


def invalid(kind: str, message: str, **facts: Any) -> Invalid:
    """A request that cannot be, by the name of Neutron's exception."""
    return Invalid(message, type=kind, **facts)


def bad_request(resource: str, message: str) -> Invalid:
    """A request that does not fit the resource as it is."""
    return Invalid(f"Bad {resource} request: {message}.", type="BadRequest")


def conflict(kind: str, message: str, **facts: Any) -> Conflict:
    """Something is in the way, by the name of Neutron's exception."""
    return Conflict(message, type=kind, **facts)


def over_quota(resources: list[str]) -> QuotaExceeded:
    """A limit of the project is reached. Neutron answers 409, not 403."""
    return QuotaExceeded(f"Quota exceeded for resources: {resources}.", type="OverQuota", status=409)
