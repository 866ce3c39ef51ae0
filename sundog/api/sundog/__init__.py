"""``/sundog/v1``: what OpenStack has no word for: the clock, hosts, what goes wrong with them, what happens on them."""

from __future__ import annotations

from sundog.api.kit.faults import plain
from sundog.api.kit.service import Service
from sundog.api.sundog import policy

SERVICE = Service("sundog", prefix="/sundog/v1", fault=plain, rules=(policy.PLACEMENT_HOSTS,))

from sundog.api.sundog.routes import capabilities, clock, events, faults, fleet, servers, wires  # noqa: E402, F401 - fill the table
