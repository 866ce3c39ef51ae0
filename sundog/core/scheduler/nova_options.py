"""The options of ``nova.conf`` that the scheduler reads, by their own names, with Nova's defaults (Nova 34, 2026.2).

Source: ``nova.conf.scheduler`` (groups ``[filter_scheduler]``, ``[scheduler]`` and ``[metrics]``; the options of the
last have ``metrics_`` before their names here, as Nova has it for the key of aggregates).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

ALL_FILTERS: Final = "nova.scheduler.filters.all_filters"
ALL_WEIGHERS: Final = "nova.scheduler.weights.all_weighers"
DEFAULT_ENABLED: Final = (
    "ComputeFilter",
    "ComputeCapabilitiesFilter",
    "ImagePropertiesFilter",
    "ServerGroupAntiAffinityFilter",
    "ServerGroupAffinityFilter",
)
_NOT_NEGATIVE: Final = (
    "pci_weight_multiplier",
    "soft_affinity_weight_multiplier",
    "soft_anti_affinity_weight_multiplier",
)
_LEAST: Final = {"host_subset_size": 1, "max_io_ops_per_host": 0, "max_instances_per_host": 1, "max_attempts": 1}


@dataclass(frozen=True, slots=True)
class NovaOptions:
    """What an operator can say in ``nova.conf``. Make it with :func:`nova_options`, which checks."""

    host_subset_size: int = 1
    shuffle_best_same_weighed_hosts: bool = False
    available_filters: tuple[str, ...] = (ALL_FILTERS,)
    enabled_filters: tuple[str, ...] = DEFAULT_ENABLED
    weight_classes: tuple[str, ...] = (ALL_WEIGHERS,)
    ram_weight_multiplier: float = 1.0
    cpu_weight_multiplier: float = 1.0
    disk_weight_multiplier: float = 1.0
    io_ops_weight_multiplier: float = -1.0
    num_instances_weight_multiplier: float = 0.0
    build_failure_weight_multiplier: float = 1000000.0
    hypervisor_version_weight_multiplier: float = 1.0
    soft_affinity_weight_multiplier: float = 1.0
    soft_anti_affinity_weight_multiplier: float = 1.0
    pci_weight_multiplier: float = 1.0
    image_props_weight_multiplier: float = 0.0
    image_props_weight_setting: tuple[str, ...] = ()
    cross_cell_move_weight_multiplier: float = 1000000.0
    metrics_weight_multiplier: float = 1.0
    metrics_weight_setting: tuple[str, ...] = ()
    metrics_required: bool = True
    metrics_weight_of_unavailable: float = -10000.0
    max_io_ops_per_host: int = 8
    max_instances_per_host: int = 50
    isolated_images: tuple[str, ...] = ()
    isolated_hosts: tuple[str, ...] = ()
    restrict_isolated_hosts_to_isolated_images: bool = True
    aggregate_image_properties_isolation_namespace: str | None = None
    aggregate_image_properties_isolation_separator: str = "."
    image_properties_default_architecture: str | None = None
    track_instance_changes: bool = True
    pci_in_placement: bool = False
    max_attempts: int = 3
    limit_tenants_to_placement_aggregate: bool = False
    placement_aggregate_required_for_tenants: bool = False
    enable_isolated_aggregate_filtering: bool = False
    query_placement_for_image_type_support: bool = False
    image_metadata_prefilter: bool = False


DEFAULTS: Final[Mapping[str, Any]] = {each.name: getattr(NovaOptions(), each.name) for each in fields(NovaOptions)}

FILTER_OPTIONS: Final = (
    "available_filters",
    "enabled_filters",
    "max_io_ops_per_host",
    "max_instances_per_host",
    "isolated_images",
    "isolated_hosts",
    "restrict_isolated_hosts_to_isolated_images",
    "aggregate_image_properties_isolation_namespace",
    "aggregate_image_properties_isolation_separator",
    "image_properties_default_architecture",
    "track_instance_changes",
    "pci_in_placement",
    "max_attempts",
    "limit_tenants_to_placement_aggregate",
    "placement_aggregate_required_for_tenants",
    "enable_isolated_aggregate_filtering",
    "query_placement_for_image_type_support",
    "image_metadata_prefilter",
)
"""Those that say which hosts are feasible, or what is told beside the choice; they apply to every policy."""


def nova_options(given: Mapping[str, Any]) -> NovaOptions:
    """The options with ``given`` in place of the defaults; a list may be one text, comma-separated.

    Raises: ValueError for an unknown option, or a value that Nova would not take.
    """
    checked = {}
    for name, value in given.items():
        if name not in DEFAULTS:
            near = difflib.get_close_matches(name, DEFAULTS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(DEFAULTS)}"
            raise ValueError(f"unknown option {name!r}; {hint}")
        checked[name] = _checked(name, value)
    return NovaOptions(**checked)


def parse_option(name: str, text: str) -> Any:
    """The value of an option as it is written in ``nova.conf``: ``true``, ``-1.0``, ``a,b``.

    Raises: ValueError for a text that is no such value.
    """
    default = DEFAULTS.get(name)
    if isinstance(default, bool):
        truths = {
            "true": True,
            "1": True,
            "on": True,
            "yes": True,
            "false": False,
            "0": False,
            "off": False,
            "no": False,
        }
        if text.strip().lower() not in truths:
            raise ValueError(f"{name} is {text!r}; it must be true or false")
        return truths[text.strip().lower()]
    try:
        if isinstance(default, int):
            return int(text)
        if isinstance(default, float):
            return float(text)
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise ValueError(f"{name} is {text!r}; it must be {kind}") from None
    return text


def _checked(name: str, value: Any) -> Any:
    default = DEFAULTS[name]
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{name} is {value!r}; it must be true or false")
    elif isinstance(default, int):
        least = _LEAST[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} is {value!r}; it must be a whole number of {least} or more")
    elif isinstance(default, float):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{name} is {value!r}; a multiplier is a finite number")
        if value < 0 and name in _NOT_NEGATIVE:
            raise ValueError(f"{name} is {value!r}; Nova takes no negative one here")
        value = float(value)
    elif isinstance(default, tuple):
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or not all(isinstance(each, str) for each in parts):
            raise ValueError(f"{name} is {value!r}; it must be a list of texts")
        value = tuple(each.strip() for each in parts if each.strip())
    elif value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}; it must be a text")
    return value


def settings(texts: tuple[str, ...], name: str) -> tuple[tuple[str, float], ...]:
    """``name=ratio`` pairs of a setting.

    Raises: ValueError for one that is not. (Nova leaves it out and writes a warning.)
    """
    pairs = []
    for text in texts:
        key, equals, ratio = text.partition("=")
        try:
            pairs.append((key, float(ratio)))
        except ValueError:
            equals = ""
        if not (key and equals):
            raise ValueError(f"{name} has {text!r}; write name=number, such as cpu.frequency=1.0")
    return tuple(pairs)
