from __future__ import annotations

import json
import logging
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sundog.backends.durations import Duration, DurationsFile, Outcome, read_durations
from sundog.errors import InputError

SPAWN = Duration(
    "spawn", 1.25, Outcome.DONE, "h0", datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC),
    vcpus=2, memory_mib=512.0, disk_gib=4.0, image_bytes=1000, image_there=False, starts=True, beside=3,
)  # fmt: skip


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "durations.jsonl"
    keep = DurationsFile(path)
    records = (SPAWN, Duration("fence", 3.0, Outcome.UNKNOWN, "h1", SPAWN.began), replace(SPAWN, target="h2"))
    for each in records:
        keep(each)
    assert read_durations(path) == records


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    DurationsFile(tmp_path / "d")(SPAWN)
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o600


def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    keep = DurationsFile(tmp_path / "d", largest=2_000)
    for number in range(100):
        keep(replace(SPAWN, seconds=float(number)))
    last = [*read_durations(tmp_path / "d.1"), *(read_durations(tmp_path / "d") if (tmp_path / "d").exists() else ())]
    assert sorted(each.name for each in tmp_path.iterdir()) in (["d", "d.1"], ["d.1"])
    assert [each.seconds for each in last] == [float(number) for number in range(100 - len(last), 100)]
    assert all(each.stat().st_size < 2_400 for each in tmp_path.iterdir())


def test_what_cannot_be_written_is_told_once_and_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keep = DurationsFile(tmp_path / "missing" / "d")
    with caplog.at_level(logging.ERROR):
        keep(SPAWN)
        keep(SPAWN)
    assert [each.message.split(" cannot")[0] for each in caplog.records] == [str(tmp_path / "missing" / "d")]
    (tmp_path / "missing").mkdir()
    keep(SPAWN)
    assert read_durations(tmp_path / "missing" / "d") == (SPAWN,)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not a record of JSON"),
        ("7", "a record is an object"),
        ("[" * 100_000, "not a record of JSON"),
        ({"seconds": -1}, "seconds: Input should be greater than or equal to 0"),
        ({"seconds": float("nan")}, "seconds: "),
        ({"seconds": "1e400"}, "seconds: "),
        ({"outcome": "well"}, "outcome: "),
        ({"memory_mib": "much"}, "memory_mib: "),
        ({"host": ""}, "host: "),
        ({"colour": "red"}, "colour: "),
        ({"began": "yesterday"}, "began: "),
        ({"beside": 1.5}, "beside: "),
    ],
)
def test_what_is_no_record_is_told_with_its_line(tmp_path: Path, line: object, message: str) -> None:
    path = tmp_path / "d"
    text = line if isinstance(line, str) else json.dumps(json.loads(SPAWN.line()) | dict(line))  # type: ignore[call-overload]
    path.write_text(f"{SPAWN.line()}\n\n{text}\n")
    with pytest.raises(InputError) as caught:
        read_durations(path)
    assert caught.value.message.startswith(f"{path}:3: ")
    assert message in caught.value.message


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "d"):
        with pytest.raises(InputError, match=str(path)):
            read_durations(path)
