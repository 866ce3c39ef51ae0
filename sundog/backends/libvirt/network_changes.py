"""What another wiring of a port closes, of what its filter lets through. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sundog.backends.networks import Rule, WiredPort


def taken_back(before: WiredPort, after: WiredPort) -> frozenset[str] | None:
    """The other ends, as prefixes, that a filter lets through less than it did; None if it only lets through more.

    It is empty where something is closed that hangs on no other end, as the port's own addresses.
    """
    if not before.enabled or (after.enabled and not after.secured and before.mac == after.mac):
        return None
    if not after.enabled or not before.secured:
        return _ends(before.rules)
    gone = _lost(before.rules, after.rules)
    same = before.mac == after.mac and _within(before.addresses, after.addresses) and _within(before.pairs, after.pairs)
    return None if same and not gone else _ends(gone)


def _lost(before: Iterable[Rule], after: Iterable[Rule]) -> list[Rule]:
    """Rules as far as they let through what no rule does after."""
    let = _by_kind(after)
    lost = []
    for kind, ends in _by_kind(before).items():
        still = let.get(kind, frozenset())
        if still is None:
            continue
        left = None if ends is None else ends - still
        if left is None or left:
            lost.append(replace(kind, remotes=None if left is None else tuple(sorted(left))))
    return lost


def _by_kind(rules: Iterable[Rule]) -> dict[Rule, frozenset[str] | None]:
    """The other ends of rules that let the same in from each; None for anybody."""
    found: dict[Rule, frozenset[str] | None] = {}
    for rule in rules:
        kind = replace(rule, remotes=None)
        known = found.get(kind, frozenset())
        found[kind] = None if known is None or rule.remotes is None else known.union(rule.remotes)
    return found


def _ends(rules: Iterable[Rule]) -> frozenset[str]:
    return frozenset(end for rule in rules for end in rule.remotes or ())


def _within(some: Iterable[object], all_of: Iterable[object]) -> bool:
    return set(some) <= set(all_of)
