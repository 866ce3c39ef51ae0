"""Reading a scenario file: YAML with positions, options from the command line, and errors that say where."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from sundog.errors import InputError
from sundog.scenarios.schema import Loaded, Scenario

Loc = tuple[str | int, ...]


def library() -> dict[str, Path]:
    """The scenarios that come with Sundog, by name."""
    folder = Path(str(resources.files("sundog.scenarios") / "library"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_scenario(source: str | Path, options: Sequence[str] = (), *, seed: int | None = None) -> Loaded:
    """The scenario in a file, or of the library by its name.

    ``options`` are ``key.path=value`` with the value in YAML (``fleet.0.count=50``); they replace or add keys.
    Raises: InputError with file, line and column for whatever is wrong.
    """
    path = _find(source)
    document = _parse(path)
    given = [*options, *([f"seed={seed}"] if seed is not None else [])]
    applied = dict(_apply(document, option) for option in given)
    plain = _plain(document)
    try:
        scenario = Scenario.model_validate(plain)
    except ValidationError as exc:
        raise _explain(exc, document, path, applied) from None
    return Loaded(scenario=scenario, document=plain, path=path, options=applied)


def _find(source: str | Path) -> Path:
    path = Path(source)
    if path.is_dir() and (path / "scenario.lock.yaml").is_file():
        return path / "scenario.lock.yaml"
    if path.is_file():
        return path
    known = library()
    if str(source) in known:
        return known[str(source)]
    near = difflib.get_close_matches(str(source), known, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(
        f"there is no scenario {str(source)!r}: no such file, and not in the library; {hint}the library has "
        f"{', '.join(known)}",
        scenario=str(source),
    )


def _parse(path: Path) -> CommentedMap:
    try:
        document = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        where = {"line": mark.line + 1, "column": mark.column + 1} if mark else {}
        problem = str(exc.problem or exc.context or "not valid YAML").splitlines()[0]
        raise InputError(f"not valid YAML: {problem}", path=path, **where) from None
    except (YAMLError, UnicodeDecodeError) as exc:
        raise InputError(f"not valid YAML: {str(exc).splitlines()[0]}", path=path) from None
    except OSError as exc:
        raise InputError(f"cannot be read: {exc.strerror}", path=path) from None
    if not isinstance(document, CommentedMap):
        raise InputError(
            "a scenario is a mapping of keys such as name, fleet and workload", path=path, line=1, column=1
        )
    return document


def _apply(document: CommentedMap, option: str) -> tuple[str, str]:
    """Put one ``key.path=value`` into the document; returns key and text."""
    key, equals, text = option.partition("=")
    if not equals or not key:
        raise InputError(f"--set {option}: write key=value, such as fleet.0.count=50", option=option)
    try:
        value = YAML(typ="rt").load(text) if text.strip() else None
    except YAMLError as exc:
        raise InputError(f"--set {option}: the value is not valid YAML: {str(exc).splitlines()[0]}") from None
    *parents, last = [int(part) if part.isdecimal() else part for part in key.split(".")]
    here: Any = document
    for number, part in enumerate(parents):
        so_far = ".".join(str(each) for each in parents[: number + 1])
        if isinstance(here, CommentedMap) and isinstance(part, str):
            if not isinstance(here.get(part), CommentedMap | CommentedSeq):
                here[part] = CommentedMap()
            here = here[part]
        elif isinstance(here, CommentedSeq) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            raise InputError(f"--set {option}: there is no {so_far} in the scenario", option=option)
    fits = isinstance(here, CommentedMap) and isinstance(last, str)
    fits |= isinstance(here, CommentedSeq) and isinstance(last, int) and last < len(here)
    if not fits:
        raise InputError(f"--set {option}: there is no {key} in the scenario", option=option)
    here[last] = value
    return key, text


def _plain(value: Any) -> Any:
    """ruamel's containers and scalars as plain ones."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


# ---------------------------------------------------------------- errors


