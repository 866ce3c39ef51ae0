"""Shapes in their normal form, server groups, and the book of their members."""

from __future__ import annotations

import pytest

from sundog.core.scheduler import Devices, ServerGroup, ServerGroups, make_shape
from sundog.errors import InvariantError, PoolError
from tests.builders import make_pool, make_scheduler


def test_equal_demands_are_equal_shapes_in_whatever_order_they_are_written() -> None:
    one = make_shape(
        {"VCPU": 2, "MEMORY_MB": 4, "DISK_GB": 0},
        required_traits=["B", "A", "A"],
        any_traits=[["D", "C"], ["A"]],
        aggregates=[["y", "x"]],
        name="small",
    )
    other = make_shape(
        {"MEMORY_MB": 4.0, "VCPU": 2.0},
        required_traits=["A", "B"],
        any_traits=[["A"], ["C", "D", "D"]],
        aggregates=[["x", "y"]],
        name="s.1",
    )
    assert one == other
    assert hash(one) == hash(other)


def test_the_order_of_variants_counts_because_the_first_that_fits_is_taken() -> None:
    assert make_shape({}, variants={"A": {"VCPU": 1}, "B": {"VCPU": 2}}) != make_shape(
        {}, variants={"B": {"VCPU": 2}, "A": {"VCPU": 1}}
    )


def test_a_shape_describes_itself_in_a_line() -> None:
    shape = make_shape(
        {"VCPU": 2, "MEMORY_MB": 512}, devices=Devices((("PGPU", 0.5),), 2), variants={"CUSTOM_A": {"VCPU": 1}}
    )
    assert shape.describe() == "512 MEMORY_MB, 2 VCPU, 2 x (0.5 PGPU), on CUSTOM_A: 1 VCPU"
    assert make_shape({}).describe() == "nothing"


@pytest.mark.parametrize(
    ("resources", "count", "says"),
    [
        ((), 1, "devices are asked for that give nothing"),
        ((("PGPU", 0),), 1, "give nothing"),
        ((("PGPU", 1),), 0, "0 devices"),
    ],
)
def test_devices_that_ask_nothing_are_refused(resources: tuple[tuple[str, float], ...], count: int, says: str) -> None:
    with pytest.raises(PoolError, match=says):
        Devices(resources, count)


def test_a_group_has_one_of_novas_policies_and_a_limit_of_one_or_more() -> None:
    with pytest.raises(
        PoolError, match="'near' is not a server group policy; use one of affinity, anti-affinity, soft"
    ):
        ServerGroup("g", "near")  # type: ignore[arg-type]
    with pytest.raises(PoolError, match="max_server_per_host of group g is 0; it must be 1 or more"):
        ServerGroup("g", "anti-affinity", 0)


def test_members_join_and_leave_and_an_empty_group_is_forgotten() -> None:
    groups = ServerGroups()
    groups.join("g", 3)
    groups.join("g", 3)
    groups.join("g", 5)
    assert groups.members("g") == {3: 2, 5: 1}
    groups.leave("g", 3)
    groups.leave("g", 5)
    assert groups.members("g") == {3: 1}
    groups.leave("g", 3)
    assert groups.members("g") == {}
    assert groups.members("other") == {}


@pytest.mark.parametrize("row", [4, 3])
def test_a_member_that_is_not_there_cannot_leave(row: int) -> None:
    groups = ServerGroups()
    groups.join("g", 3)
    groups.leave("g", 3)
    groups.join("g", 7)
    with pytest.raises(InvariantError, match=f"server group g has no member on row {row}"):
        groups.leave("g", row)


def test_members_on_a_host_that_is_gone_are_an_error_not_a_member_elsewhere() -> None:
    pool = make_pool(3)
    scheduler = make_scheduler(pool)
    scheduler.groups.join("g", 1)
    assert scheduler.hosts.members("g").tolist() == [0, 1, 0]
    pool.remove_provider(1)
    scheduler.hosts.refresh()
    with pytest.raises(InvariantError, match="server group g has members on row 1, which holds no host"):
        scheduler.hosts.members("g")
