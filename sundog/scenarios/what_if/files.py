"""The two input files: what may stand in them, and errors that say where."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from sundog.core.pool import Inventory
from sundog.errors import InputError
from sundog.scenarios.load import model_classes, parse_yaml, plain
from sundog.scenarios.origin import Loc, position

E = TypeVar("E", bound="Entry")


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{_shown(value)} is not a whole number")
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{_shown(value)} is not a number")
    return value


def _text(value: Any) -> Any:
    """Numbers and truths as texts: metadata are texts, whatever a file has."""
    return json.dumps(value) if isinstance(value, bool | int | float) else value


def _version(value: Any) -> Any:
    """``"2.12.0"`` as Nova's number 2012000."""
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)*", value):
        number = 0
        for part in value.split("."):
            number = number * 1000 + int(part)
        return number
    return _whole(value)


Whole = Annotated[int, BeforeValidator(_whole), Field(ge=0, lt=2**50)]
Any_whole = Annotated[int, BeforeValidator(_whole), Field(gt=-(2**50), lt=2**50)]
Ratio = Annotated[float, BeforeValidator(_number), Field(gt=0, allow_inf_nan=False)]
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Text = Annotated[str, BeforeValidator(_text)]
Name = Annotated[str, Field(min_length=1)]
Truth = Annotated[bool, Field(strict=True)]


class Entry(BaseModel):
    """A part of a file. Unknown fields are refused; null is the same as leaving an optional field out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        optional = [name for name, field in cls.model_fields.items() if not field.is_required()]
        return {key: value for key, value in given.items() if value is not None or key not in optional}


class AggregateEntry(Entry):
    """A host aggregate that a host is in."""

    name: Name
    metadata: dict[str, Text] = {}


class InstanceEntry(Entry):
    """A server on a host, with the properties of its image."""

    id: Text
    image_properties: dict[str, Text] = {}


class InventoryEntry(Entry):
    """What a host has of a further resource class, as Placement counts it."""

    total: Whole
    used: Whole = 0
    reserved: Whole = 0
    allocation_ratio: Ratio = 1.0
    min_unit: Whole | None = None
    max_unit: Whole | None = None
    step_size: Whole | None = None

    def inventory(self) -> Inventory:
        """As the pool takes it."""
        return Inventory(
            self.total, self.reserved, self.allocation_ratio, self.min_unit or None, self.max_unit or None,
            self.step_size or None,
        )  # fmt: skip


class HostEntry(Entry):
    """A host. What is used includes all that is: servers, and what the host keeps for itself."""

    name: Name
    uuid: str | None = None
    vcpus: Whole
    memory_mb: Whole
    disk_gb: Whole
    vcpus_used: Whole = 0
    memory_mb_used: Whole = 0
    disk_gb_used: Whole = 0
    cpu_allocation_ratio: Ratio = 4.0
    ram_allocation_ratio: Ratio = 1.0
    disk_allocation_ratio: Ratio = 1.0
    num_instances: Whole | None = None
    num_io_ops: Whole = 0
    failed_builds: Whole = 0
    hypervisor_type: str | None = None
    hypervisor_version: Annotated[int, BeforeValidator(_version), Field(ge=0, lt=2**50)] = 0
    zone: str | None = None
    aggregates: tuple[AggregateEntry, ...] = ()
    traits: tuple[str, ...] = ()
    enabled: Truth = True
    instances: tuple[Text | InstanceEntry, ...] = ()
    supported_instances: tuple[tuple[str, ...], ...] | None = None
    cpu_info: dict[str, Any] = {}
    stats: dict[str, Any] = {}
    metrics: dict[str, Number] = {}
    pci_devices_free: Whole = 0
    disk_available_least: Any_whole | None = None
    host_ip: str | None = None
    cell: str | None = None
    inventories: dict[str, InventoryEntry] = {}


class RulesEntry(Entry):
    """The rules of a server group."""

    max_server_per_host: Annotated[int, BeforeValidator(_whole), Field(ge=1, lt=2**50)] = 1


class GroupEntry(Entry):
    """A server group; ``hosts`` are those that had a member before the first request, once for each member."""

    id: Text
    policy: Literal["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]
    hosts: tuple[str, ...] = ()
    members: tuple[Text, ...] = ()
    rules: RulesEntry = RulesEntry()


class RequestEntry(Entry):
    """A server that is asked for: flavor, image and the rest of Nova's request."""

    id: int | str
    vcpus: Whole
    memory_mb: Whole
    root_gb: Whole
    ephemeral_gb: Whole = 0
    swap_mb: Whole = 0
    extra_specs: dict[str, Text] = {}
    zone: str | None = None
    required_traits: tuple[str, ...] = ()
    forbidden_traits: tuple[str, ...] = ()
    group: GroupEntry | None = None
    project_id: Text | None = None
    ignore_hosts: tuple[str, ...] = ()
    force_hosts: tuple[str, ...] = ()
    image_properties: dict[str, Text] | None = None
    image_id: str | None = None
    image_disk_format: str | None = None
    boot_from_volume: Truth = False
    flavor: str = ""
    scheduler_hints: dict[str, Any] = {}
    num_instances: Annotated[int, BeforeValidator(_whole), Field(ge=1, le=10_000)] = 1
    cell: str | None = None
    allow_cross_cell_move: Truth = False