def _explain(exc: ValidationError, document: CommentedMap, path: Path, options: Mapping[str, str]) -> InputError:
    """All of pydantic's complaints as one error: the first with its position, the others below it."""
    lines, first = [], None
    errors = exc.errors(include_url=False)
    # A sequence whose only element is wrong is also reported as too short: that says nothing.
    inner = [each["loc"] for each in errors]
    errors = [e for e in errors if e["type"] != "too_short" or not any(_below(loc, e["loc"]) for loc in inner)]
    for error in errors:
        loc = _real_loc(error["loc"], document)
        text = _message(error, loc)
        option = next((key for key in options if _is_prefix(key, loc)), None)
        if option is not None:
            where: tuple[int, int] | None = None
            text = f"--set {option}={options[option]}: {text}"
        else:
            where = _position(document, loc, key_itself=error["type"] == "extra_forbidden")
        if first is None:
            first = (text, where)
        else:
            lines.append(f"{path}:{where[0]}:{where[1]}: {text}" if where else text)
    assert first is not None
    text, where = first
    message = "\n".join([text, *lines])
    return InputError(message, path=path, line=where[0] if where else None, column=where[1] if where else None)


def _below(loc: Loc, above: Loc) -> bool:
    return len(loc) > len(above) and loc[: len(above)] == above


def _is_prefix(key: str, loc: Loc) -> bool:
    parts = key.split(".")
    return [str(part) for part in loc[: len(parts)]] == parts


def _real_loc(loc: Loc, document: Any) -> Loc:
    """``loc`` without the tags that pydantic puts in for members of unions: only what the document has, and its end."""
    real: list[str | int] = []
    here = document
    for number, part in enumerate(loc):
        known = (
            part in here
            if isinstance(here, CommentedMap)
            else isinstance(here, CommentedSeq) and part in range(len(here))
        )
        if known:
            here = here[part]
        if known or (number == len(loc) - 1 and isinstance(here, CommentedMap) and isinstance(part, str)):
            real.append(part)
    return tuple(real)


def _position(document: Any, loc: Loc, *, key_itself: bool) -> tuple[int, int]:
    """Line and column, from 1, of the value at ``loc`` (or its key), or of the nearest thing above it."""
    here, where = document, (0, 0)
    for number, part in enumerate(loc):
        last = number == len(loc) - 1
        try:
            if isinstance(here, CommentedSeq):
                where = here.lc.item(part)
            elif last and key_itself:
                where = here.lc.key(part)
            else:
                where = here.lc.value(part)
            here = here[part]
        except (KeyError, IndexError, TypeError, AttributeError):
            break
    return where[0] + 1, where[1] + 1


def _message(error: Any, loc: Loc) -> str:
    name = ".".join(str(part) for part in loc)
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        known = sorted(_fields_at(loc[:-1]))
        near = difflib.get_close_matches(str(loc[-1]), known, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"unknown key {name!r}; {hint}known here: {', '.join(known)}"
    if kind == "too_short":
        return f"{name!r} is empty; give at least one entry"
    if kind == "missing":
        return f"{name!r} is missing"
    text = str(error["msg"]).removeprefix("Value error, ")
    text = text[:1].lower() + text[1:] if text.startswith("Input should") else text
    text = text.replace("input should be", f"{given!r} should be") if not isinstance(given, dict | list) else text
    return f"{name}: {text}" if name else text


def _fields_at(loc: Loc) -> set[str]:
    """Names of the keys that the schema knows at ``loc``, over all models that could stand there."""
    candidates: list[Any] = [Scenario]
    for part in loc:
        following: list[Any] = []
        for model in candidates:
            if isinstance(part, int):
                following.append(model)  # an element: its models were taken from the sequence's annotation
            elif part in model.model_fields:
                following.extend(_models(model.model_fields[part].annotation))
        candidates = following
    return {name for model in candidates for name in model.model_fields}


def _models(annotation: Any) -> list[Any]:
    """Every pydantic model inside an annotation."""
    inside = typing.get_args(annotation)
    if inside:
        return [model for argument in inside for model in _models(argument)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
