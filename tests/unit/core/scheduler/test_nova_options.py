"""The options of nova.conf: what they take, and what they do to filters and weighers."""

from __future__ import annotations

from typing import Any

import pytest

from sundog.core.scheduler import DEFAULT_FILTERS, NoValidHost
from sundog.core.scheduler.filters import nova_filters
from sundog.core.scheduler.nova_options import NovaOptions, nova_options, parse_option, settings
from sundog.core.scheduler.policies.nova import Nova
from tests.builders import make_pool, make_request, make_scheduler


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"ram_weight": 1}, "unknown option 'ram_weight'; did you mean 'ram_weight_multiplier'\\?"),
        ({"zzz": 1}, "unknown option 'zzz'; there are host_subset_size, "),
        ({"shuffle_best_same_weighed_hosts": 1}, "it must be true or false"),
        ({"host_subset_size": 0}, "it must be a whole number of 1 or more"),
        ({"max_io_ops_per_host": -1}, "it must be a whole number of 0 or more"),
        ({"ram_weight_multiplier": float("inf")}, "a multiplier is a finite number"),
        ({"pci_weight_multiplier": -1.0}, "Nova takes no negative one here"),
        ({"isolated_hosts": 3}, "it must be a list of texts"),
        ({"isolated_hosts": ["a", 3]}, "it must be a list of texts"),
        ({"image_properties_default_architecture": 3}, "it must be a text"),
        ({"enabled_filters": "ComputeFilte"}, "did you mean ComputeFilter\\? there are Aggregate"),
        ({"enabled_filters": "XXX"}, "enabled_filters has 'XXX'; there are Aggregate"),
        ({"enabled_filters": "NUMATopologyFilter"}, "which is not emulated"),
        ({"available_filters": "nova.scheduler.filters.compute_filter.ComputeFilter"}, "not among available_filters"),
        ({"weight_classes": "RAMWeighr"}, "weight_classes has 'RAMWeighr'; it takes nova.scheduler.weights.all_"),
        ({"metrics_weight_setting": "cpu"}, "has 'cpu'; write name=number"),
        ({"image_props_weight_setting": ["os_distro=much"]}, "has 'os_distro=much'; write name=number"),
    ],
)
def test_what_nova_would_not_take_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Nova(**given)


def test_lists_may_be_written_with_commas() -> None:
    options = nova_options({"enabled_filters": "ComputeFilter, IoOpsFilter,", "isolated_hosts": ["a"]})
    assert options.enabled_filters == ("ComputeFilter", "IoOpsFilter")
    assert options.isolated_hosts == ("a",)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("shuffle_best_same_weighed_hosts", "True", True),
        ("shuffle_best_same_weighed_hosts", "off", False),
        ("host_subset_size", "3", 3),
        ("ram_weight_multiplier", "-1", -1.0),
        ("enabled_filters", "A,B", "A,B"),
        ("image_properties_default_architecture", "x86_64", "x86_64"),
    ],
)
def test_an_option_is_read_as_in_nova_conf(name: str, text: str, value: Any) -> None:
    assert parse_option(name, text) == value


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("shuffle_best_same_weighed_hosts", "maybe", "it must be true or false"),
        ("host_subset_size", "3.5", "it must be a whole number"),
        ("ram_weight_multiplier", "much", "it must be a number"),
    ],
)
def test_a_text_that_is_no_such_value_is_refused(name: str, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_option(name, text)


def test_settings_are_pairs() -> None:
    assert settings(("a=1", "b=-2.5"), "x") == (("a", 1.0), ("b", -2.5))


def test_a_study_with_default_options_keeps_the_schedulers_own_filters() -> None:
    assert Nova().scheduler_filters == DEFAULT_FILTERS
    names = [
        each.name for each in Nova(enabled_filters=["NumInstancesFilter", "AvailabilityZoneFilter"]).scheduler_filters
    ]
    assert "NumInstancesFilter" in names
    assert "ServerGroupAffinityFilter" not in names
    assert names.count("AvailabilityZoneFilter") == 1, "it is applied anyway"


def test_enabled_filters_hold_in_a_study_too() -> None:
    parameters = {"enabled_filters": ["ComputeFilter", "NumInstancesFilter"], "max_instances_per_host": 1}
    scheduler = make_scheduler(make_pool(2), "nova", parameters=parameters)
    found = [scheduler.place(make_request(), consumer) for consumer in range(3)]
    assert [getattr(each, "host", None) for each in found] == ["h0", "h1", None]
    assert isinstance(found[2], NoValidHost)
    assert found[2].reason == "NumInstancesFilter"


def test_enabled_filters_come_in_their_order_after_placements() -> None:
    names = [each.name for each in nova_filters(NovaOptions())]
    assert names[:5] == [
        "CapacityFilter",
        "TraitsFilter",
        "AggregatesFilter",
        "AvailabilityZoneFilter",
        "ResourcesFilter",
    ]
    assert names[-6:-1] == list(NovaOptions().enabled_filters)


def test_weight_classes_name_the_weighers_and_their_order() -> None:
    policy = Nova(weight_classes="nova.scheduler.weights.ram.RAMWeigher,CPUWeigher")
    assert [each.name for each in policy.weighers] == ["RAMWeigher", "CPUWeigher"]
    assert len(Nova().weighers) == 13
