"""What several schemas need: numbers that may come as text, names, and queries that refuse what they do not know."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from sundog.api.kit.bodies import Body, Query

MOST_INT: Final = 2**31 - 1
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_TRUE: Final = (True, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "y", "t")
_FALSE: Final = (False, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", "n", "f")


class Part(Body):
    """A part of a body: its keys are those of the wire alone, and a number is not a text."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False, strict=True)


class StrictQuery(Query):
    """A query string whose keys must all be known: of most lists since 2.75, of everything since 2.102."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class NoQuery(StrictQuery):
    """No query string at all."""


def _printable(value: str) -> str:
    """Nova's names hold what can be printed, and no space stands at their ends."""
    kinds = {unicodedata.category(each) for each in value}
    if any(kind[0] == "C" or kind in ("Zl", "Zp") for kind in kinds):
        raise ValueError("An invalid 'name' value was provided. The name must be printable characters.")
    if value != value.strip():
        raise ValueError(
            "An invalid 'name' value was provided. The name must be printable characters. "
            "Can not start or end with whitespace."
        )
    return value


def _whole(value: Any) -> Any:
    """A number, or its digits as text."""
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not of type 'integer', 'string'")
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]+", value, re.ASCII) or len(value) > 20:
            raise ValueError(f"{value[:255]!r} does not match '^-?[0-9]+$'")
        return int(value)
    return value


def _truth(value: Any) -> Any:
    # Only these types: the numbers 1 and 0 equal True and False, and are not meant.
    if isinstance(value, bool | str):
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
    raise ValueError(f"{str(value)[:255]!r} is not one of the words for a truth value")


def is_uuid(text: str) -> bool:
    """Whether this is a UUID, with hyphens or without."""
    return _UUID.fullmatch(text) is not None


def check_uuid(value: str) -> str:
    """A UUID, with or without hyphens. Raises: ValueError."""
    if not is_uuid(value):
        raise ValueError(f"{value[:255]!r} is not a 'uuid'")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
"""A number that may come as text."""
Count = Annotated[Whole, Field(ge=0, le=MOST_INT)]
Positive = Annotated[Whole, Field(ge=1, le=MOST_INT)]
Truth = Annotated[bool, BeforeValidator(_truth)]
"""A truth value that may come as one of Nova's words for it."""
Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
Uuid = Annotated[str, AfterValidator(check_uuid)]
Limit = Annotated[Whole, Field(ge=0)]
