"""The journal: what happened in a run, as typed events in order, each with its virtual time.

An event is an instance of any frozen dataclass. Its fields may be ``bool``, ``int``, ``float``, ``str``, ``UUID``,
``datetime``, an ``Enum``, a ``Literal``, another dataclass, ``X | None``, and tuples or string-keyed mappings of these;
the annotations say which, for writing as for reading. Sets are refused, since their order is nobody's.

On disk a journal is JSON lines: a header, then one line an event. Lines are canonical, so that two equal runs write
equal files and ``digest`` is the same in every process.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import functools
import hashlib
import json
import math
import operator
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeAlias, TypeVar
from uuid import UUID

from sundog.errors import InputError, InvariantError, OutputError
from sundog.runtime import clock
from sundog.units import Seconds

FORMAT: Final = "sundog-journal"
VERSION: Final = 1

E = TypeVar("E")
_Convert: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a journal: the ``sequence``-th event, counted from 1, at ``time`` seconds of virtual time."""

    sequence: int
    time: Seconds
    event: Any


# ---------------------------------------------------------------------------------------------------------------- codec


@dataclass(frozen=True, slots=True)
class _Codec:
    """How values of one type are turned into JSON's types, and back. Both raise TypeError or ValueError."""

    encode: _Convert
    decode: _Convert


def _one_of(kind: type, convert: _Convert) -> _Codec:
    """Scalars: ``kind`` itself in JSON."""

    def check(value: Any) -> Any:
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise TypeError(f"{value!r} is not of type {kind.__name__}")
        return value

    return _Codec(convert, check)


def _encode_bool(value: Any) -> bool:
    if type(value).__name__ not in ("bool", "bool_"):
        raise TypeError(f"{value!r} is not of type bool")
    return bool(value)


