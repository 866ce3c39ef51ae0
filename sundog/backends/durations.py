"""How long operations on hosts took, and under which conditions: records, and the file that they are kept in.

A file of durations has a line of JSON an operation. It names hosts by their uuids, and no server, project or image: it
can be given away to whoever wants to simulate these hosts.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from sundog.errors import InputError
from sundog.units import GiB, MiB, Seconds

_LOG: Final = logging.getLogger("sundog.durations")

_LARGEST: Final = 4 * 2**20
"""Bytes of a file after which another is begun. One line has some 300."""

FETCH: Final = "fetch"
"""What bringing an image to a host is called. It is no operation of the contract but a part of some."""


GUEST_BOOT: Final = "guest_boot"
"""What a guest does from its start until it is ready. Whoever watches it may record that too."""


class Outcome(StrEnum):
    """What came of an operation."""

    DONE = "done"
    FAILED = "failed"
    """It did not happen."""
    UNKNOWN = "unknown"
    """Nobody knows, or nobody waited until its end."""


_Count: TypeAlias = Annotated[int, Field(ge=0)]
_Size: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Word: TypeAlias = Annotated[str, Field(min_length=1, max_length=255)]


@dataclass(frozen=True, slots=True)
class Duration:
    """One operation on a host: how long it took for who asked, and what it depends on. None is what is not known.

    ``operation`` is its name in ``ComputeDriver``, or ``fetch`` or ``guest_boot``. ``vcpus``, ``memory_mib`` and
    ``disk_gib`` are the server's size, and ``image_bytes`` what the image takes that the operation needs;
    ``image_there`` says whether the host had it. ``starts``: whether the guest was to be started. ``grace`` is how long
    it had to stop by itself. ``soft``: whether a restart was. ``beside`` counts the operations that
    were under way on the same hosts at some time meanwhile, ``elsewhere`` those on other hosts.
    """

    operation: _Word
    seconds: _Size
    outcome: Outcome
    host: _Word
    began: datetime
    target: str = ""
    vcpus: _Count | None = None
    memory_mib: Annotated[MiB, _Size] | None = None
    disk_gib: Annotated[GiB, _Size] | None = None
    image_bytes: _Count | None = None
    image_there: bool | None = None
    starts: bool | None = None
    grace: Annotated[Seconds, _Size] | None = None
    soft: bool | None = None
    beside: _Count = 0
    elsewhere: _Count = 0

    # What pydantic reads it by; a key that nobody knows is a mistake, or of a later version.
    __pydantic_config__ = ConfigDict(extra="forbid")

    def line(self) -> str:
        """The record as JSON, without what is not known and without the end of the line."""
        told = {name: value for name, value in asdict(self).items() if value is not None and value != ""}
        return json.dumps(told | {"seconds": round(self.seconds, 6), "began": self.began.isoformat()})


_READER: Final[TypeAdapter[Duration]] = TypeAdapter(Duration)


class DurationsFile:
    """Keeps records as lines at the end of a file that only its owner reads.

    When the file has grown to ``largest`` bytes it is renamed, in place of the one that was renamed before: so two
    files are kept, ``path`` and ``path`` with ``.1`` at its end. What cannot be written is told in the log once; the
    operations themselves go on.
    """

    def __init__(self, path: Path, *, largest: int = _LARGEST) -> None:
        self._path, self._largest = path, largest
        self._works = True

    def __call__(self, duration: Duration) -> None:
        """Write a record down."""
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, f"{duration.line()}\n".encode())
                full = os.fstat(file).st_size >= self._largest
            finally:
                os.close(file)
            if full:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        except OSError as exc:
            if self._works:
                _LOG.error("%s cannot be written (%s): durations are not kept", self._path, exc.strerror)
            self._works = False
        else:
            self._works = True


def read_durations(path: Path) -> tuple[Duration, ...]:
    """The records of a file, in its order. Raises: InputError with file and line for what is none."""
    return tuple(_read(path))


def _read(path: Path) -> Iterator[Duration]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _record(path, number, line)
    except OSError as exc:
        raise InputError(f"the durations cannot be read: {exc.strerror}", path=path) from exc
    except UnicodeDecodeError as exc:
        raise InputError("this is no file of durations: it is not text in UTF-8", path=path) from exc


def _record(path: Path, number: int, line: str) -> Duration:
    try:
        told: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError("this is not a record of JSON; remove the line", path=path, line=number) from None
    if not isinstance(told, dict):
        raise InputError("a record is an object of JSON, {…}; remove the line", path=path, line=number)
    try:
        return _READER.validate_python(told)
    except ValidationError as exc:
        first = exc.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "record"
        raise InputError(f"{key}: {first['msg']}", path=path, line=number) from None
