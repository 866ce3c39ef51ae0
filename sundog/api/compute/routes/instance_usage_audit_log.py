"""The log of usage audits. None is kept: nothing is sent to a bill, so that no host ever audits anything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sundog.api.compute.common import stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas.server_details import nothing
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context
from sundog.errors import Invalid
from sundog.runtime.clock import utcnow

_PATH: Final = f"{BASE}/os-instance_usage_audit_log"
_RULE: Final = "os_compute_api:os-instance-usage-audit-log"


@stepped("GET", _PATH, RULES[f"{_RULE}:list"], queries=nothing())
async def list_usage_audits(ctx: Context) -> dict[str, Any]:
    """Show the audits of the last month that is over."""
    return {"instance_usage_audit_logs": _log(ctx, utcnow())}


@stepped("GET", f"{_PATH}/{{before}}", RULES[f"{_RULE}:show"], queries=nothing())
async def show_usage_audits(ctx: Context, before: str) -> dict[str, Any]:
    """Show the audits of the last month that was over at a time."""
    return {"instance_usage_audit_log": _log(ctx, _time(before))}


def _time(text: str) -> datetime:
    form = "%Y-%m-%d %H:%M:%S.%f" if "." in text else "%Y-%m-%d %H:%M:%S"
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        raise Invalid(f"Invalid timestamp for date {text[:64]}") from None


def _month_before(value: datetime) -> datetime:
    if value.month > 1:
        return value.replace(month=value.month - 1)
    if value.year == 1:
        raise Invalid("Invalid timestamp: there is no month before it")
    return value.replace(year=value.year - 1, month=12)


def _log(ctx: Context, now: datetime) -> dict[str, Any]:
    end = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    hosts = [each.name for each in ctx.cloud.compute.hosts.list_all()]
    return {
        "period_beginning": str(_month_before(end)),
        "period_ending": str(end),
        "num_hosts": len(hosts),
        "num_hosts_done": 0,
        "num_hosts_running": 0,
        "num_hosts_not_run": len(hosts),
        "hosts_not_run": hosts,
        "total_instances": 0,
        "total_errors": 0,
        "overall_status": f"{'ALL' if not hosts else f'0 of {len(hosts)}'} hosts done. 0 errors.",
        "log": {},
    }
