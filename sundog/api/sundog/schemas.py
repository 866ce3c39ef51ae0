"""Request bodies of ``/sundog/v1``."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, model_validator

from sundog.api.kit.bodies import Body


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
