"""The word for a server's states, and back again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.core.lifecycle.servers import TaskState, VmState
from sundog.core.lifecycle.statuses import TABLE, states_of, status_of

VM_STATES = st.sampled_from(sorted(TABLE))
TASK_STATES = st.sampled_from([None, *TaskState, *sorted({task for _, by_task in TABLE.values() for task in by_task})])


@pytest.mark.parametrize(
    ("vm_state", "task_state", "status"),
    [
        ("active", None, "ACTIVE"),
        ("active", "pausing", "ACTIVE"),
        ("active", "rebooting", "REBOOT"),
        ("active", "rebooting_hard", "HARD_REBOOT"),
        ("active", "updating_password", "PASSWORD"),
        ("active", "migrating", "MIGRATING"),
        ("paused", "migrating", "MIGRATING"),
        ("stopped", "migrating", "SHUTOFF"),
        ("stopped", "resize_finish", "RESIZE"),
        ("error", "rebuild_spawning", "REBUILD"),
        ("building", "spawning", "BUILD"),
        ("resized", None, "VERIFY_RESIZE"),
        ("resized", "resize_reverting", "REVERT_RESIZE"),
        ("rescued", None, "RESCUE"),
        ("soft-delete", None, "SOFT_DELETED"),
        ("shelved_offloaded", "unshelving", "SHELVED_OFFLOADED"),
        ("on-fire", None, "UNKNOWN"),
    ],
)
def test_a_status_follows_from_vm_state_and_task_state(vm_state, task_state, status):
    assert status_of(vm_state, task_state) == status


def test_a_deleted_server_is_deleted_whatever_it_was():
    assert status_of("active", "rebooting", deleted=True) == "DELETED"


def test_every_state_of_the_control_plane_has_a_status():
    assert {str(each) for each in VmState} == set(TABLE)


@given(VM_STATES, TASK_STATES)
def test_a_filter_for_a_status_finds_every_server_that_has_it(vm_state, task_state):
    vm_states, task_states = states_of([status_of(vm_state, task_state)])
    assert vm_state in vm_states
    assert task_states is None or task_state in task_states


def test_several_statuses_in_any_case_of_letters():
    assert states_of(["reboot", "Hard_Reboot"]) == (
        ("active",),
        (
            "reboot_pending",
            "reboot_pending_hard",
            "reboot_started",
            "reboot_started_hard",
            "rebooting",
            "rebooting_hard",
        ),
    )
    assert states_of(["shutoff", "error"]) == (("error", "stopped"), None)


def test_a_status_that_there_is_not_has_no_states():
    assert states_of(["NONSENSE"])[0] == ()
