"""Switching a machine off through a BMC that takes its time, or never does it; in virtual time."""

from __future__ import annotations

import pytest
import sushy

from sundog.backends.libvirt.redfish import is_same, switch_off
from sundog.errors import BackendFailed, OutcomeUnknown
from sundog.runtime import clock, warp

UUID = "00112233-4455-6677-8899-aabbccddeeff"
SWAPPED = "33221100-5544-7766-8899-aabbccddeeff"
ON, GOING, OFF = (sushy.PowerState(each) for each in ("On", "PoweringOff", "Off"))


class Machine:
    """As sushy shows one: its power is what it was at the last look."""

    identity, name, uuid = "1", "rack1-7", UUID

    def __init__(self, *states: object) -> None:
        """``states``: what each look finds; the last from then on."""
        self._states = list(states)
        self.asked: list[object] = []
        self.refresh(force=True)

    def refresh(self, *, force: bool) -> None:
        assert force, "without it sushy looks again only at what is known to be stale"
        self.power_state = self._states.pop(0) if len(self._states) > 1 else self._states[0]

    def reset_system(self, how: object) -> None:
        self.asked.append(how)


def switched_off(machine: Machine, uuid: str = "") -> float:
    """How many seconds it took."""

    async def main(_world: object) -> float:
        begun = clock.now()
        await switch_off(machine, uuid=uuid, limit=50.0)
        return clock.now() - begun

    return warp.run(main)


def test_it_is_asked_once_and_looked_at_until_it_is_off() -> None:
    machine = Machine(ON, ON, None, GOING, OFF)
    assert switched_off(machine, UUID) == 4.0
    assert machine.asked == [sushy.RESET_FORCE_OFF]


def test_one_that_is_off_is_not_asked() -> None:
    machine = Machine(OFF)
    assert switched_off(machine) == 0.0
    assert not machine.asked


def test_one_that_stays_on_is_not_said_to_be_off() -> None:
    machine = Machine(ON, GOING)
    with pytest.raises(OutcomeUnknown, match="told to switch the machine off, and it is PoweringOff still"):
        switched_off(machine)
    assert machine.asked == [sushy.RESET_FORCE_OFF]


def test_another_machine_is_let_alone() -> None:
    machine = Machine(ON, OFF)
    with pytest.raises(BackendFailed, match=f"use --uuid {UUID}"):
        switched_off(machine, "ffffffff-4455-6677-8899-aabbccddeeff")
    assert not machine.asked


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (UUID, UUID.upper().replace("-", ""), True),
        (UUID, SWAPPED, True),
        (SWAPPED, UUID, True),
        (UUID, "ffffffff-4455-6677-8899-aabbccddeeff", False),
        ("Blade 7", "blade 7", True),
        ("Blade 7", UUID, False),
    ],
)
def test_a_uuid_is_the_same_in_either_order_of_its_bytes(one: str, other: str, same: bool) -> None:
    assert is_same(one, other) is same
