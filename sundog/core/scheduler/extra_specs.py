"""Extra specs of flavors: the operators of their values, and what their keys ask of Placement.

Source: ``nova.scheduler.filters.extra_specs_ops`` and ``nova.scheduler.utils.ResourceRequest`` (OpenStack Nova 34,
Apache-2.0), from their behaviour.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

_NUMBERS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "=": operator.ge,  # as in Nova: what there is suffices
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
}
_TEXTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "s==": operator.eq,
    "s!=": operator.ne,
    "s<": operator.lt,
    "s<=": operator.le,
    "s>": operator.gt,
    "s>=": operator.ge,
    "<in>": operator.contains,
}
_RESOURCES = re.compile(r"(resources|trait)([a-zA-Z0-9_-]{1,64})?:(.*)")


def match(value: str, wanted: str) -> bool:
    """Whether a host's ``value`` is what an extra spec wants: ``>= 4``, ``<in> avx``, ``<or> a <or> b``, or itself.

    A number compared with a text that is none is no match. (Nova raises there, and the request fails.)
    """
    words = wanted.split()
    if not words:
        return value == wanted
    first, *rest = words
    if first == "<or>":
        return value in rest[::2]
    if first == "<all-in>":
        return bool(rest) and all(word in value for word in rest)
    if first in _TEXTS:
        return bool(rest) and _TEXTS[first](value, rest[0])
    if first in _NUMBERS:
        try:
            return bool(rest) and _NUMBERS[first](float(value), float(rest[0]))
        except ValueError:
            return False
    return value == wanted


@dataclass(slots=True)
class Asked:
    """What the extra specs of a flavor ask of Placement.

    ``suffixes`` are those of the numbered groups, and ``group_policy`` says whether they must be given by different
    providers (``isolate``) or may share one (``none``); None if the flavor does not say.
    """

    resources: dict[str, int] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    forbidden: list[str] = field(default_factory=list)
    suffixes: tuple[str, ...] = ()
    group_policy: str | None = None


def asked_of_placement(extra_specs: Mapping[str, str]) -> Asked:
    """``resources:CLASS``, ``trait:TRAIT`` and their numbered forms, all in one, as a host without children gives them.

    Raises: ValueError for an amount that is not a whole number of 0 or more.
    """
    asked = Asked()
    suffixes: dict[str, None] = {}
    for key, value in extra_specs.items():
        if key == "group_policy":
            asked.group_policy = value if value in ("none", "isolate") else asked.group_policy
            continue
        found = _RESOURCES.fullmatch(key)
        if found is None:
            continue
        kind, suffix, name = found.groups()
        if suffix:
            suffixes[suffix] = None
        if kind == "resources":
            if not value.strip().isdecimal():
                raise ValueError(f"{key} is {value!r}; it must be a whole number of 0 or more")
            asked.resources[name] = asked.resources.get(name, 0) + int(value)
        elif value == "required":
            asked.required.append(name)
        elif value == "forbidden":
            asked.forbidden.append(name)
    asked.suffixes = tuple(suffixes)
    return asked
