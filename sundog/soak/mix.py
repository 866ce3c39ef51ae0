"""What happens in a run: a cloud, clients, and trouble, composed in a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML, YAMLError

from sundog.backends.playground import OPERATIONS as ON_HOSTS
from sundog.backends.playground import FaultKind, HostFault
from sundog.errors import InputError
from sundog.soak.operations import OPERATIONS
from sundog.units import Seconds


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Span: TypeAlias = tuple[float, float]
"""The least and the most of what is drawn for each run."""

Weights: TypeAlias = Mapping[str, float]


class CloudPart(_Part):
    """The hosts: how many, in how many zones and racks, and the size of each."""

    hosts: tuple[int, int] = (4, 10)
    zones: int = Field(default=2, ge=1)
    racks: int = Field(default=3, ge=1)
    vcpus: int = Field(default=8, ge=1)
    memory_mb: int = Field(default=8192, ge=1)
    disk_gb: int = Field(default=60, ge=1)


class ClientsPart(_Part):
    """Clients that do one operation after the other: ``pause_s`` seconds in between, on average.

    With ``admin`` they are administrators: of any server, and of what only they may ask. ``loses`` is how likely an
    answer does not reach its client, who then asks again, or hangs up before it comes.
    """

    count: tuple[int, int] = (2, 4)
    pause_s: Seconds = Field(default=20.0, gt=0)
    operations: Weights
    admin: bool = False
    loses: float = Field(default=0.05, ge=0, le=1)


class HostTrouble(_Part):
    """Hosts, racks and zones die, are fenced, or are cut off, and come back."""

    kind: Literal["hosts"]
    every_s: Seconds = Field(gt=0)
    lasts_s: Span = (10.0, 1800.0)
    faults: Mapping[HostFault, float] = {HostFault.KILL: 3, HostFault.PARTITION: 3, HostFault.FENCE: 1}
    scopes: Mapping[Literal["host", "rack", "zone"], float] = {"host": 8, "rack": 1}


class OperationTrouble(_Part):
    """Operations on hosts fail, hang, take long, or happen with their reply lost."""

    kind: Literal["operations"]
    every_s: Seconds = Field(gt=0)
    lasts_s: Span = (10.0, 1200.0)
    faults: Mapping[FaultKind, float] = dict.fromkeys(FaultKind, 1.0)
    operations: Mapping[str, float] = dict.fromkeys(ON_HOSTS, 1.0)
    probability: Span = (0.1, 1.0)
    delay_s: Span = (1.0, 300.0)


class GuestTrouble(_Part):
    """Guests crash."""

    kind: Literal["guests"]
    every_s: Seconds = Field(gt=0)


class StoreTroublePart(_Part):
    """The store cannot be used, now and then."""

    kind: Literal["store"]
    every_s: Seconds = Field(gt=0)
    lasts_s: Span = (1.0, 120.0)
    probability: Span = (0.01, 0.5)


class CrashTrouble(_Part):
    """The control plane is killed: at the so-many-th passage to its store or its hosts from an instant on."""

    kind: Literal["crashes"]
    every_s: Seconds = Field(gt=0)
    passages: tuple[int, int] = (1, 40)


Trouble: TypeAlias = Annotated[
    HostTrouble | OperationTrouble | GuestTrouble | StoreTroublePart | CrashTrouble, Field(discriminator="kind")
]


class Mix(_Part):
    """A run. ``hours`` of simulated time pass with clients and trouble; then the trouble ends, and all must settle."""

    about: str
    hours: float = Field(default=1.0, gt=0)
    cloud: CloudPart = CloudPart()
    clients: tuple[ClientsPart, ...] = Field(min_length=1)
    trouble: tuple[Trouble, ...] = ()


def shipped() -> dict[str, Path]:
    """The mixes that come with Sundog, by name, in the order of their names."""
    folder = Path(str(resources.files("sundog.soak"))) / "mixes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_mix(name: str) -> Mix:
    """A mix, by the path of its file or the name of one that is shipped. Raises: InputError."""
    path = shipped().get(name) or Path(name)
    try:
        told: Any = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        found = Mix.model_validate(told)
    except OSError as error:
        known = ", ".join(shipped())
        raise InputError(f"there is no mix {name!r} ({error.strerror}); give a file, or one of {known}") from error
    except YAMLError as error:
        raise InputError(f"this is no YAML: {error}", path=path) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where or 'the mix'}: {first['msg']}", path=path) from error
    for name in (name for part in found.clients for name in part.operations):
        if name not in OPERATIONS:
            raise InputError(f"there is no operation {name!r}; there are {', '.join(OPERATIONS)}", path=path)
    return found
