"""How long operations take: what was measured, from ``sim/calibration/operations.yaml``, and the models of a study."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pydantic import Field, ValidationError
from ruamel.yaml import YAML, YAMLError

from sundog.errors import InputError
from sundog.sim.spec import Amount, Boot, Instant, Migration, Spec

Step: TypeAlias = Literal[
    "define", "start", "destroy", "guest_shutdown", "pause", "plug", "unplug", "grow_disk", "set_password", "query",
    "fence", "migrate",
]  # fmt: skip

WORDS: Final = ("name", "summary", "source")
"""Keys of a calibration file that are for people."""


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
    """The calibrated timings, with some of their keys ``changed``: of ``seconds`` those steps that are given."""
    known = _calibrated()
    if isinstance(changed.get("seconds"), dict):
        changed["seconds"] = {**known["seconds"], **changed["seconds"]}
    return Timings.model_validate({**known, **changed})


def read_timings(path: Path) -> Timings:
    """The timings of a calibration file; what it leaves out is as in ours.

    Raises: InputError for a file that cannot be read, or says what makes no sense.
    """
    try:
        told = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise InputError(f"the timings cannot be read: {exc.strerror}", path=path) from exc
    except (YAMLError, ValueError) as exc:
        raise InputError("this is no calibration file: it is not YAML; see sundog calibrate", path=path) from exc
    if not isinstance(told, dict) or not all(isinstance(key, str) for key in told):
        raise InputError("this is no calibration file: it has no keys; see sundog calibrate", path=path)
    try:
        return load_timings(**_without_words(told))
    except ValidationError as exc:
        first = exc.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{key}: {first['msg'].removeprefix('Value error, ')}", path=path) from None


@lru_cache(maxsize=1)
def _calibrated() -> dict[str, Any]:
    """What the file says. Read once; nobody may change what is returned."""
    file = resources.files("sundog.sim").joinpath("calibration/operations.yaml")
    return _without_words(YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8")))


def _without_words(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in WORDS}
