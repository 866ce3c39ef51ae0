"""What the clock says, how fast it goes, and going on to an instant."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.context import Context
from sundog.api.sundog import SERVICE, policy, schemas, views


@SERVICE.operation("GET", "/clock", policy.CLOCK_SHOW)
async def show_clock(ctx: Context) -> dict[str, Any]:
    """Show what the clock says and how fast it goes."""
    return views.clock(ctx.cloud.clock.read())


@SERVICE.operation("PUT", "/clock", policy.CLOCK_SET)
async def set_clock(ctx: Context, body: schemas.SetClock) -> dict[str, Any]:
    """Go on at another rate; 0 is a pause."""
    return views.clock(ctx.cloud.clock.set_rate(body.clock.rate))


@SERVICE.operation("POST", "/clock/step", policy.CLOCK_SET)
async def step_clock(ctx: Context, body: schemas.StepClock) -> dict[str, Any]:
    """Go on for a while, or until an instant, as fast as possible, and pause there. Answers when it is reached."""
    clock, step = ctx.cloud.clock, body.step
    seconds = step.seconds
    if step.until is not None:
        seconds = (step.until - clock.read().time).total_seconds()
    return views.clock(await clock.step(seconds))
