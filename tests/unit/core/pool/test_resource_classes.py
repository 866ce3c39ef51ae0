"""Resource classes: names, scales, and amounts that must be whole units."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sundog.core.pool import ResourceClass, ResourceClasses
from sundog.errors import PoolError


@pytest.mark.parametrize("name", ["VCPU", "PCPU", "VGPU", "PGPU", "CUSTOM_FPGA", "CUSTOM_1_A", "CUSTOM_" + "X" * 248])
def test_standard_and_custom_names_are_taken(name: str) -> None:
    assert ResourceClass(name).name == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("VCPUS", "did you mean VCPU?"),
        ("MEMORY", "did you mean MEMORY_MB?"),
        ("CUSTOM_fpga", "is not a resource class"),
        ("CUSTOM_", "a class of your own is named CUSTOM_ and A-Z, 0-9, _"),
        ("CUSTOM_" + "X" * 249, "is not a resource class"),
        ("zzz", "a class of your own"),
    ],
)
def test_another_name_is_refused_with_a_hint(name: str, says: str) -> None:
    with pytest.raises(PoolError, match=says):
        ResourceClass(name)


def test_a_scale_below_one_is_refused() -> None:
    with pytest.raises(PoolError, match="scale 0 of VCPU is below 1"):
        ResourceClass("VCPU", 0)


def test_half_a_vcpu_at_scale_1000_is_500_units_and_back() -> None:
    vcpu = ResourceClass("VCPU", 1000)
    assert vcpu.units(0.5) == 500
    assert vcpu.value(500) == 0.5
    assert ResourceClass("VCPU").value(7) == 7


def test_a_float_that_is_only_nearly_whole_is_the_whole() -> None:
    assert ResourceClass("VCPU", 10).units(0.1 + 0.2) == 3
    assert ResourceClass("VCPU", 100).units(1.1) == 110


@pytest.mark.parametrize(("scale", "value"), [(1, 0.5), (1000, 0.0005), (10, 0.25), (1, 1e-6)])
def test_an_amount_that_is_no_whole_number_of_units_is_refused_not_truncated(scale: int, value: float) -> None:
    with pytest.raises(PoolError, match=f"not a whole number of 1/{scale} VCPU; declare the class with a larger scale"):
        ResourceClass("VCPU", scale).units(value)


@pytest.mark.parametrize("value", [-1, -0.5, math.inf, -math.inf, math.nan])
def test_a_negative_or_infinite_amount_is_refused(value: float) -> None:
    with pytest.raises(PoolError, match="must be a finite number, 0 or more"):
        ResourceClass("VCPU").units(value)


@pytest.mark.parametrize(("scale", "value"), [(1, 1e19), (1000, 1e16), (10, 1e308), (1, 10**400)])
def test_an_amount_beyond_64_bits_is_refused(scale: int, value: float) -> None:
    with pytest.raises(PoolError, match="more than can be counted"):
        ResourceClass("VCPU", scale).units(value)


@given(st.integers(0, 2**52), st.sampled_from([1, 4, 10, 1000, 10**6]))
def test_units_and_values_are_inverse(units: int, scale: int) -> None:
    item = ResourceClass("VCPU", scale)
    assert item.units(item.value(units)) == units


def test_classes_keep_their_columns_and_take_new_ones() -> None:
    classes = ResourceClasses()
    assert [item.name for item in classes] == ["VCPU", "MEMORY_MB", "DISK_GB"]
    assert classes.add("CUSTOM_FPGA") == 3
    assert classes.add("VCPU") == 0
    assert len(classes) == 4
    assert "CUSTOM_FPGA" in classes
    assert "PCPU" not in classes
    assert classes[3] == classes["CUSTOM_FPGA"] == ResourceClass("CUSTOM_FPGA")


def test_a_class_cannot_be_added_again_with_another_scale() -> None:
    classes = ResourceClasses([ResourceClass("VCPU", 10)])
    with pytest.raises(PoolError, match="VCPU already counts in 1/10, not in 1/1000"):
        classes.add(ResourceClass("VCPU", 1000))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("MEMORY", "no resource class 'MEMORY'; did you mean MEMORY_MB\\? it has VCPU, MEMORY_MB, DISK_GB"),
        ("zzz", "no resource class 'zzz'; it has VCPU"),
    ],
)
def test_an_unknown_class_is_named_with_the_nearest_and_those_there_are(name: str, says: str) -> None:
    with pytest.raises(PoolError, match=says):
        ResourceClasses().column(name)


def test_amounts_are_by_column_without_zeros() -> None:
    classes = ResourceClasses([ResourceClass("MEMORY_MB"), ResourceClass("VCPU", 2), ResourceClass("DISK_GB")])
    amounts = classes.amounts({"VCPU": 1.5, "DISK_GB": 0, "MEMORY_MB": 64})
    assert amounts == ((0, 64), (1, 3))
    assert classes.values(amounts) == {"MEMORY_MB": 64, "VCPU": 1.5}
