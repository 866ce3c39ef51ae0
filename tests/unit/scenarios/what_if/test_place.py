"""Requests from a file on hosts from a file: what is used up, and what Placement is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sundog.core.scheduler import load_policy
from sundog.errors import InputError
from sundog.scenarios.what_if import place_all, read_hosts, read_requests
from sundog.scenarios.what_if.decide import open_desk
from tests.unit.scenarios.what_if.entries import files, host, placed, server, where


def agg(name: str, **metadata: str) -> dict[str, Any]:
    return {"name": name, "metadata": {key.replace("__", ":"): value for key, value in metadata.items()}}


def test_a_server_uses_up_its_host_before_the_next_one(tmp_path: Path) -> None:
    found = placed(tmp_path, [host("a"), host("b")], [server(n) for n in range(4)])
    assert where(found) == ["a", "b", "a", "b"]
    assert found[0].weight == 3.0, "equal hosts have 1 each for vCPUs, memory and disk; nothing is under way yet"
    assert found[0].alternates == ("b",)
    # b has all that a had, and a has one I/O operation.
    assert found[1].weight == 3.0
    assert found[1].breakdown is not None
    assert found[1].breakdown["IoOpsWeigher"] == 0.0


def test_every_figure_of_a_host_moves_as_novas_does(tmp_path: Path) -> None:
    requests = [server(1, ephemeral_gb=5, swap_mb=1025, extra_specs={"resources:MEMORY_MB": "512"})]
    first, second = files(tmp_path, [host("a", vcpus_used=2, num_instances=4, num_io_ops=1)], requests)
    desk = open_desk(read_hosts(first), load_policy("nova"))
    desk.place(read_requests(second), 0)
    pool, facts = desk.cloud.pool, desk.cloud.facts
    assert pool.classes.values(enumerate(pool.used[:, 0].tolist())) == {"VCPU": 3, "MEMORY_MB": 512, "DISK_GB": 17}
    assert (facts.value("memory_mb_used", 0), facts.value("disk_gb_used", 0)) == (512, -2), "no swap, all the memory"
    assert facts.value("num_io_ops", 0) == 2
    assert int(pool.claims[0]) + facts.value("num_instances", 0) == 5


def test_a_host_may_have_used_more_than_it_has(tmp_path: Path) -> None:
    found = placed(tmp_path, [host("a", memory_mb_used=20000), host("b", memory_mb_used=15000)], [server(1)])
    assert where(found) == ["b"]
    assert found[0].filtered == {"ResourcesFilter": 1}
    assert found[0].reasons == {"a": "ResourcesFilter: -3616 MEMORY_MB free, asked 1024"}
    assert found[0].weight == 0.0, "the only feasible host is not weighed"


def test_capacity_is_the_total_times_the_ratio_rounded_down(tmp_path: Path) -> None:
    hosts = [host("a", vcpus=3, cpu_allocation_ratio=1.5)]
    assert where(placed(tmp_path, hosts, [server(1, vcpus=4)])) == ["a"]
    assert placed(tmp_path, hosts, [server(1, vcpus=5)])[0].filtered == {"CapacityFilter": 1}


def test_a_request_that_fits_nowhere_is_told_so(tmp_path: Path) -> None:
    (found,) = placed(tmp_path, [], [server("x")])
    assert found.as_dict() == {
        "id": "x", "host": None, "weight": None, "alternates": [], "filtered": {}, "reasons": {}, "breakdown": {},
    }  # fmt: skip


def test_zones_are_those_of_hosts_or_of_their_aggregates(tmp_path: Path) -> None:
    hosts = [host("a", zone="z1"), host("b", aggregates=[agg("x", availability_zone="z2")]), host("c")]
    zones = ["z1", "z2", "z3", "nova"]
    assert where(placed(tmp_path, hosts, [server(zone, zone=zone) for zone in zones])) == ["a", "b", None, "c"]
    assert where(placed(tmp_path, [host("d", zone="z1"), host("e", zone="nova")], [server(1, zone="nova")])) == ["e"]


def test_aggregates_of_one_name_and_other_metadata_are_two(tmp_path: Path) -> None:
    hosts = [host("a", aggregates=[agg("x", ssd="false")]), host("b", aggregates=[agg("x", ssd="true")])]
    filters = "AggregateInstanceExtraSpecsFilter"
    assert where(placed(tmp_path, hosts, [server(1, extra_specs={"ssd": True})], enabled_filters=filters)) == ["b"]


def test_groups_remember_who_was_placed(tmp_path: Path) -> None:
    hosts = [host("a"), host("b"), host("c")]
    apart = [server(n, group={"id": "g", "policy": "anti-affinity", "hosts": ["a"]}) for n in range(3)]
    assert where(placed(tmp_path, hosts, apart)) == ["b", "c", None]
    two = [{**each, "group": {**each["group"], "rules": {"max_server_per_host": 2}}} for each in apart]
    assert where(placed(tmp_path, hosts, [*two, *({**each, "id": each["id"] + 9} for each in two)])).count("a") == 1
    together = [server(n, group={"id": "t", "policy": "affinity"}) for n in range(3)]
    assert where(placed(tmp_path, hosts, together)) == ["a", "a", "a"]
    away = [server(1, group={"id": "t", "policy": "affinity", "hosts": ["gone"]})]
    assert where(placed(tmp_path, hosts, away)) == [None]


def test_members_may_be_given_as_servers(tmp_path: Path) -> None:
    hosts = [host("a", instances=["s1", {"id": "s2"}]), host("b", instances=["s3"]), host("c", num_instances=9)]
    group = {"id": "g", "policy": "soft-affinity", "members": ["s1", "s2", "s3", "gone"]}
    requests = [server(1, group=group), server(2, group=group)]
    found = placed(tmp_path, hosts, requests, soft_affinity_weight_multiplier=10.0)
    assert where(found) == ["a", "a"]
    assert found[0].breakdown is not None
    assert found[0].breakdown["ServerGroupSoftAffinityWeigher"] == 10.0


def test_hosts_are_ignored_and_forced_in_any_case_of_letters(tmp_path: Path) -> None:
    hosts = [host("A1"), host("b2", enabled=False)]
    requests = [
        server(1, ignore_hosts=["a1", "nobody"]),
        server(2, force_hosts=["a1", "b2"], extra_specs={"capabilities:hypervisor_type": "x"}),
        server(3, force_hosts=["b2"]),
        server(4, force_hosts=["nobody"]),
        server(5, extra_specs={"capabilities:hypervisor_type": "x"}),
    ]
    found = placed(tmp_path, hosts, requests)
    assert where(found) == [None, "A1", None, None, None]
    assert found[0].filtered == {"IgnoredHostsFilter": 1, "ComputeFilter": 1}
    assert found[2].filtered == {"ForcedHostsFilter": 1, "ComputeStatusFilter": 1}


def test_placement_is_asked_what_flavor_and_image_say(tmp_path: Path) -> None:
    hosts = [
        host("a", traits=["CUSTOM_A"]),
        host("b", traits=["CUSTOM_B"], inventories={"CUSTOM_FPGA": {"total": 2, "used": 1}}),
        host("c", traits=["HW_ARCH_X86_64", "COMPUTE_IMAGE_TYPE_QCOW2"]),
    ]
    requests = [
        server(1, extra_specs={"trait:CUSTOM_B": "required"}),
        server(2, extra_specs={"resources:CUSTOM_FPGA": 1}),
        server(3, extra_specs={"resources1:CUSTOM_FPGA": 1}),
        server(4, image_properties={"trait:CUSTOM_A": "required"}),
        server(5, required_traits=["CUSTOM_A"], forbidden_traits=["CUSTOM_A"]),
        server(6, vcpus=99, extra_specs={"resources:VCPU": 0}, forbidden_traits=["CUSTOM_A", "CUSTOM_B"]),
        server(7, root_gb=999, boot_from_volume=True, required_traits=["CUSTOM_A"]),
        server(8, extra_specs={"resources:PCPU": 1}),
    ]
    assert where(placed(tmp_path, hosts, requests)) == ["b", "b", None, "a", None, "c", "a", None]
    image = {"image_properties": {"hw_architecture": "amd64"}, "image_disk_format": "qcow2"}
    unfiltered = {"enabled_filters": "ComputeFilter"}
    prefilters = {"image_metadata_prefilter": True, "query_placement_for_image_type_support": True}
    assert where(placed(tmp_path, hosts, [server(1, **image)], **unfiltered, **prefilters)) == ["c"]
    odd = {"image_properties": {"hw_architecture": "amd64", "hw_disk_bus": "teleport"}}
    assert where(placed(tmp_path, hosts, [server(1, **odd)], **unfiltered, **prefilters)) == ["a"]


def test_prefilters_read_the_metadata_of_aggregates(tmp_path: Path) -> None:
    hosts = [
        host("a", aggregates=[agg("x", filter_tenant_id="p1"), agg("t", trait__CUSTOM_A="required")]),
        host("b", aggregates=[agg("y", filter_tenant_id_3="p2")]),
    ]
    requests = [server(1, project_id="p1"), server(2, project_id="p2"), server(3, project_id="p3")]
    limited = {"limit_tenants_to_placement_aggregate": True}
    assert where(placed(tmp_path, hosts, requests, **limited)) == ["a", "b", "a"]
    required = {"placement_aggregate_required_for_tenants": True}
    assert where(placed(tmp_path, hosts, requests, **limited, **required)) == ["a", "b", None]
    isolated = {"enable_isolated_aggregate_filtering": True}
    assert where(placed(tmp_path, hosts, [server(1)], **isolated)) == ["b"]
    own = [server(1, extra_specs={"trait:CUSTOM_A": "required"})]
    inside = host("c", traits=["CUSTOM_A"], aggregates=hosts[0]["aggregates"])
    assert where(placed(tmp_path, [inside], own, **isolated)) == ["c"]


def test_what_is_not_emulated_is_said(tmp_path: Path) -> None:
    first, second = files(tmp_path, [host("a")], [server(1, extra_specs={"hw:mem_encryption": "true"})])
    _, notes = place_all(read_hosts(first), read_requests(second), load_policy("nova"))
    assert notes == ("extra spec hw:mem_encryption is not emulated; it was left out",)


def test_images_run_where_the_type_of_hypervisor_says_if_nothing_else_does(tmp_path: Path) -> None:
    hosts = [host("n"), host("q", hypervisor_type="QEMU"), host("i", hypervisor_type="ironic", supported_instances=[])]
    asked = [server(1, image_properties={"img_hv_type": "kvm", "hw_architecture": "x86_64"})]
    found = placed(tmp_path, hosts, asked)
    assert where(found) == ["q"]
    arm = [host("r", hypervisor_type="QEMU", hypervisor_version="6.2.0", cpu_info={"arch": "aarch64"})]
    wanted = {"hw_architecture": "aarch64", "img_hv_requested_version": ">=6.2"}
    assert where(placed(tmp_path, arm, [server(1, image_properties=wanted)])) == ["r"]


# ---------------------------------------------------------------- several at once


def test_servers_of_one_request_go_together_or_not_at_all(tmp_path: Path) -> None:
    hosts = [host("a", vcpus=2), host("b", vcpus=3)]
    group = {"id": "g", "policy": "soft-affinity"}
    found = placed(
        tmp_path, hosts, [server("w", num_instances=6, group=group), server("x", num_instances=5), server(3)]
    )
    assert [each.id for each in found[:6]] == [f"w-{n}" for n in range(1, 7)]
    assert where(found[:6]) == [None] * 6
    assert sorted(str(each.host) for each in found[6:11]) == ["a", "a", "b", "b", "b"], "nothing of it was left behind"
    assert where(found[11:]) == [None]


def test_alternates_are_told_after_all_of_them_were_placed(tmp_path: Path) -> None:
    hosts = [host(name, cell=cell) for name, cell in zip("abcde", "11112", strict=True)]
    found = placed(tmp_path, hosts, [server("w", num_instances=2)], max_attempts=5)
    assert [(each.host, each.alternates) for each in found] == [("a", ("c", "d")), ("b", ("c", "d"))]
    assert placed(tmp_path, hosts, [server("w")], max_attempts=1)[0].alternates == ()


def test_further_servers_are_not_filtered_again_but_by_what_changes(tmp_path: Path) -> None:
    hosts = [host("a"), host("b")]
    found = placed(
        tmp_path, hosts, [server("w", num_instances=2)], enabled_filters="IoOpsFilter", max_io_ops_per_host=1
    )
    assert where(found) == ["a", "b"]
    assert found[1].filtered == {"IoOpsFilter": 1}
    assert found[1].reasons == {"a": "IoOpsFilter: the host has 1 I/O operations under way; max_io_ops_per_host is 1"}


# ---------------------------------------------------------------- other policies


@pytest.mark.parametrize("policy", ["best-fit", "first-fit", "random", "round-robin"])
def test_any_policy_places_on_the_same_hosts(tmp_path: Path, policy: str) -> None:
    hosts = [host("a", enabled=False), host("b"), host("c"), host("d")]
    found = placed(tmp_path, hosts, [server(1), server(2), server("w", num_instances=3), server(9, vcpus=99)], policy)
    assert {each.host for each in found[:-1]} <= {"b", "c", "d"}
    assert found[-1].host is None
    assert all(len({each.host, *each.alternates}) == 3 for each in found[:2])
    assert (found[0].weight is None) == (policy != "best-fit")
    again = placed(tmp_path, hosts, [server(1), server(2), server("w", num_instances=3), server(9, vcpus=99)], policy)
    assert found == again


def test_dice_depend_on_the_seed(tmp_path: Path) -> None:
    hosts, requests = [host(f"h{n}") for n in range(8)], [server(n) for n in range(8)]

    def run(seed: int) -> list[str | None]:
        return where(placed(tmp_path, hosts, requests, host_subset_size=8, seed=seed))

    assert run(1) == run(1) != run(2)


# ---------------------------------------------------------------- what Nova or Placement would not take


@pytest.mark.parametrize(
    ("requests", "says"),
    [
        ([server(1, extra_specs={"resources:VCPU": "x"})], r"\[0\].extra_specs: resources:VCPU is 'x'"),
        ([server(1, extra_specs={"resources:GPU": "1"})], "'GPU' is not a resource class"),
        (
            [server(1, extra_specs={"resources1:VCPU": "1", "resources2:VCPU": "1"})],
            "group_policy is missing, and Placement refuses",
        ),
        (
            [server(1, extra_specs={"resources1:VCPU": "1", "trait2:X": "required", "group_policy": "isolate"})],
            "group_policy asks for several providers",
        ),
        (
            [server(1, scheduler_hints={"query": ["{}"]})],
            r"\[0\].scheduler_hints.query: must be a text, and that a JSON",
        ),
        ([server(1, scheduler_hints={"query": 7})], "must be a text"),
    ],
)
def test_a_request_that_would_be_refused_is_an_error_in_the_file(tmp_path: Path, requests: Any, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        placed(tmp_path, [host("a")], requests)
    assert caught.value.line is not None


@pytest.mark.parametrize(
    ("inventories", "says"),
    [({"GPU": {"total": 1}}, "'GPU' is not a resource class"), ({"VCPU": {"total": 1}}, "the host's own field vcpus")],
)
def test_an_inventory_that_cannot_be_is_an_error_in_the_file(tmp_path: Path, inventories: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        placed(tmp_path, [host("a", inventories=inventories)], [])
