"""Query strings that are a language of their own: ``resources=VCPU:2,DISK_GB:50&required=HW_CPU_X86_AVX,!CUSTOM_X``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sundog.api.kit.versions import Version
from sundog.api.placement import schemas, wording
from sundog.control.placement.candidates import Asked, Request
from sundog.control.placement.records import MOST
from sundog.control.placement.refusals import QUERY_BAD_VALUE, QUERY_DUPLICATE, QUERY_MISSING_VALUE, bad_query

_BAD: Final = "Invalid query string parameters:"
_NUMBERED: Final = "[1-9][0-9]*"
_NAMED: Final = "[a-zA-Z0-9_-]{1,64}"
_ANY_OF: Final = "The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC'"

Items = Sequence[tuple[str, str]]
"""Keys and values in the order in which they stand."""


def provider_filter(version: Version, query: schemas.ListProviders) -> dict[str, Any]:
    """What the list of providers is asked for, as ``Placement.find_providers`` takes it.

    Raises: Invalid with the form that was expected.
    """
    told = query.model_dump()
    required, forbidden = _traits(version, told.get("required", []))
    member_of, not_member_of = _aggregates(version, told.get("member_of", []), "")
    resources = told.get("resources")
    asked = Asked(
        resources={} if resources is None else _resources(resources),
        required=required,
        forbidden=forbidden,
        member_of=member_of,
        not_member_of=not_member_of,
        in_tree=told.get("in_tree"),
    )
    return {"asked": asked, "uuid": query.uuid, "name": query.name}


def trait_filter(query: schemas.ListTraits) -> dict[str, Any]:
    """What the list of traits is asked for, as ``Placement.traits`` takes it.

    Raises: Invalid with the form that was expected.
    """
    told: dict[str, Any] = {}
    if query.name is not None:
        operator, colon, value = query.name.partition(":")
        if not colon:
            raise bad_query(
                "Badly formatted name parameter. Expected name query string parameter in form: "
                f'?name=[in|startswith]:[name1,name2|prefix]. Got: "{query.name}"'
            )
        told |= {"among": value.split(",")} if operator == "in" else {}
        told |= {"prefix": value} if operator == "startswith" else {}
    if query.associated is not None:
        if query.associated.lower() not in ("true", "false"):
            raise bad_query('The query parameter "associated" only accepts "true" or "false"')
        told["associated"] = query.associated.lower() == "true"
    return told


# ---------------------------------------------------------------- allocation candidates


def candidates_asked(version: Version, items: Items) -> Request:
    """What candidates are asked for.

    Raises: Invalid with the form that was expected.
    """
    _check_keys(version, items)
    values: dict[str, list[str]] = {}
    for key, value in items:
        values.setdefault(key, []).append(value)
    required, forbidden = _root_traits(values.get("root_required", []))
    subtrees = tuple(_suffixes(value) for value in values.get("same_subtree", []))
    groups = _groups(version, values)
    _check_groups(version, groups, subtrees)
    policy = _group_policy(values.get("group_policy", []))
    if policy is None and sum(bool(suffix) for suffix in groups) > 1:
        raise bad_query(
            'The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.'
        )
    return Request(
        groups,
        limit=_limit(values.get("limit", [])),
        isolate=policy == "isolate",
        root_required=required,
        root_forbidden=forbidden,
        same_subtrees=subtrees,
        nested=version >= Version(1, 29),
    )


def _check_keys(version: Version, items: Items) -> None:
    """Refuse keys that the version does not know."""
    known = {"limit": (1, 16), "group_policy": (1, 25), "root_required": (1, 35), "same_subtree": (1, 36)}
    plain = {"resources": (1, 10), "required": (1, 17), "member_of": (1, 21), "in_tree": (1, 31)}
    suffix = _NAMED if version >= (1, 33) else _NUMBERED
    patterns = [f"^{name}({suffix})?$" for name, since in plain.items() if version >= since]
    if version < (1, 25):
        known |= plain
        patterns = []
        if "resources" not in dict(items):
            raise bad_query(f"{_BAD} 'resources' is a required property")
    names = [name for name, since in known.items() if version >= since]
    strange = [key for key, _ in items if key not in names and not any(re.match(each, key) for each in patterns)]
    if strange:
        raise wording.unexpected_keys(list(dict.fromkeys(strange)), ", ".join(f"'{each}'" for each in sorted(patterns)))


def _groups(version: Version, values: Mapping[str, Sequence[str]]) -> dict[str, Asked]:
    suffix = _NAMED if version >= (1, 33) else _NUMBERED
    pattern = re.compile(f"(resources|required|member_of|in_tree)({suffix})?")
    matches = (pattern.fullmatch(key) for key in values)
    suffixes = dict.fromkeys(match[2] or "" for match in matches if match)
    return {each: _group(version, each, values) for each in suffixes}


def _group(version: Version, suffix: str, values: Mapping[str, Sequence[str]]) -> Asked:
    required, forbidden = _traits(version, values.get(f"required{suffix}", []))
    member_of, not_member_of = _aggregates(version, values.get(f"member_of{suffix}", []), suffix)
    resources, in_tree = values.get(f"resources{suffix}"), values.get(f"in_tree{suffix}")
    return Asked(
        resources={} if resources is None else _resources(resources[-1]),
        required=required,
        forbidden=forbidden,
        member_of=member_of,
        not_member_of=not_member_of,
        in_tree=None if in_tree is None else _tree(in_tree[-1]),
    )


def _check_groups(version: Version, groups: Mapping[str, Asked], subtrees: Iterable[frozenset[str]]) -> None:
    if version < (1, 36):
        _check_all_have_resources(groups)
    else:
        named = frozenset[str]().union(*subtrees)
        empty = [suffix for suffix, group in groups.items() if not group.resources]
        if len(empty) == len(groups):
            raise bad_query("There must be at least one resources or resources[$S] parameter.", QUERY_MISSING_VALUE)
        bad = [suffix for suffix in empty if suffix not in named]
        if bad:
            raise bad_query(
                "Resourceless suffixed group request should be specified in `same_subtree` query param: "
                f"bad group(s) - {bad}.",
                QUERY_BAD_VALUE,
            )
        bad = sorted(named - frozenset(groups))
        if bad:
            raise bad_query(
                f"Real suffixes should be specified in `same_subtree`: {bad} not found in {list(groups)}.",
                QUERY_BAD_VALUE,
            )
    _check_conflicts(groups)


def _check_all_have_resources(groups: Mapping[str, Asked]) -> None:
    orphans = [f"required{suffix}" for suffix, group in groups.items() if group.required and not group.resources]
    if orphans:
        raise bad_query(
            "All traits parameters must be associated with resources.  "
            f"Found the following orphaned traits keys: {', '.join(orphans)}"
        )
    orphans = [
        f"member_of{suffix}"
        for suffix, group in groups.items()
        if (group.member_of or group.not_member_of) and not group.resources
    ]
    if orphans:
        raise bad_query(
            "All member_of parameters must be associated with resources. "
            f"Found the following orphaned member_of keys: {', '.join(orphans)}"
        )
    if not all(group.resources for group in groups.values()):
        raise bad_query("All request groups must specify resources.")
    if not groups:
        raise bad_query("At least one request group (`resources` or `resources{$S}`) is required.")


def _check_conflicts(groups: Mapping[str, Asked]) -> None:
    conflicts = [
        f"required{suffix}: ({', '.join(sorted(several))})"
        for suffix, group in groups.items()
        for several in group.required
        if several <= group.forbidden
    ]
    if conflicts:
        raise bad_query(
            "Conflicting required and forbidden traits found in the following traits keys: "
            + ", ".join(sorted(conflicts))
        )


def _root_traits(values: Sequence[str]) -> tuple[frozenset[str], frozenset[str]]:
    if not values:
        return frozenset(), frozenset()
    if len(values) > 1:
        raise bad_query("Query parameter 'root_required' may be specified only once.", QUERY_DUPLICATE)
    several, forbidden = _trait_list(values[0], may_forbid=True, may_choose=False)
    required = frozenset[str]().union(*several)
    if required & forbidden:
        raise bad_query(
            "Conflicting required and forbidden traits found in root_required: "
            + ", ".join(sorted(required & forbidden)),
            QUERY_BAD_VALUE,
        )
    return required, forbidden


def _suffixes(value: str) -> frozenset[str]:
    suffixes = frozenset(each.strip() for each in value.split(","))
    if "" in suffixes:
        raise bad_query("Empty string (unsuffixed group) can not be specified in `same_subtree` ", QUERY_BAD_VALUE)
    return suffixes


def _group_policy(values: Sequence[str]) -> str | None:
    if values and values[-1] not in ("none", "isolate"):
        raise bad_query(f"{_BAD} {values[-1]!r} is not one of ['none', 'isolate']")
    return values[0] if values else None


def _limit(values: Sequence[str]) -> int | None:
    """Of several limits the last is checked and the first counts, as in Placement."""
    if not values:
        return None
    if not re.fullmatch("[1-9][0-9]*", values[-1]):
        raise bad_query(
            f"{_BAD} {values[-1]!r} does not match '^[1-9][0-9]*$'\n\nFailed validating 'pattern' in schema"
        )
    first = values[0] if re.fullmatch("[0-9]{1,12}", values[0], re.ASCII) else values[-1][:12]
    return min(int(first), MOST)


# ---------------------------------------------------------------- values


def _resources(text: str) -> dict[str, int]:
    """``VCPU:2,DISK_GB:50`` by class."""
    form = (
        "Badly formed resources parameter. Expected resources query string parameter in form: "
        "?resources=VCPU:2,MEMORY_MB:1024. Got: "
    )
    if not text.strip():
        raise bad_query(f"{form}empty string.")
    result = {}
    for part in text.split(","):
        name, colon, amount = part.partition(":")
        if not colon or ":" in amount:
            raise bad_query(f"{form}{part}.")
        if not re.fullmatch(r"\s*[+-]?\d{1,18}\s*", amount, re.ASCII):
            raise bad_query(f"Requested resource {name} expected positive integer amount. Got: {amount}.")
        if int(amount) < 1:
            raise bad_query(f"Requested resource {name} requires amount >= 1. Got: {int(amount)}.")
        result[name] = int(amount)
    return result


def _traits(version: Version, values: Sequence[str]) -> tuple[tuple[frozenset[str], ...], frozenset[str]]:
    """Sets of traits of each of which one is required, and the forbidden ones. Before 1.39 the last value counts."""
    may_choose = version >= (1, 39)
    required: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for value in values if may_choose else values[-1:]:
        several, never = _trait_list(value, may_forbid=version >= (1, 22), may_choose=may_choose)
        required += several
        forbidden |= never
    return tuple(required), frozenset(forbidden)


def _trait_list(text: str, *, may_forbid: bool, may_choose: bool) -> tuple[list[frozenset[str]], frozenset[str]]:
    if text.startswith("in:"):
        return [_any_of(text, may_choose)], frozenset()
    names = [name.strip() for name in text.split(",")]
    forbidden = frozenset(name.lstrip("!") for name in names if name.startswith("!"))
    form = f"{_BAD} Expected 'required' parameter value of the form: "
    if not all(names) or not all(forbidden):
        shown = "HW_CPU_X86_VMX,!CUSTOM_MAGIC" if may_forbid else "HW_CPU_X86_VMX,CUSTOM_MAGIC"
        raise bad_query(f"{form}{shown}. Got an empty trait in: {text}")
    if forbidden and not may_forbid:
        raise bad_query(f"{form}HW_CPU_X86_VMX,CUSTOM_MAGIC. Got: {text}")
    return [frozenset([name]) for name in names if not name.startswith("!")], forbidden


def _any_of(text: str, may_choose: bool) -> frozenset[str]:
    if not may_choose:
        raise bad_query(f"{_BAD} {_ANY_OF} only supported since microversion 1.39. Got: {text}")
    names = frozenset(name.strip() for name in text.removeprefix("in:").split(","))
    if not all(names):
        raise bad_query(
            f"{_BAD} Expected 'required' parameter value of the form: in:HW_CPU_X86_VMX,CUSTOM_MAGIC. "
            f"Got an empty trait in: {text}"
        )
    if any(name.startswith("!") for name in names):
        raise bad_query(f"{_BAD} {_ANY_OF} does not support forbidden traits. Got: {text}")
    return names


def _aggregates(
    version: Version, values: Sequence[str], suffix: str
) -> tuple[tuple[frozenset[str], ...], frozenset[str]]:
    """Sets of aggregates of each of which one is required, and the forbidden ones."""
    if len(values) > 1 and version < (1, 24):
        raise bad_query(f"Multiple member_of{suffix} parameters are not supported")
    required: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for value in values:
        names, is_forbidden = _aggregate_list(value)
        if not is_forbidden:
            required.append(names)
        elif version < (1, 32):
            raise bad_query(f"Forbidden member_of{suffix} parameters are not supported in the specified microversion")
        else:
            forbidden |= names
    return tuple(required), frozenset(forbidden)


def _aggregate_list(text: str) -> tuple[frozenset[str], bool]:
    is_forbidden, rest = text.startswith("!"), text.removeprefix("!")
    if "," in text and not rest.startswith("in:"):
        raise bad_query(
            "Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword using the valid "
            f"microversion. Got: {text}"
        )
    names = frozenset(rest.removeprefix("in:").split(",")) if rest.startswith("in:") else frozenset([rest])
    for name in sorted(names):
        if not schemas.is_uuid(name):
            raise bad_query(f"{_BAD} Expected 'member_of' parameter to contain valid UUID(s). Got: {name}")
    return names, is_forbidden


def _tree(text: str) -> str:
    if not schemas.is_uuid(text.strip()):
        raise bad_query(f"{_BAD} Expected 'in_tree' parameter to be a format of uuid. Got: {text}")
    return text.strip()
