"""How long operations take: what was measured, from ``sim/calibration/operations.yaml``, and the models of a study."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any, Literal, TypeAlias

from pydantic import Field
from ruamel.yaml import YAML

from sundog.sim.spec import Amount, Boot, Instant, Migration, Spec

Step: TypeAlias = Literal[
    "define", "start", "destroy", "guest_shutdown", "pause", "plug", "unplug", "grow_disk", "set_password", "query",
    "fence",
]  # fmt: skip


class Timings(Spec):
    """How long things take on every host.

    ``seconds`` are medians of steps, which vary by a log-normal law with ``spread``. ``boot`` gives the link over which
    a host fetches images, its cache, and the guest's own boot; its ``images`` and ``scheduling`` are a study's and not
    used here. ``migration`` is the model of pre-copy. ``detect`` is how long a host must be silent to be called down,
    ``reconnect`` how long it takes to be heard again.
    """

    seconds: dict[Step, Instant]
    spread: float = Field(ge=0, allow_inf_nan=False)
    detect: Instant
    reconnect: Instant
    host_boot: Instant
    disk_mib_s: Amount
    store_mib_s: Amount
    disk_used: float = Field(ge=0, le=1)
    boot: Boot = Boot()
    migration: Migration = Migration()


def load_timings(**changed: Any) -> Timings:
    """The calibrated timings, with some of their keys ``changed``."""
    return Timings.model_validate({**_calibrated(), **changed})


@lru_cache(maxsize=1)
def _calibrated() -> dict[str, Any]:
    """What the file says. Read once; nobody may change what is returned."""
    file = resources.files("sundog.sim").joinpath("calibration/operations.yaml")
    document = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    return {key: value for key, value in document.items() if key not in ("name", "summary", "source")}