@dataclass(frozen=True)
class Listed(Generic[E]):
    """The entries of a file, and how to say that one of them is wrong."""

    entries: tuple[E, ...]
    path: Path
    locate: Callable[[Loc, bool], tuple[int, int] | None]

    def error(self, loc: Loc, message: str, *, of_key: bool = False) -> InputError:
        """What is wrong at ``loc``, with file, line and column."""
        where = self.locate(loc, of_key)
        text = f"{dotted(loc)}: {message}" if loc else message
        return InputError(text, path=self.path, line=where and where[0], column=where and where[1])


def read_hosts(path: Path) -> Listed[HostEntry]:
    """The hosts in a JSON file, or a YAML one by its name.

    Raises: InputError with file, line and column for what is wrong; also for two hosts of one name.
    """
    return _read(path, HostEntry, "name", "hosts")


def read_requests(path: Path) -> Listed[RequestEntry]:
    """The requests in a JSON file, or a YAML one by its name, in order.

    Raises: InputError, as :func:`read_hosts`; also for two requests of one id.
    """
    return _read(path, RequestEntry, "id", "requests")


def _read(path: Path, kind: type[E], key: str, what: str) -> Listed[E]:
    document, locate = _parse_yaml_file(path) if path.suffix in (".yaml", ".yml") else _parse_json_file(path)
    if not isinstance(document, list):
        raise Listed[E]((), path, locate).error((), f"a list of {what} is expected, in brackets")
    try:
        entries = TypeAdapter(tuple[kind, ...]).validate_python(document)  # type: ignore[valid-type]
    except ValidationError as exc:
        raise _explained(exc, Listed((), path, locate), kind, document) from None
    listed = Listed(entries, path, locate)
    seen: dict[Any, int] = {}
    for number, entry in enumerate(entries):
        value = getattr(entry, key)
        if str(value) in seen:
            raise listed.error((number, key), f"{_shown(value)} is that of entry {seen[str(value)]} already")
        seen[str(value)] = number
    return listed


# ---------------------------------------------------------------- JSON and YAML


def _parse_json_file(path: Path) -> tuple[Any, Callable[[Loc, bool], tuple[int, int] | None]]:
    text = _text_of(path)
    try:
        document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as exc:
        raise InputError(f"not valid JSON: {exc.msg}", path=path, line=exc.lineno, column=exc.colno) from None
    except (ValueError, RecursionError) as exc:
        problem = "nested too deeply" if isinstance(exc, RecursionError) else str(exc)
        raise InputError(f"not valid JSON: {problem}", path=path) from None
    return document, lambda loc, of_key: json_position(text, loc, of_key=of_key)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r} is given twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number that JSON knows")


