"""How actions are carried out, by the names under which they are begun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sundog.control.compute.sagas import (
    build,
    delete,
    evacuate,
    interface,
    live_migration,
    password,
    power,
    rebuild,
    resize,
    shelve,
    snapshot,
)
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
    "resize": resize.RESIZE,
    "migrate": resize.RESIZE,
    "confirm_resize": resize.CONFIRM,
    "revert_resize": resize.REVERT,
    "live_migrate": live_migration.SAGA,
    "evacuate": evacuate.SAGA,
    "shelve": shelve.SHELVE,
    "shelve_offload": shelve.OFFLOAD,
    "unshelve": shelve.UNSHELVE,
}
