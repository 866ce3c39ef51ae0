"""Quotas of compute: how much a project may have. Usage is counted from the servers that there are."""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, select

from sundog.control.store import Reader
from sundog.control.store.tables import compute as tables
from sundog.errors import QuotaExceeded

DEFAULTS: Final = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "metadata_items": 128,
    "key_pairs": 100,
    "server_groups": 10,
    "server_group_members": 10,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
}


def limits(reader: Reader, project_id: str) -> dict[str, int]:
    """The limits of a project, defaults included."""
    c = tables.quotas.c
    own = {
        row["resource"]: row["most"] for row in reader.find(tables.quotas, c.project_id == project_id, c.user_id == "")
    }
    return {**DEFAULTS, **own}


def usage(reader: Reader, project_id: str) -> dict[str, int]:
    """What the live servers of a project use: ``instances``, ``cores`` and ``ram`` (MiB)."""
    c = tables.servers.c
    query = select(
        func.count().label("instances"), func.sum(c.vcpus).label("cores"), func.sum(c.memory_mb).label("ram")
    ).where(c.project_id == project_id, c.deleted_at.is_(None))
    return {name: int(total or 0) for name, total in reader.execute(query).mappings().one().items()}


def check(
    reader: Reader, project_id: str, user_id: str, *, instances: int = 0, cores: int = 0, ram_mb: int = 0
) -> None:
    """Raises: QuotaExceeded if the project may not have so many more."""
    asked = {"instances": instances, "cores": cores, "ram": ram_mb}
    used, most = usage(reader, project_id), limits(reader, project_id)
    over = [name for name, more in asked.items() if more > 0 and 0 <= most[name] < used[name] + more]
    if over:
        wanted, had, limit = (", ".join(str(each[name]) for name in over) for each in (asked, used, most))
        names = ", ".join(over)
        raise QuotaExceeded(
            f"Quota exceeded for {names}: Requested {wanted}, but already used {had} of {limit} {names}"
        )
