"""Request bodies of ``/sundog/v1``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, TypeAdapter, field_validator, model_validator

from sundog.api.kit.bodies import Body, Query
from sundog.backends.contract import HostState
from sundog.backends.playground import OPERATIONS, FaultKind, HostFault, Scope
from sundog.errors import NotFound
from sundog.sim.spec import HostType


class Rate(Body):
    """How fast time goes: simulated seconds a real second, 0 for a pause."""

    rate: float = Field(ge=0, allow_inf_nan=False)


class SetClock(Body):
    """``{"clock": {"rate": 60}}``."""

    clock: Rate


class Step(Body):
    """For how many seconds, or until when, time is to go on before it pauses: one of the two."""

    seconds: float | None = Field(None, gt=0, allow_inf_nan=False)
    until: datetime | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Step:
        if (self.seconds is None) == (self.until is None):
            raise ValueError("give either seconds or until")
        if self.until is not None and self.until.tzinfo is None:
            raise ValueError("until needs a time zone, as in 2024-01-01T12:00:00Z")
        return self


class StepClock(Body):
    """``{"step": {"seconds": 3600}}``."""

    step: Step


# ---------------------------------------------------------------- hosts

MOST_ADDED: Final = 1000
"""Hosts that one request may add."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
"""What hosts, racks and zones are called: it becomes a part of names and addresses."""


_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name)


class HostFilter(Query):
    """``?state=up&rack=nova-r0&zone=nova``."""

    state: HostState | None = None
    rack: str | None = None
    zone: str | None = None


class WhyNotHost(Query):
    """``?host=NAME``: the host that a server might be on; its id for who may not know names."""

    host: str | None = None


class Hosts(Body):
    """How many hosts of which type, where. A new type is described as in a scenario; a rack is made if none is said."""

    type: Name | HostType
    count: int = Field(1, ge=1, le=MOST_ADDED)
    zone: Name | None = None
    rack: Name | None = None

    @field_validator("type")
    @classmethod
    def _type_can_be_a_name(cls, value: str | HostType) -> str | HostType:
        if isinstance(value, HostType):
            _NAME.validate_python(value.name)
        return value


class AddHosts(Body):
    """``{"hosts": {"type": "compute", "count": 2}}``."""

    hosts: Hosts


class HostScope(Body):
    """Which hosts: one by name or id, those of a rack or a zone, those that have all that is given; empty is all."""

    host: str | None = None
    rack: str | None = None
    zone: str | None = None

    def record(self) -> Scope:
        """The scope as the control plane knows it."""
        return Scope(self.host, self.rack, self.zone)


class Drained(Body):
    """Hosts that get no new servers, and why."""

    scope: HostScope
    reason: str | None = Field(None, min_length=1, max_length=255)


class Drain(Body):
    """``{"drain": {"scope": {"rack": "nova-r0"}, "reason": "a new switch"}}``."""

    drain: Drained


class Undrained(Body):
    """Hosts that get servers again."""

    scope: HostScope


class Undrain(Body):
    """``{"undrain": {"scope": {"rack": "nova-r0"}}}``."""

    undrain: Undrained


# ---------------------------------------------------------------- faults

_LONGEST: Final = 366 * 86400.0


class OfHosts(Body):
    """Something that befalls hosts, now. Its scope is always said: nobody kills all of them by leaving it out."""

    kind: HostFault
    scope: HostScope


class OfOperations(Body):
    """The next ``count`` operations of a kind go wrong; null is all of them, or any operation."""

    kind: FaultKind
    scope: HostScope = HostScope()
    operation: Literal[OPERATIONS] | None = None  # type: ignore[valid-type]
    count: int | None = Field(1, ge=1, le=2**31 - 1)
    probability: float = Field(1.0, gt=0.0, le=1.0, allow_inf_nan=False)
    seconds: float = Field(0.0, ge=0.0, le=_LONGEST, allow_inf_nan=False)

    @model_validator(mode="after")
    def _delay_has_seconds(self) -> OfOperations:
        if self.kind is FaultKind.DELAY and not self.seconds:
            raise ValueError("a delay needs its seconds")
        return self


def _about(value: object) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "hosts" if kind in list(HostFault) else "operations"


class OrderFault(Body):
    """``{"fault": {"kind": "kill", "scope": {"rack": "nova-r0"}}}``."""

    fault: Annotated[
        Annotated[OfHosts, Tag("hosts")] | Annotated[OfOperations, Tag("operations")], Discriminator(_about)
    ]


def number(text: str) -> int:
    """The number of an order from a path. Raises: NotFound for what is none."""
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise NotFound(f"no fault {text} is ordered: numbers are as the list of faults shows them")
    return int(text)
