"""``/metrics``: what a monitoring system asks for, in Prometheus' text format.

A scraper on this machine needs no token, since one that lasts for an hour is none that it could be given once and for
all. Anybody else needs an administrator's.
"""

from __future__ import annotations

from sundog.api.kit.faults import plain
from sundog.api.kit.policy import ADMIN, OF_PROJECTS_AND_SYSTEM, Rule
from sundog.api.kit.service import Service

SHOW = Rule("sundog:metrics:show", ADMIN, "Show metrics from another machine", OF_PROJECTS_AND_SYSTEM)

SERVICE = Service("metrics", prefix="/metrics", fault=plain, rules=(SHOW,))

from sundog.api.metrics import routes  # noqa: E402, F401 - fills the table
