"""Reading a scenario file: YAML with positions, options from the command line, and errors that say where."""

from __future__ import annotations

import datetime as dt
import difflib
import typing
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from sundog.errors import InputError
from sundog.scenarios.origin import Loc, Origin, child
from sundog.scenarios.schema import LOCK_FILE, Loaded, Scenario


def library() -> dict[str, Path]:
    """The scenarios that come with Sundog, by name."""
    folder = Path(str(resources.files("sundog.scenarios") / "library"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_scenario(source: str | Path, options: Sequence[str] = (), *, seed: int | None = None) -> Loaded:
    """The scenario in a file, of a result folder (its lock), or of the library by its name.

    ``options`` are ``key.path=value`` with the value in YAML (``fleet.0.count=50``); they replace or add keys.
    Raises: InputError with file, line and column for whatever is wrong.
    """
    path = _find(source)
    read = Origin(path, _parse(path))
    for option in [*options, *([f"seed={seed}"] if seed is not None else [])]:
        _apply(read, option)
    try:
        document: dict[str, Any] = plain(read.document)
    except RecursionError:
        raise InputError("the values are nested too deeply, or contain themselves", path=path) from None
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as exc:
        raise _explain(exc, read) from None
    _refuse_truths(read, document, scenario, ())
    return Loaded(scenario=scenario, document=document, origin=read)


def _find(source: str | Path) -> Path:
    path = Path(source)
    try:
        if path.is_dir() and (path / LOCK_FILE).is_file():
            return path / LOCK_FILE
        if path.is_file():
            return path
        what = f"a folder without {LOCK_FILE}" if path.is_dir() else "no such file"
    except OSError as exc:
        what = f"it cannot be looked up ({exc.strerror})"
    known = library()
    if str(source) in known:
        return known[str(source)]
    near = difflib.get_close_matches(path.stem, known, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(
        f"there is no scenario {str(source)!r}: {what}, and not in the library; {hint}the library has "
        f"{', '.join(known)}",
        scenario=str(source),
    )


def _parse(path: Path) -> CommentedMap:
    document = parse_yaml(path)
    if not isinstance(document, CommentedMap):
        raise InputError(
            "a scenario is a mapping of keys such as name, fleet and workload", path=path, line=1, column=1
        )
    return document


def parse_yaml(path: Path) -> Any:
    """What is in a YAML file, with positions.

    Raises: InputError with file, line and column if it cannot be read or is no YAML.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise InputError(f"cannot be read: {exc.strerror}", path=path) from None
    try:
        return _yaml(content.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        line, column = _line_and_column(content[: exc.start].decode("utf-8", errors="replace"))
        raise InputError("not a text in UTF-8; save it as such", path=path, line=line, column=column) from None
    except ReaderError as exc:
        line, column = _line_and_column(content.decode("utf-8-sig")[: exc.position])
        what = f"a character that YAML does not allow, number {exc.character}"
        raise InputError(f"not valid YAML: {what}", path=path, line=line, column=column) from None
    except MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        where = {"line": mark.line + 1, "column": mark.column + 1} if mark else {}
        raise InputError(f"not valid YAML: {_problem(exc)}", path=path, **where) from None
    except (YAMLError, ValueError) as exc:
        raise InputError(f"not valid YAML: {_problem(exc)}", path=path) from None
    except RecursionError:
        raise InputError("not valid YAML: nested too deeply", path=path) from None


def _yaml(text: str) -> Any:
    """What is in a YAML text, with positions. Raises: YAMLError, or ValueError for a value that is not what it says."""
    return YAML(typ="rt").load(text)


def _problem(exc: Exception) -> str:
    text = (exc.problem or exc.context) if isinstance(exc, MarkedYAMLError) else str(exc)
    return str(text or "it cannot be parsed").splitlines()[0]


def _line_and_column(before: str) -> tuple[int, int]:
    """Line and column, from 1, of what follows ``before``."""
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


# ---------------------------------------------------------------- options


def _apply(origin: Origin, option: str) -> None:
    """Put one ``key.path=value`` into the document."""
    key, equals, text = option.partition("=")
    if not equals or not key:
        raise InputError(f"--set {option}: write key=value, such as fleet.0.count=50", option=option)
    try:
        value = _yaml(text) if text.strip() else None
    except (YAMLError, ValueError, RecursionError) as exc:
        raise InputError(f"--set {option}: the value is not valid YAML: {_problem(exc)}", option=option) from None
    here: Any = origin.document
    made: Loc | None = None
    loc: Loc = ()
    *parents, last = key.split(".")
    for part in parents:
        step = _step(here, part, option, (*loc, part))
        loc = (*loc, step)
        known = child(here, step) is not None
        if isinstance(here, CommentedMap) and not (known and isinstance(here[step], CommentedMap | CommentedSeq)):
            made = made or loc
            here[step] = CommentedMap()
        here = here[step]
    step = _step(here, last, option, (*loc, last))
    here[step] = value
    origin.options.pop(key, None)
    origin.made.pop(key, None)
    origin.options[key] = text
    origin.made[key] = made or (*loc, step)


def _step(here: Any, part: str, option: str, loc: Loc) -> str | int:
    """``part`` of a dotted key as a key or an index of ``here``."""
    if isinstance(here, CommentedMap) and part:
        known = child(here, part)
        return part if known is None else known
    if isinstance(here, CommentedSeq) and part.isdecimal() and int(part) < len(here):
        return int(part)
    what = ".".join(str(each) for each in loc)
    entries = f"; there are entries 0 to {len(here) - 1}" if isinstance(here, CommentedSeq) and len(here) else ""
    raise InputError(f"--set {option}: there is no {what} in the scenario{entries}", option=option)


def plain(value: Any) -> Any:
    """ruamel's containers and scalars as plain ones; dates and tagged values as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, TaggedScalar):
        return f"{value.tag.value} {value.value}"
    return value if value is None else str(value)


# ---------------------------------------------------------------- errors


def _refuse_truths(origin: Origin, given: Any, taken: Any, loc: Loc) -> None:
    """Refuse true and false where a number is wanted: pydantic takes them for 1 and 0."""
    if isinstance(given, bool) and not isinstance(taken, bool):
        raise origin.error(loc, f"{_dotted(loc)}: {str(given).lower()} is not a number")
    if isinstance(given, dict):
        for key, each in given.items():
            inside = taken.get(key) if isinstance(taken, dict) else getattr(taken, key, None)
            if inside is not None:
                _refuse_truths(origin, each, inside, (*loc, key))
    elif isinstance(given, list) and isinstance(taken, list | tuple):
        for number, (each, inside) in enumerate(zip(given, taken, strict=False)):
            _refuse_truths(origin, each, inside, (*loc, number))


def _explain(exc: ValidationError, origin: Origin) -> InputError:
    """All of pydantic's complaints as one error: the first with its position, the others below it with theirs."""
    complaints = []
    for error in _worth_telling(exc.errors(include_url=False)):
        loc = _real_loc(error, origin.document)
        of_key = error["type"] == "extra_forbidden"
        complaints.append(origin.complaint(loc, _message(error, loc), of_key=of_key))
    (text, where), *others = complaints
    lines = [f"{origin.path}:{at[0]}:{at[1]}: {told}" if at else told for told, at in others]
    return InputError("\n".join([text, *lines]), path=origin.path, line=where and where[0], column=where and where[1])


def _worth_telling(errors: Sequence[Any]) -> list[Any]:
    """The errors that say something, misspelt keys first: a key that is missing is often one of them."""

    def is_noise(error: Any) -> bool:
        # A sequence whose only element is wrong is also reported as too short, a mapping where a word is one of the
        # possibilities as not being the word.
        above = error["loc"][:-1] if error["type"] == "literal_error" else error["loc"]
        if error["type"] == "too_short" or (error["type"] == "literal_error" and isinstance(error["input"], dict)):
            return any(
                e is not error and len(e["loc"]) > len(above) and e["loc"][: len(above)] == above for e in errors
            )
        return False

    return sorted((e for e in errors if not is_noise(e)), key=lambda e: e["type"] != "extra_forbidden")


def _real_loc(error: Any, document: Any) -> Loc:
    """Where an error is, without the names of models and laws that pydantic puts in for members of unions."""
    real: list[str | int] = []
    here = document
    for number, part in enumerate(error["loc"]):
        key = child(here, part)
        if key is not None:
            here = here[key]
        if key is not None or (error["type"] == "missing" and number == len(error["loc"]) - 1):
            real.append(part)
    return tuple(real)


def _dotted(loc: Loc) -> str:
    return ".".join(str(part) for part in loc)


_EXPECTED = {
    "model_type": "a mapping of keys",
    "dict_type": "a mapping of keys",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "finite_number": "a finite number",
}


def _message(error: Any, loc: Loc) -> str:
    name = _dotted(loc)
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        known = sorted(_fields_at(error["loc"][:-1]))
        name = name or str(error["loc"][-1])  # a key that is nothing is found nowhere in the file
        near = difflib.get_close_matches(str(error["loc"][-1]), known, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"unknown key {name!r}; {hint}known here: {', '.join(known)}"
    if kind == "too_short":
        return f"{name!r} is empty; give at least one entry"
    if kind == "missing":
        return f"{name!r} is missing"
    if kind in _EXPECTED:
        shown = "a mapping" if isinstance(given, dict) else "a list" if isinstance(given, list) else _shown(given)
        return f"{name}: {shown} is not {_EXPECTED[kind]}"
    text = str(error["msg"]).removeprefix("Value error, ")
    if text.startswith("Input should be"):
        text = f"{_shown(given)} {text.removeprefix('Input ')}"
    return f"{name}: {text}" if name else text


def _shown(given: Any) -> str:
    return "nothing" if given is None else str(given).lower() if isinstance(given, bool) else repr(given)


def _fields_at(loc: Loc) -> list[str]:
    """Names of the keys that the schema knows at ``loc``, which has the names of members of unions in it."""
    candidates: list[type[BaseModel]] = [Scenario]
    for part in loc:
        if isinstance(part, int):
            continue  # an element: its models were taken from the sequence's annotation
        fields = [model.model_fields[part] for model in candidates if part in model.model_fields]
        if fields:
            candidates = [model for field in fields for model in model_classes(field.annotation)]
        else:
            candidates = [model for model in candidates if part in _names(model)] or candidates
    return list(dict.fromkeys(name for model in candidates for name in model.model_fields))


def _names(model: type[BaseModel]) -> tuple[Any, ...]:
    """What pydantic may call a member of a union: its class, or the law it is."""
    law = model.model_fields.get("law")
    return (model.__name__, None if law is None else law.default)


def model_classes(annotation: Any) -> list[type[BaseModel]]:
    """Every pydantic model inside an annotation."""
    inside = typing.get_args(annotation)
    if inside:
        return [model for argument in inside for model in model_classes(argument)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
