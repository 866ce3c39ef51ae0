"""The states of an image: each legal step is taken, each other one is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sundog.control.image.records import Image
from sundog.control.image.states import IMPORTING, NEXT, SAVING, check_step
from sundog.errors import Conflict, Invalid
from sundog.runtime.clock import EPOCH

IMAGE = Image(
    id="i", status="queued", name=None, owner="a", visibility="shared", protected=False, os_hidden=False,
    disk_format="raw", container_format="bare", min_disk=0, min_ram=0, size=None, virtual_size=None, checksum=None,
    os_hash_algo=None, os_hash_value=None, created_at=EPOCH, updated_at=EPOCH,
)  # fmt: skip


@pytest.mark.parametrize("after", NEXT)
@pytest.mark.parametrize("before", NEXT)
def test_a_step_is_taken_or_refused_as_the_table_says(before: str, after: str) -> None:
    image = replace(IMAGE, status=before)
    if after in NEXT[before]:
        check_step(image, after)
        return
    with pytest.raises(Conflict, match=f"from {before} to {after} is not allowed"):
        check_step(image, after)


def test_every_state_can_be_reached_and_all_but_deleted_can_be_left() -> None:
    reached, edge = {"queued"}, ["queued"]
    while edge:
        new = [each for each in NEXT[edge.pop()] if each not in reached]
        reached.update(new)
        edge += new
    assert reached == set(NEXT)
    assert [state for state, following in NEXT.items() if "deleted" not in following] == ["deleted"]


@pytest.mark.parametrize("missing", ["disk_format", "container_format"])
def test_data_are_not_taken_in_before_the_formats_are_known(missing: str) -> None:
    for before, after in (("queued", SAVING), ("uploading", IMPORTING)):
        with pytest.raises(Invalid, match=f"Property {missing} must be set"):
            check_step(replace(IMAGE, status=before, **{missing: None}), after)
    check_step(replace(IMAGE, disk_format=None), "uploading")
