"""Where a scenario's keys stand: the YAML document with its positions, and errors that point into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from sundog.errors import InputError

Loc: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys and indexes, as pydantic gives them."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A scenario file as it was read, and the options put into it.

    ``options`` are texts by dotted key, as given; ``made`` is for each of them the way to the outermost value that it
    replaced or added. ``workload.synthetic.preset=x`` makes ``workload.synthetic`` where there was none.
    """

    path: Path
    document: CommentedMap
    options: dict[str, str] = field(default_factory=dict)
    made: dict[str, Loc] = field(default_factory=dict)

    def option_at(self, loc: Loc) -> str | None:
        """The option that gave the value at ``loc``, the last one if there are several."""
        return next((key for key in reversed(self.made) if _starts_with(loc, self.made[key])), None)

    def options_below(self, loc: Loc) -> list[str]:
        """The options that gave a part of the value at ``loc``."""
        return [key for key, made in self.made.items() if len(made) > len(loc) and _starts_with(made, loc)]

    def complaint(self, loc: Loc, message: str, *, of_key: bool = False) -> tuple[str, tuple[int, int] | None]:
        """The message, and line and column from 1; for a value that an option gave, the option and no position.

        ``of_key``: it is about the key at ``loc`` and not about its value.
        """
        option = self.option_at(loc)
        if option is not None:
            return f"--set {option}={self.options[option]}: {message}", None
        below = [f"--set {key}={self.options[key]}" for key in self.options_below(loc)]
        message += f" (there with {', '.join(below)})" if below else ""
        return message, position(self.document, loc, of_key=of_key)

    def error(self, loc: Loc, message: str) -> InputError:
        """What is wrong at ``loc``, as an error with file, line and column."""
        text, where = self.complaint(loc, message)
        return InputError(text, path=self.path, line=where and where[0], column=where and where[1])

    @contextmanager
    def blamed(self, *loc: str | int) -> Iterator[None]:
        """Errors of the block that name no file of their own are about the value at ``loc``."""
        try:
            yield
        except InputError as exc:
            if exc.path is not None:
                raise
            raise self.error(loc, exc.message) from exc


def child(here: Any, part: str | int) -> str | int | None:
    """The key of ``here`` that is written ``part`` (YAML's keys may be numbers), or None if there is none."""
    if isinstance(here, Mapping):
        return part if part in here else next((key for key in here if str(key) == str(part)), None)
    return part if isinstance(here, CommentedSeq) and isinstance(part, int) and 0 <= part < len(here) else None


def _starts_with(loc: Loc, beginning: Loc) -> bool:
    return loc[: len(beginning)] == beginning


def position(document: CommentedMap | CommentedSeq, loc: Loc, *, of_key: bool) -> tuple[int, int]:
    """Line and column, from 1, of the value at ``loc`` (or its key), or of the nearest thing above it."""
    here: Any = document
    where = (0, 0)
    for number, part in enumerate(loc):
        key = child(here, part)
        if key is None:
            break
        last = number == len(loc) - 1
        try:
            if isinstance(here, CommentedSeq):
                where = here.lc.item(key)
            elif (last and of_key) or here[key] is None:
                where = here.lc.key(key)  # where nothing is written, ruamel's value begins at whatever comes next
            else:
                where = here.lc.value(key)
        except KeyError:
            break  # it came with a YAML merge (<<): the mapping that merged it is as near as one can get
        here = here[key]
    return where[0] + 1, where[1] + 1