def json_position(text: str, loc: Loc, *, of_key: bool = False) -> tuple[int, int]:
    """Line and column, from 1, of the value at ``loc`` in a JSON text (or its key), or of what is nearest above."""
    skip, decoder = re.compile(r"[\s,:]*"), json.JSONDecoder()

    def after(at: int) -> int:
        found = skip.match(text, at)
        return at if found is None else found.end()

    here = after(0)
    for number, part in enumerate(loc):
        at, index, found = after(here + 1), 0, None
        while text[here] in "{[" and text[at] not in "}]":
            start = at
            if text[here] == "{":
                key, end = decoder.raw_decode(text, at)
                at = after(end)
                hit = key == part
            else:
                hit = index == part
            if hit:
                found = start if of_key and number == len(loc) - 1 else at
                break
            at, index = after(decoder.raw_decode(text, at)[1]), index + 1
        if found is None:
            break
        here = found
    before = text[:here]
    return before.count("\n") + 1, here - (before.rfind("\n") + 1) + 1


def _parse_yaml_file(path: Path) -> tuple[Any, Callable[[Loc, bool], tuple[int, int] | None]]:
    document = parse_yaml(path)

    def locate(loc: Loc, of_key: bool) -> tuple[int, int] | None:
        return position(document, loc, of_key=of_key) if isinstance(document, CommentedMap | CommentedSeq) else None

    try:
        return plain(document), locate
    except RecursionError:
        raise InputError("the values are nested too deeply, or contain themselves", path=path) from None


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as exc:
        raise InputError(f"cannot be read: {exc.strerror}", path=path) from None
    except UnicodeDecodeError as exc:
        raise InputError(f"not a text in UTF-8 (byte {exc.start}); save it as such", path=path) from None


# ---------------------------------------------------------------- errors


def dotted(loc: Loc) -> str:
    """``(0, 'group', 'hosts')`` as ``[0].group.hosts``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")


def _shown(given: Any) -> str:
    if isinstance(given, Mapping):
        return "an object"
    return "a list" if isinstance(given, list | tuple) else json.dumps(given, ensure_ascii=False, default=str)


_EXPECTED = {
    "model_type": "an object",
    "dict_type": "an object",
    "tuple_type": "a list",
    "string_type": "a text",
    "bool_type": "true or false",
}


def _explained(exc: ValidationError, listed: Listed[E], kind: type[BaseModel], document: Any) -> InputError:
    """The first complaint with its position, and how many more there are; misspelt fields before missing ones."""
    errors = sorted(exc.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
    loc = _real_loc(errors[0], document)
    message = _message(errors[0], loc, kind)
    if len(errors) > 1:
        message += f" (and {len(errors) - 1} more {'complaint' if len(errors) == 2 else 'complaints'})"
    return listed.error(loc, message, of_key=errors[0]["type"] == "extra_forbidden")


def _real_loc(error: Any, document: Any) -> Loc:
    """Where an error is in the file, without the names that pydantic puts in for members of unions."""
    real: list[str | int] = []
    here = document
    for number, part in enumerate(error["loc"]):
        inside = part in here if isinstance(here, dict) else isinstance(here, list) and isinstance(part, int)
        here = here[part] if inside else here
        if inside or (error["type"] == "missing" and number == len(error["loc"]) - 1):
            real.append(part)
    return tuple(real)


def _message(error: Any, loc: Loc, kind: type[BaseModel]) -> str:
    given = error.get("input")
    if error["type"] == "extra_forbidden":
        known = _fields_at(loc[:-1], kind)
        near = difflib.get_close_matches(str(loc[-1]), known, 1)
        return f"unknown field; did you mean {near[0]!r}?" if near else f"unknown field; there are {', '.join(known)}"
    if error["type"] == "missing":
        return "is missing"
    if error["type"] in _EXPECTED:
        return f"{_shown(given)} is not {_EXPECTED[error['type']]}"
    text = str(error["msg"]).removeprefix("Value error, ")
    return f"{_shown(given)} {text.removeprefix('Input ')}" if text.startswith("Input should") else text


def _fields_at(loc: Sequence[str | int], kind: type[BaseModel]) -> list[str]:
    models = [kind]
    for part in loc:
        if not isinstance(part, int):
            fields = [model.model_fields[part] for model in models if part in model.model_fields]
            models = [inner for field in fields for inner in model_classes(field.annotation)] or models
    return list(dict.fromkeys(name for model in models for name in model.model_fields))
