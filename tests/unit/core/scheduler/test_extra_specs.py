"""Extra specs: the operators of their values, what they ask of Placement, and image properties."""

from __future__ import annotations

import pytest

from sundog.core.scheduler.extra_specs import asked_of_placement, match
from sundog.core.scheduler.filters.capabilities import satisfies
from sundog.core.scheduler.image_properties import canonical, required_traits


@pytest.mark.parametrize(
    ("value", "wanted", "matches"),
    [
        ("true", "true", True),
        ("true", "True", False),
        ("true", " true", False),  # without an operator the texts must be the same
        ("", "", True),
        ("5", "= 4", True),  # "=" is at least, as in Nova
        ("3", "= 4", False),
        ("4", "== 4.0", True),
        ("4", "!= 4", False),
        ("4", ">= 4", True),
        ("4", "<= 3", False),
        ("ten", ">= 3", False),
        ("4", ">=", False),
        ("4", ">= four", False),
        ("b", "s> a", True),
        ("b", "s>= c", False),
        ("10", "s< 9", True),  # as texts
        ("a", "s<= a", True),
        ("a", "s== a", True),
        ("a", "s!= a", False),
        ("a", "s==", False),
        ("avx2 sse", "<in> avx", True),
        ("sse", "<in> avx", False),
        ("avx sse", "<all-in> avx sse", True),
        ("avx", "<all-in> avx sse", False),
        ("avx", "<all-in>", False),
        ("b", "<or> a <or> b", True),
        ("<or>", "<or> a <or> b", False),
        ("c", "<or> a <or> b", False),
        ("c", "<or>", False),
        ("<not> a", "<not> a", True),
    ],
)
def test_an_extra_spec_matches_as_in_nova(value: str, wanted: str, matches: bool) -> None:
    assert match(value, wanted) is matches


def test_extra_specs_ask_placement_for_resources_and_traits() -> None:
    asked = asked_of_placement(
        {
            "resources:VCPU": "2",
            "resources1:CUSTOM_GPU": "1",
            "resources_b:CUSTOM_GPU": " 3 ",
            "trait:CUSTOM_A": "required",
            "trait1:CUSTOM_B": "forbidden",
            "trait:CUSTOM_C": "preferred",
            "group_policy": "none",
            "hw:cpu_policy": "shared",
            "quota:vif": "1",
        }
    )
    assert asked.resources == {"VCPU": 2, "CUSTOM_GPU": 4}
    assert (asked.required, asked.forbidden) == (["CUSTOM_A"], ["CUSTOM_B"])
    assert (asked.suffixes, asked.group_policy) == (("1", "_b"), "none")
    assert asked_of_placement({"group_policy": "scatter"}).group_policy is None


@pytest.mark.parametrize("amount", ["-1", "1.5", "many", ""])
def test_an_amount_that_is_no_whole_number_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match=r"resources:VCPU is .*; it must be a whole number of 0 or more"):
        asked_of_placement({"resources:VCPU": amount})


def test_image_properties_are_written_in_one_way_and_unknown_ones_dropped() -> None:
    given = {
        "hw_architecture": "AMD64",
        "hypervisor_type": "XAPI",
        "hw_vm_mode": "HV",
        "hw_boot_menu": "yes",
        "hw_pmu": "no",
        "hw_cpu_cores": "04",
        "hw_video_ram": "lots",
        "hw_emulation_architecture": "i386",
        "os_distro": "Ubuntu",
        "own_property": "x",
    }
    assert dict(canonical(given)) == {
        "hw_architecture": "x86_64",
        "img_hv_type": "xen",
        "hw_vm_mode": "hvm",
        "hw_boot_menu": "True",
        "hw_pmu": "False",
        "hw_cpu_cores": "4",
        "hw_video_ram": "lots",
        "hw_emulation_architecture": "i686",
        "os_distro": "Ubuntu",
    }


def test_the_present_name_of_an_image_property_wins_over_an_old_one() -> None:
    assert canonical({"vm_mode": "xen", "hw_vm_mode": "hvm"}) == (("hw_vm_mode", "hvm"),)


def test_an_image_requires_the_traits_that_are_required() -> None:
    given = {"trait:CUSTOM_A": "required", "trait:CUSTOM_B": "no", "os_distro": "x"}
    assert required_traits(given) == ["CUSTOM_A"]
    assert dict(canonical(given))["traits_required"] == "['CUSTOM_A']"


@pytest.mark.parametrize(
    ("version", "predicate", "is_so"),
    [
        (6002000, ">=6.0", True),
        (6002000, ">=6.2,<6.3", True),
        (6002000, ">6.2", False),
        (6002000, "==6.2", True),
        (6002000, "!=6.2.0", False),
        (2012000, "<2.9", False),
        (2012000, "<=2.12.0", True),
        (2012000, "about 2", False),
    ],
)
def test_a_hypervisor_version_satisfies_a_predicate(version: int, predicate: str, is_so: bool) -> None:
    assert satisfies(version, predicate) is is_so