def _encode_int(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{value!r} is not of type int")
    return operator.index(value)  # NumPy's integers too


def _encode_float(value: Any) -> float | str:
    if isinstance(value, bool | str | bytes):
        raise TypeError(f"{value!r} is not of type float")
    number = float(value)
    # JSON has no infinity. Adding zero makes -0.0 and 0.0 one value, as == says they are.
    return number + 0.0 if math.isfinite(number) else str(number)


def _decode_float(value: Any) -> float:
    if isinstance(value, bool) or not (isinstance(value, int | float) or value in ("inf", "-inf", "nan")):
        raise TypeError(f"{value!r} is not of type float")
    return float(value)


def _encode_str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not of type str")
    return str(value)


def _encode_uuid(value: Any) -> str:
    if not isinstance(value, UUID):
        raise TypeError(f"{value!r} is not of type UUID")
    return str(value)


def _decode_uuid(value: Any) -> UUID:
    return UUID(_encode_str(value))


def _encode_datetime(value: Any) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError(f"{value!r} is not a datetime with a time zone")
    return value.isoformat()


_SCALARS: Final[dict[Any, _Codec]] = {
    bool: _one_of(bool, _encode_bool),
    int: _one_of(int, _encode_int),
    float: _Codec(_encode_float, _decode_float),
    str: _one_of(str, _encode_str),
    UUID: _Codec(_encode_uuid, _decode_uuid),
    datetime: _Codec(_encode_datetime, datetime.fromisoformat),
}


@functools.cache
def _codec(annotation: Any) -> _Codec:
    """The codec of an annotation. Raises: TypeError, naming it, if a journal cannot hold it."""
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _optional(annotation, args)
    if origin is typing.Literal:
        return _literal(args)
    if origin is tuple:
        return _tuple(args)
    if origin in (dict, Mapping) and args[0] is str:
        return _mapping(_codec(args[1]))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _enum(annotation)
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return _record(annotation)
    raise TypeError(
        f"a journal cannot hold {annotation!r}; use bool, int, float, str, UUID, datetime, an Enum, a Literal, "
        "a frozen dataclass, X | None, and tuples or string-keyed mappings of these"
    )


def _optional(annotation: Any, args: tuple[Any, ...]) -> _Codec:
    some = [arg for arg in args if arg is not type(None)]
    if len(some) != 1:
        raise TypeError(f"a journal cannot hold {annotation!r}: from a file nobody could tell which of them it was")
    inner = _codec(some[0])
    return _Codec(
        lambda value: None if value is None else inner.encode(value),
        lambda value: None if value is None else inner.decode(value),
    )


def _literal(choices: tuple[Any, ...]) -> _Codec:
    if not all(isinstance(choice, str) for choice in choices):
        raise TypeError(f"a journal cannot hold Literal{list(choices)!r}; use strings")

    def check(value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"{value!r} is not one of {', '.join(map(repr, choices))}")
        return value

    return _Codec(check, check)


def _tuple(args: tuple[Any, ...]) -> _Codec:
    if len(args) == 2 and args[1] is Ellipsis:
        inner = _codec(args[0])
        return _Codec(
            lambda value: [inner.encode(item) for item in _items(value, tuple)],
            lambda value: tuple(inner.decode(item) for item in _items(value, list)),
        )
    inners = [_codec(arg) for arg in args]
    return _Codec(
        lambda value: [one.encode(item) for one, item in zip(inners, _items(value, tuple), strict=True)],
        lambda value: tuple(one.decode(item) for one, item in zip(inners, _items(value, list), strict=True)),
    )


def _items(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not of type {kind.__name__}")
    return value


def _mapping(inner: _Codec) -> _Codec:
    return _Codec(
        lambda value: {_encode_str(key): inner.encode(item) for key, item in _items(value, Mapping).items()},
        lambda value: {key: inner.decode(item) for key, item in _items(value, dict).items()},
    )


def _enum(kind: type[enum.Enum]) -> _Codec:
    def encode(value: Any) -> str:
        return str(_items(value, kind).name)

    def decode(name: Any) -> enum.Enum:
        if name not in kind.__members__:
            raise ValueError(f"{name!r} is not one of {', '.join(kind.__members__)}")
        return kind[name]

    return _Codec(encode, decode)


def _record(kind: type) -> _Codec:
    """The codec of a frozen dataclass: an object with its fields, in their order."""
    if not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise TypeError(f"a journal cannot hold {kind.__qualname__}: what happened does not change; make it frozen")
    hints = typing.get_type_hints(kind)
    codecs: dict[str, _Codec] = {}
    for field in dataclasses.fields(kind):
        if not field.init:
            raise TypeError(
                f"{kind.__qualname__}.{field.name}: a field that __init__ does not take cannot be read back"
            )
        try:
            codecs[field.name] = _codec(hints[field.name])
        except TypeError as error:
            raise TypeError(f"{kind.__qualname__}.{field.name}: {error}") from None

    def encode(value: Any) -> dict[str, Any]:
        if type(value) is not kind:
            raise TypeError(f"{value!r} is not of type {kind.__qualname__}")
        return _each_field(kind, ((name, codec.encode, getattr(value, name)) for name, codec in codecs.items()))

    def decode(data: Any) -> Any:
        fields = _items(data, dict)
        if fields.keys() != codecs.keys():
            raise ValueError(f"{kind.__qualname__} has the fields {', '.join(codecs)}, not {', '.join(fields)}")
        return kind(**_each_field(kind, ((name, codec.decode, fields[name]) for name, codec in codecs.items())))

    return _Codec(encode, decode)


def _each_field(kind: type, work: Iterator[tuple[str, _Convert, Any]]) -> dict[str, Any]:
    """Convert field by field; an error says in which."""
    done: dict[str, Any] = {}
    for name, convert, value in work:
        try:
            done[name] = convert(value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{kind.__qualname__}.{name}: {error}") from None
    return done


def encode(entry: Entry) -> str:
    """``entry`` as its line of a journal file, without the end of the line.

    Raises: TypeError or ValueError, naming the field, if a value is not what its annotation says.
    """
    kind = type(entry.event)
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"{entry.event!r} is not an event: a journal holds instances of frozen dataclasses")
    line = {
        "seq": entry.sequence,
        "t": _encode_float(entry.time),
        "kind": kind.__name__,
        "event": _codec(kind).encode(entry.event),
    }
    return json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


# -------------------------------------------------------------------------------------------------------------- journal


class Journal:
    """The events of one run, in memory, in order; nothing is ever changed or taken away.

    ``time`` tells the virtual time: by default the running loop's, in a world without a loop ``lambda: world.now``.
    With ``keep=False`` the entries go to the subscribers and into the digest, and are not kept.
    """

    def __init__(self, time: Callable[[], Seconds] = clock.now, *, keep: bool = True) -> None:
        self._time = time
        self._keep = keep
        self._entries: list[Entry] = []
        self._count = 0
        self._last = -math.inf
        self._subscribers: dict[object, tuple[type | None, Callable[[Entry], None]]] = {}
        self._hash = hashlib.sha256()

    def __len__(self) -> int:
        """How many events were appended, whether or not they were kept."""
        return self._count

    def __iter__(self) -> Iterator[Entry]:
        """The entries that were kept, in order."""
        return iter(tuple(self._entries))

    def append(self, event: object) -> Entry:
        """Note that ``event`` happens now, and tell the subscribers, in the order in which they came.

        Raises: TypeError or ValueError if a journal cannot hold the event; InvariantError if the clock went back.
        """
        now = float(self._time())
        if not now >= self._last:
            raise InvariantError(f"the journal's clock went back from {self._last!r} to {now!r} s", event=event)
        entry = Entry(self._count + 1, now, event)
        self._hash.update(encode(entry).encode() + b"\n")
        self._count, self._last = entry.sequence, now
        if self._keep:
            self._entries.append(entry)
        for kind, receive in tuple(self._subscribers.values()):
            if kind is None or isinstance(event, kind):
                receive(entry)
        return entry

    def of(self, kind: type[E]) -> Iterator[tuple[Seconds, E]]:
        """Time and event of the kept entries of one ``kind``, in order."""
        return ((entry.time, entry.event) for entry in tuple(self._entries) if isinstance(entry.event, kind))

    def subscribe(self, receive: Callable[[Entry], None], *, kind: type | None = None) -> Callable[[], None]:
        """Call ``receive`` with each entry from now on, or with those of one ``kind``. Returns what ends that."""
        token = object()
        self._subscribers[token] = (kind, receive)

        def end() -> None:
            self._subscribers.pop(token, None)

        return end

    def digest(self) -> str:
        """SHA-256 of everything so far, in hexadecimal: equal for equal runs, in every process and on every machine."""
        return self._hash.hexdigest()


# ---------------------------------------------------------------------------------------------------------------- files


class JournalWriter:
    """Writes entries to a new file: ``journal.subscribe(writer.write)``. Use it as a context manager.

    Raises: OutputError if the file exists, cannot be written, or the disk is full.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Final = Path(path)
        try:
            self._file = self.path.open("x", encoding="utf-8", newline="\n")
        except FileExistsError:
            raise OutputError(f"{self.path} exists; a journal is not written over, so move it away first") from None
        except OSError as error:
            raise OutputError(f"cannot write the journal {self.path}: {error.strerror}") from error
        self._put(json.dumps({"format": FORMAT, "version": VERSION}, separators=(",", ":")))

    def _put(self, line: str) -> None:
        try:
            self._file.write(line + "\n")
        except OSError as error:
            raise OutputError(f"cannot write the journal {self.path}: {error.strerror}") from error

    def write(self, entry: Entry) -> None:
        """Add ``entry``. It may stay in a buffer until ``flush`` or ``close``."""
        self._put(encode(entry))

    def flush(self) -> None:
        """Hand everything so far to the operating system, so that it outlives this process."""
        try:
            self._file.flush()
        except OSError as error:
            raise OutputError(f"cannot write the journal {self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Flush, and close the file."""
        try:
            self._file.close()
        except OSError as error:
            raise OutputError(f"cannot write the journal {self.path}: {error.strerror}") from error

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Recording:
    """What a journal file holds. ``truncated``: its writer was killed within the last line, which is left out."""

    entries: tuple[Entry, ...]
    truncated: bool

    def digest(self) -> str:
        """As ``Journal.digest``: equal to that of the journal which was written, if the file is whole."""
        whole = hashlib.sha256()
        for entry in self.entries:
            whole.update(encode(entry).encode() + b"\n")
        return whole.hexdigest()


def read_journal(path: str | Path, kinds: Iterable[type]) -> Recording:
    """Read the journal file ``path``, whose events are of ``kinds``.

    A last line that was cut short is left out; anything else that is wrong is an error.
    Raises: InputError with the line, if the file cannot be read, is no journal, or has an event of another kind.
    """
    by_name = _by_name(kinds)
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the journal: {error.strerror}", path=path) from error
    *lines, rest = data.split(b"\n")
    if not lines:
        if _is_start_of_header(rest):
            return Recording((), truncated=True)
        raise InputError("this is not a journal of Sundog", path=path, line=1)
    _check_header(lines[0], path)
    entries: list[Entry] = []
    for number, line in enumerate(lines[1:], start=2):
        entry = _decode(line, by_name, path, number)
        if entry.sequence != len(entries) + 1:
            raise InputError(
                f"event {entry.sequence} follows event {len(entries)}: lines are missing or were moved",
                path=path,
                line=number,
            )
        entries.append(entry)
    return Recording(tuple(entries), truncated=bool(rest))


def _by_name(kinds: Iterable[type]) -> dict[str, _Codec]:
    by_name: dict[str, _Codec] = {}
    for kind in kinds:
        if kind.__name__ in by_name:
            raise ValueError(f"two kinds of events are called {kind.__name__}; a file could not tell them apart")
        by_name[kind.__name__] = _codec(kind)
    return by_name


def _is_start_of_header(data: bytes) -> bool:
    header = json.dumps({"format": FORMAT, "version": VERSION}, separators=(",", ":")).encode()
    return header.startswith(data)


def _parse(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except ValueError as error:  # of JSON, or of UTF-8
        raise InputError(f"this line is damaged: {error}", path=path, line=number) from None
    if not isinstance(data, dict):
        raise InputError("this line is damaged: it holds no object", path=path, line=number)
    return data


def _check_header(line: bytes, path: Path) -> None:
    header = _parse(line, path, 1)
    if header.get("format") != FORMAT:
        raise InputError("this is not a journal of Sundog", path=path, line=1)
    if header.get("version") != VERSION:
        raise InputError(
            f"this journal has version {header.get('version')!r}, and this Sundog reads version {VERSION}",
            path=path,
            line=1,
        )


def _decode(line: bytes, by_name: dict[str, _Codec], path: Path, number: int) -> Entry:
    data = _parse(line, path, number)
    if data.keys() != {"seq", "t", "kind", "event"}:
        raise InputError(f"an event has seq, t, kind and event, not {', '.join(data)}", path=path, line=number)
    codec = by_name.get(str(data["kind"]))
    if codec is None:
        near = difflib.get_close_matches(str(data["kind"]), by_name, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(by_name) or 'none'}"
        raise InputError(f"unknown kind of event {data['kind']!r}; {hint}", path=path, line=number)
    try:
        return Entry(_SCALARS[int].decode(data["seq"]), _decode_float(data["t"]), codec.decode(data["event"]))
    except (TypeError, ValueError) as error:
        raise InputError(str(error), path=path, line=number) from None
