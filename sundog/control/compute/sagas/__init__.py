"""How actions are carried out, by the names under which they are begun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sundog.control.compute.sagas import build, delete, interface, password, power, rebuild, snapshot
from sundog.control.compute.work import Saga

SAGAS: Final[Mapping[str, Saga]] = {
    "create": build.SAGA,
    "delete": delete.SAGA,
    "force_delete": delete.SAGA,
    **power.SAGAS,
    **interface.SAGAS,
    "set_admin_password": password.SAGA,
    "rebuild": rebuild.SAGA,
    "snapshot": snapshot.SAGA,
    "backup": snapshot.SAGA,
}
