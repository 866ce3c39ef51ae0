"""Nova's own filters and weighers on host facts, by example; ``tests/system`` compares them with the real ones."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from sundog.core.pool import Pool
from sundog.core.scheduler import (
    Details,
    HostView,
    Request,
    Scheduler,
    ServerGroup,
    host_reasons,
    load_policy,
    make_shape,
)
from sundog.core.scheduler.facts import Described, HostFacts
from sundog.core.scheduler.filters import nova_filters
from sundog.core.scheduler.image_properties import canonical
from sundog.core.scheduler.nova_options import nova_options
from sundog.errors import PolicyError, PoolError
from tests.builders import make_pool

DESCRIBED = (
    Described(
        uuid="u0",
        hypervisor_type="QEMU",
        host_ip="10.0.0.7",
        cell="c1",
        cpu_info={"features": ["avx", "sse"], "topology": {"cores": 8}, "maxphysaddr": {"bits": 46}},
        stats={"color": "red"},
        metrics={"cpu.frequency": 100.0, "cpu.percent": 3.0},
        supported_instances=(("x86_64", "kvm", "hvm"), ("x86_64", "qemu", "hvm")),
    ),
    Described(
        hypervisor_type="ironic",
        host_ip="10.0.1.9",
        cell="c2",
        metrics={"cpu.frequency": 200.0},
        supported_instances=(("aarch64", "baremetal", "hvm"),),
    ),
    Described(),
)
METADATA = {
    "fast": {"ssd": "true", "tier": "gold, silver", "instance_type": "big, huge", "max_io_ops_per_host": "2"},
    "ours": {
        "filter_tenant_id": "p1",
        "filter_tenant_id_2": "p2",
        "os_distro": "ubuntu",
        "max_instances_per_host": "1",
    },
    "odd": {"max_io_ops_per_host": "many", "cpu_weight_multiplier": "oops"},
    "turned": {"cpu_weight_multiplier": "-1"},
}


def world() -> tuple[Pool, HostFacts]:
    """Three hosts: h0 in ``fast``, h1 in ``ours`` and ``odd``, h2 in none and of no description."""
    pool, facts = make_pool(3), HostFacts()
    for name, metadata in METADATA.items():
        facts.set_metadata(name, metadata)
    pool.set_aggregates(0, ["fast", "without metadata"])
    pool.set_aggregates(1, ["ours", "odd"])
    for row, described in enumerate(DESCRIBED):
        facts.describe(row, described)
    facts.add(pool.rows, 0, num_io_ops=3, num_instances=2, hypervisor_version=6002000)
    facts.add(pool.rows, 1, num_io_ops=3, num_instances=1, hypervisor_version=2012000, failed_builds=2)
    facts.add_instance(0, "s1", (("os_distro", "ubuntu"),))
    facts.add_instance(1, "s2", (("os_distro", "ubuntu"), ("hw_disk_bus", "scsi")))
    return pool, facts


def request(group: ServerGroup | None = None, force: tuple[str, ...] = (), **details: Any) -> Request:
    if "extra_specs" in details:
        details["extra_specs"] = tuple(sorted(details["extra_specs"].items()))
    if "image" in details:
        details["image_properties"] = canonical(details.pop("image"))
    if "hints" in details:
        details["hints"] = tuple((key, json.dumps(value)) for key, value in details["hints"].items())
    return Request(make_shape({"VCPU": 1}, details=Details(**details)), group, force_hosts=force, id="new")


def passing(name: str, asked: Request, **options: Any) -> tuple[list[int], dict[str, str]]:
    """The hosts that pass with one filter enabled, and the reasons against the others."""
    pool, facts = world()
    filters = nova_filters(nova_options({"enabled_filters": name, **options}))
    scheduler = Scheduler(pool, load_policy("first-fit"), filters=filters, facts=facts)
    _, feasible = scheduler.feasible(asked)
    return np.flatnonzero(feasible).tolist(), host_reasons(scheduler, asked)


SPECS = "AggregateInstanceExtraSpecsFilter"
CASES: list[tuple[str, Request, dict[str, Any], list[int], str]] = [
    (SPECS, request(extra_specs={"ssd": "true"}), {}, [0], "no aggregate of the host has ssd"),
    (SPECS, request(extra_specs={"tier": "s== bronze"}), {}, [], "have tier gold, silver; asked s== bronze"),
    (SPECS, request(extra_specs={"aggregate_instance_extra_specs:tier": "<in> sil"}), {}, [0], "has tier"),
    (SPECS, request(extra_specs={"hw:x": "1"}), {}, [0, 1, 2], ""),
    ("AggregateMultiTenancyIsolation", request(project_id="p2"), {}, [0, 1, 2], ""),
    ("AggregateMultiTenancyIsolation", request(project_id="p3"), {}, [0, 2], "are for p1, p2; the request is of p3"),
    ("AggregateMultiTenancyIsolation", request(), {}, [0, 2], "the request is of no project"),
    ("AggregateTypeAffinityFilter", request(flavor="huge"), {}, [0, 1, 2], ""),
    (
        "AggregateTypeAffinityFilter",
        request(flavor="tiny"),
        {},
        [1, 2],
        "big, huge; the request is of tiny",
    ),
    ("AggregateImagePropertiesIsolation", request(image={"os_distro": "debian"}), {}, [0, 2], "the image has debian"),
    ("AggregateImagePropertiesIsolation", request(image={"os_distro": "ubuntu"}), {}, [0, 1, 2], ""),
    (
        "AggregateImagePropertiesIsolation",
        request(image={"os_distro": "debian"}),
        {"aggregate_image_properties_isolation_namespace": "hw"},
        [0, 1, 2],
        "",
    ),
    ("IoOpsFilter", request(), {"max_io_ops_per_host": 3}, [2], "3 I/O operations under way; max_io_ops_per_host is 3"),
    ("AggregateIoOpsFilter", request(), {}, [1, 2], "max_io_ops_per_host is 2"),
    ("NumInstancesFilter", request(), {"max_instances_per_host": 2}, [1, 2], "2 servers; max_instances_per_host is 2"),
    ("AggregateNumInstancesFilter", request(), {}, [0, 2], "1 servers; max_instances_per_host is 1"),
    ("MetricsFilter", request(), {"metrics_weight_setting": "cpu.percent=1"}, [0], "does not report cpu.percent"),
    ("MetricsFilter", request(), {}, [0, 1, 2], ""),
    ("IsolatedHostsFilter", request(), {"isolated_hosts": "h1,hx"}, [0, 2], "the host is isolated, the image is not"),
    (
        "IsolatedHostsFilter",
        request(),
        {"isolated_hosts": "h1", "restrict_isolated_hosts_to_isolated_images": False},
        [0, 1, 2],
        "",
    ),
    (
        "IsolatedHostsFilter",
        request(image_id="i"),
        {"isolated_hosts": "h1", "isolated_images": "i"},
        [1],
        "the image is isolated, the host is not",
    ),
    (
        "IsolatedHostsFilter",
        request(image_id="j"),
        {"isolated_hosts": "h1", "isolated_images": "i"},
        [0, 2],
        "the host",
    ),
    (
        "IsolatedHostsFilter",
        request(image_id="j"),
        {
            "isolated_hosts": "h1",
            "isolated_images": "i",
            "restrict_isolated_hosts_to_isolated_images": False,
        },
        [0, 1, 2],
        "",
    ),
    ("DifferentHostFilter", request(hints={"different_host": ["s1"]}), {}, [1, 2], "the hint different_host s1"),
    ("SameHostFilter", request(hints={"same_host": ["s1", "s2"]}), {}, [0, 1], "the hint same_host"),
    ("SameHostFilter", request(hints={}), {}, [0, 1, 2], ""),
    ("SimpleCIDRAffinityFilter", request(hints={"build_near_host_ip": "10.0.0.1"}), {}, [0], "build_near_host_ip"),
    (
        "SimpleCIDRAffinityFilter",
        request(hints={"build_near_host_ip": "10.0.0.1", "cidr": "/16"}),
        {},
        [0, 1],
        "cidr /16",
    ),
    ("AllHostsFilter", request(), {}, [0, 1, 2], ""),
    ("AllHostsFilter", request(cell="c2"), {}, [1], "the host is in cell none; asked c2"),
    ("AllHostsFilter", request(cell="c2", cross_cell=True), {}, [0, 1, 2], ""),
]
CAPABILITIES = [
    ({"capabilities:hypervisor_type": "QEMU"}, [0], "hypervisor_type is ironic; asked QEMU"),
    ({"capabilities:cpu_info:features": "<in> avx"}, [0], "cpu_info:features is not known; asked <in> avx"),
    ({"capabilities:cpu_info:topology:cores": ">= 16"}, [], "cpu_info:topology:cores is 8"),
    ({"capabilities:cpu_info:topology:cores:deep": "1"}, [], "is not known"),
    ({"capabilities:hypervisor_type:inside": "1"}, [], "is not known"),
    ({"capabilities:color": "red"}, [0], "color is not known"),
    ({"color": "red"}, [0, 1, 2], ""),  # hosts without such a statistic are not asked
    ({"color": "blue"}, [1, 2], "color is red; asked blue"),
    ({"hw:maxphysaddr_bits": "46"}, [0], "not known"),
    ({"free_ram_mb": ">= 1024"}, [0, 1, 2], ""),
    ({"free_ram_mb": ">= 2000"}, [], "free_ram_mb is 1024; asked >= 2000"),
    ({"capabilities:free_disk_mb": "== 102400"}, [0, 1, 2], ""),
    ({"capabilities:disk_mb_used": "0", "capabilities:total_usable_disk_gb": "100"}, [0, 1, 2], ""),
    ({"capabilities:vcpus_used": "0", "capabilities:vcpus_total": "8"}, [0, 1, 2], ""),
    ({"num_instances": "1"}, [1], "num_instances is 2"),
    ({"host": "h2", "capabilities:ram_allocation_ratio": "1.0"}, [2], "host is h0"),
    ({"capabilities:cpu_allocation_ratio": ">= 1", "capabilities:disk_allocation_ratio": "1.0"}, [0, 1, 2], ""),
    ({"capabilities:odd_allocation_ratio": "1"}, [], "not known"),
    ({"capabilities:uuid": "u0"}, [0], "not known"),
    ({"capabilities:cell_uuid": "c2", "capabilities:num_io_ops": "3"}, [1], "cell_uuid is c1"),
    ({"capabilities:supported_instances": "<in> baremetal"}, [1], "supported_instances is"),
    ({"capabilities:stats:color": "red", "own": "7", "other:key": "x"}, [0], "stats:color"),
]
IMAGES = [
    ({}, {}, [0, 1, 2], ""),
    ({"hw_architecture": "amd64"}, {}, [0], "the host runs aarch64/baremetal/hvm; the image asks x86_64"),
    ({"img_hv_type": "KVM", "hw_vm_mode": "hvm"}, {}, [0], "nothing that is known; the image asks kvm/hvm"),
    ({"hw_vm_mode": "hvm"}, {}, [0, 1], "nothing that is known"),
    (
        {"hw_vm_mode": "hvm", "img_hv_requested_version": ">=6.0"},
        {},
        [0],
        "is 2.12.0; the image asks >=6",
    ),
    ({}, {"image_properties_default_architecture": "aarch64"}, [1], "the image asks aarch64"),
]
QUERIES = [
    ('[">=", "$free_ram_mb", 1024]', [0, 1, 2]),
    ('["and", [">", "$num_instances", 0], ["<", "$num_io_ops", 4, 9]]', [0, 1]),
    ('["or", ["=", "$hypervisor_type", "ironic"], ["<=", "$num_instances", 0]]', [1, 2]),
    ('["not", ["in", "$hypervisor_type", "QEMU", "xen"]]', [1, 2]),
    ('["=", "$stats.color", "red"]', [0]),
    ('["=", "", 1]', []),
    ("[]", [0, 1, 2]),
]


@pytest.mark.parametrize(("name", "asked", "options", "hosts", "says"), CASES)
def test_a_filter_keeps_what_it_says(
    name: str, asked: Request, options: dict[str, Any], hosts: list[int], says: str
) -> None:
    found, reasons = passing(name, asked, **options)
    assert found == hosts
    assert len(reasons) == 3 - len(hosts)
    assert not reasons or any(says in each for each in reasons.values()), reasons


@pytest.mark.parametrize(("specs", "hosts", "says"), CAPABILITIES)
def test_capabilities_are_what_nova_knows_of_a_host(specs: dict[str, str], hosts: list[int], says: str) -> None:
    found, reasons = passing("ComputeCapabilitiesFilter", request(extra_specs=specs))
    assert found == hosts
    assert not reasons or any(says in each for each in reasons.values()), reasons


@pytest.mark.parametrize(("image", "options", "hosts", "says"), IMAGES)
def test_images_go_where_they_run(image: dict[str, str], options: dict[str, Any], hosts: list[int], says: str) -> None:
    found, reasons = passing("ImagePropertiesFilter", request(image=image), **options)
    assert found == hosts
    assert not reasons or any(says in each for each in reasons.values()), reasons


@pytest.mark.parametrize(("query", "hosts"), QUERIES)
def test_a_query_is_true_of_a_host_or_not(query: str, hosts: list[int]) -> None:
    assert passing("JsonFilter", request(hints={"query": query}))[0] == hosts


def test_without_facts_hosts_have_none() -> None:
    filters = nova_filters(
        nova_options({"enabled_filters": f"{SPECS},ComputeCapabilitiesFilter,ImagePropertiesFilter"})
    )
    scheduler = Scheduler(make_pool(2), load_policy("nova"), filters=filters)
    assert scheduler.feasible(request())[1].tolist() == [True, True]
    for asked in (
        request(extra_specs={"ssd": "true"}),
        request(extra_specs={"capabilities:hypervisor_type": "x"}),
        request(image={"hw_vm_mode": "hvm"}),
    ):
        assert not scheduler.feasible(asked)[1].any()
    limits = nova_filters(nova_options({"enabled_filters": "IoOpsFilter,NumInstancesFilter,SameHostFilter"}))
    free = Scheduler(make_pool(2), load_policy("nova"), filters=limits)
    assert free.feasible(request())[1].all()
    assert not free.feasible(request(hints={"same_host": "s1"}))[1].any()


def test_a_forced_host_skips_novas_filters_but_not_placements() -> None:
    forced = request(force=("h1",), forced=True, extra_specs={"ssd": "true"}, hints={"different_host": "s2"})
    assert passing(f"{SPECS},DifferentHostFilter,ComputeFilter", forced)[0] == [1]
    pool, facts = world()
    pool.set_status(1, enabled=False)
    scheduler = Scheduler(pool, load_policy("nova"), filters=nova_filters(nova_options({})), facts=facts)
    assert not scheduler.feasible(forced)[1].any()
    assert host_reasons(scheduler, forced)["h1"] == "ComputeStatusFilter: the host is disabled"


def test_a_group_whose_members_are_elsewhere_has_no_host_here() -> None:
    pool, facts = world()
    scheduler = Scheduler(pool, load_policy("nova"), filters=nova_filters(nova_options({})), facts=facts)
    group = ServerGroup("g", "affinity")
    asked = request(group, group_elsewhere=True)
    assert not scheduler.feasible(asked)[1].any()
    assert "is on hosts that are not here" in host_reasons(scheduler, asked)["h0"]
    scheduler.groups.join("g", 1)
    assert scheduler.feasible(asked)[1].tolist() == [False, True, False]
    assert host_reasons(scheduler, asked)["h0"].endswith("is on h1")


def test_a_server_that_is_on_a_host_already_may_stay_with_its_group() -> None:
    pool, facts = world()
    scheduler = Scheduler(pool, load_policy("nova"), filters=nova_filters(nova_options({})), facts=facts)
    group = ServerGroup("g", "anti-affinity")
    scheduler.groups.join("g", 0)
    scheduler.groups.join("g", 1)
    facts.add_instance(1, "new")
    assert scheduler.feasible(request(group))[1].tolist() == [False, True, True]


def test_a_slow_fact_that_changes_is_seen_at_once() -> None:
    pool, facts = world()
    filters = nova_filters(nova_options({"enabled_filters": SPECS}))
    scheduler = Scheduler(pool, load_policy("nova"), filters=filters, facts=facts)
    asked = request(extra_specs={"ssd": "true"})
    assert scheduler.feasible(asked)[1].tolist() == [True, False, False]
    facts.set_metadata("ours", {"ssd": "true"})
    assert scheduler.feasible(asked)[1].tolist() == [True, True, False]


# ---------------------------------------------------------------- weighers


def parts(asked: Request, **options: Any) -> dict[str, list[float]]:
    pool, facts = world()
    facts.add(pool.rows, 2, pci_devices_free=300)
    facts.add(pool.rows, 1, pci_devices_free=4)
    policy = load_policy("nova", options)
    scheduler = Scheduler(pool, policy, filters=nova_filters(policy.options), facts=facts)
    view = HostView(scheduler.hosts, *scheduler.feasible(asked))
    return {name: part.tolist() for name, part in policy.breakdown(asked, view).items()}


def test_weighers_read_the_facts() -> None:
    found = parts(request(), num_instances_weight_multiplier=2.0)
    assert found["IoOpsWeigher"] == [-1.0, -1.0, 0.0]
    assert found["BuildFailureWeigher"] == [0.0, -1e6, 0.0]
    assert found["HypervisorVersionWeigher"] == [1.0, 2012 / 6002, 0.0]
    assert found["NumInstancesWeigher"] == [2.0, 1.0, 0.0]
    assert found["PCIWeigher"] == [1.0, 95 / 99, 0.0]
    assert found["MetricsWeigher"] == found["CrossCellWeigher"] == [0.0, 0.0, 0.0]


def test_metrics_are_summed_and_a_missing_one_counts_least() -> None:
    wanted = {"metrics_weight_setting": "cpu.frequency=0.5,cpu.percent=-2"}
    assert parts(request(), metrics_required=False, **wanted)["MetricsWeigher"] == [1.0, 0.0, 0.0]
    with pytest.raises(PolicyError, match=r"host h2 reports no metric 'cpu.frequency'; enable MetricsFilter"):
        decide(metrics_weight_setting="cpu.frequency=1")
    found = parts(request(), metrics_required=False, metrics_weight_setting="cpu.percent=0,cpu.frequency=1")
    assert found["MetricsWeigher"] == [10100 / 10200, 1.0, 0.0], "a ratio of 0 does not miss its metric"


def decide(**options: Any) -> None:
    pool, facts = world()
    Scheduler(pool, load_policy("nova", options), facts=facts).decide(request())


def test_image_properties_in_common_are_counted_unless_the_weigher_is_off() -> None:
    asked = request(image={"os_distro": "ubuntu", "hw_disk_bus": "scsi"})
    assert "ImagePropertiesWeigher" not in parts(asked)
    assert parts(asked, image_props_weight_multiplier=3.0)["ImagePropertiesWeigher"] == [1.5, 3.0, 0.0]
    weighed = {"image_props_weight_multiplier": 1.0, "image_props_weight_setting": "hw_disk_bus=4"}
    assert parts(asked, **weighed)["ImagePropertiesWeigher"] == [0.0, 1.0, 0.0]
    assert parts(request(), **weighed)["ImagePropertiesWeigher"] == [0.0, 0.0, 0.0]


def test_a_move_across_cells_prefers_its_own() -> None:
    assert parts(request(cell="c1", cross_cell=True))["CrossCellWeigher"] == [1e6, 0.0, 0.0]


def test_an_aggregate_sets_a_multiplier_for_its_hosts() -> None:
    pool, facts = world()
    policy = load_policy("nova", {"cpu_weight_multiplier": 0.0})
    scheduler = Scheduler(pool, policy, facts=facts)

    def weights() -> list[float]:
        found: list[float] = policy.breakdown(request(), HostView(scheduler.hosts, *scheduler.feasible(request())))[
            "CPUWeigher"
        ].tolist()
        return found

    assert weights() == [0.0, 0.0, 0.0], "what is no number is the option's"
    pool.set_aggregates(2, ["turned"])
    assert weights() == [0.0, 0.0, -1.0]


def test_shuffling_reaches_all_of_the_best_and_no_other() -> None:
    pool = make_pool(5)
    pool.claim(1, [(0, pool.classes.amounts({"VCPU": 1}))])
    scheduler = Scheduler(pool, load_policy("nova", {"shuffle_best_same_weighed_hosts": True}))
    seen = []
    for sequence in range(80):
        scheduler.hosts.sequence = sequence
        view = HostView(scheduler.hosts, *scheduler.feasible(request()))
        order, _ = scheduler.policy.ranked(request(), view)
        assert sorted(order.tolist()) == [0, 1, 2, 3, 4]
        assert order[4] == 0
        assert scheduler.policy.choose(request(), view) == order[0]
        seen.append(order[0])
    assert sorted(set(seen)) == [1, 2, 3, 4]


# ---------------------------------------------------------------- facts


def test_facts_are_kept_by_row_and_forgotten_with_the_host() -> None:
    facts = HostFacts()
    assert facts.column("num_io_ops") is None
    facts.add(2, 1, num_io_ops=2)
    facts.add(4, 3, num_io_ops=5, failed_builds=1)
    assert facts.value("num_io_ops", 1) == 2
    assert facts.value("num_io_ops", 9) == 0
    assert facts.value("vcpus_used", 1) == 0
    with pytest.raises(PoolError, match=r"there is no host fact 'io'; there are vcpus_used"):
        facts.add(4, 3, io=1)
    facts.add_instance(3, "a")
    facts.describe(3, Described(uuid="u"))
    version = facts.version
    facts.forget(3)
    assert facts.version > version
    assert (facts.value("num_io_ops", 3), facts.described(3), dict(facts.instances(3))) == (0, Described(), {})
    assert facts.metadata("none") == {}


def test_a_host_counts_the_flavor_and_not_what_placement_gave() -> None:
    facts = HostFacts()
    details = Details(vcpus=4, memory_mb=2048, disk_gb=20)
    facts.consume(1, 0, details, {"VCPU": 4, "MEMORY_MB": 1024, "DISK_GB": 22})
    columns = ("vcpus_used", "memory_mb_used", "disk_gb_used", "num_io_ops")
    assert [facts.value(name, 0) for name in columns] == [0, 1024, -2, 1]
    facts.consume(1, 0, details, {"VCPU": 4, "MEMORY_MB": 1024, "DISK_GB": 22}, back=True)
    assert [facts.value(name, 0) for name in columns] == [0, 0, 0, 0]
    facts.add_instance(0, "a")
    facts.remove_instance(0, "a")
    assert not facts.instances(0)


def test_forbidden_aggregates_are_refused() -> None:
    pool, facts = world()
    scheduler = Scheduler(pool, load_policy("nova"), facts=facts)
    asked = Request(make_shape({"VCPU": 1}, forbidden_aggregates=["ours", "fast"]))
    assert scheduler.feasible(asked)[1].tolist() == [False, False, True]
    assert host_reasons(scheduler, asked)["h1"] == "AggregatesFilter: the request may not go to aggregate ours"
