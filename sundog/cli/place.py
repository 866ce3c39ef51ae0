"""What if: decisions on hosts and requests from files, without a scenario."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sundog.core.scheduler import Policy, load_policy
from sundog.core.scheduler.filters import nova_filters
from sundog.core.scheduler.nova_options import DEFAULTS, FILTER_OPTIONS, NovaOptions, nova_options, parse_option
from sundog.errors import InputError, OutputError
from sundog.scenarios.what_if import Placed, place_all, read_hosts, read_requests

_GROUPS = {"filter_scheduler.": "", "scheduler.": "", "metrics.": "metrics_"}


@dataclass(frozen=True)
class Told:
    """The decisions, and notes on what was left out."""

    decisions: list[Placed]
    notes: tuple[str, ...]

    def text(self) -> str:
        """The file of decisions: JSON, an entry a line as far as there are few words in it."""
        return json.dumps([each.as_dict() for each in self.decisions], indent=2, ensure_ascii=False) + "\n"

    def summary(self) -> str:
        """How many went somewhere."""
        placed = sum(each.host is not None for each in self.decisions)
        return f"{placed:,} of {len(self.decisions):,} placed"


def place_files(
    hosts: Path, requests: Path, policy_name: str, settings: Sequence[str], *, explain: bool, seed: int
) -> Told:
    """The decisions on the requests in one file by a policy, on the hosts in another.

    Raises: InputError for what is wrong in a file or a setting; PolicyError if the policy fails.
    """
    policy, options = _policy(policy_name, settings)
    decisions, notes = place_all(
        read_hosts(hosts), read_requests(requests), policy,
        policy_name=policy_name, options=options, explain=explain, seed=seed,
    )  # fmt: skip
    return Told(decisions, notes)


def write_decisions(told: Told, path: Path) -> None:
    """Write the file whole or not at all; one that is there is replaced.

    Raises: OutputError if it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(told.text(), encoding="utf-8")
        beside.replace(path)
    except OSError as exc:
        beside.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written: {exc.strerror}") from None


def _policy(name: str, settings: Sequence[str]) -> tuple[Policy, NovaOptions]:
    """The policy with its parameters, and the options of Nova that apply to every policy."""
    given: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise InputError(f"--set {setting}: write option=value, such as ram_weight_multiplier=-1")
        group = next((group for group in _GROUPS if key.startswith(group)), "")
        key = _GROUPS.get(group, "") + key.removeprefix(group)
        try:
            given[key] = parse_option(key, text) if key in DEFAULTS else _json(text)
            if key in DEFAULTS:
                nova_options({key: given[key]})
        except ValueError as exc:
            raise InputError(f"--set {setting}: {exc}") from None
    if name == "nova":
        policy = load_policy(name, given)
        return policy, policy.options
    options = {key: value for key, value in given.items() if key in FILTER_OPTIONS}
    policy = load_policy(name, {key: value for key, value in given.items() if key not in options})
    try:
        checked = nova_options(options)
        nova_filters(checked)
    except ValueError as exc:
        raise InputError(f"--set: {exc}") from None
    return policy, checked


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
