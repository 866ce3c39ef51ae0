import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.errors import InputError, InvariantError, OutputError
from sundog.runtime import aio, warp
from sundog.runtime.journal import Entry, Journal, JournalWriter, encode, read_journal


class Cause(enum.Enum):
    DISK = 1
    POWER = 2


@dataclass(frozen=True, slots=True)
class Place:
    zone: str
    rack: int


@dataclass(frozen=True, slots=True)
class HostFailed:
    host: int
    cause: Cause
    place: Place
    lost: tuple[UUID, ...] = ()
    until: float | None = None


@dataclass(frozen=True)
class Noted:
    text: str
    at: datetime
    size: tuple[int, float]
    tags: Mapping[str, bool]
    level: Literal["low", "high"]


KINDS = (HostFailed, Noted)
FLOATS = st.floats(allow_nan=False)
TEXT = st.text(st.characters(codec="utf-8"))
EVENTS = st.builds(
    HostFailed,
    st.integers(),
    st.sampled_from(Cause),
    st.builds(Place, TEXT, st.integers()),
    st.lists(st.uuids()).map(tuple),
    st.none() | FLOATS,
) | st.builds(
    Noted,
    TEXT,
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5))])),
    st.tuples(st.integers(), FLOATS),
    st.dictionaries(TEXT, st.booleans()),
    st.sampled_from(["low", "high"]),
)


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def failed(host: int = 1) -> HostFailed:
    return HostFailed(host, Cause.DISK, Place("az1", 2), (UUID(int=host),), 3.5)


def journal_of(*hosts: int) -> Journal:
    hand = Hand()
    journal = Journal(hand)
    for host in hosts:
        hand.now += 1.5
        journal.append(failed(host))
    return journal


def write(path: Path, journal: Journal) -> None:
    with JournalWriter(path) as writer:
        for entry in journal:
            writer.write(entry)


@given(st.lists(st.tuples(st.floats(0, 1e9), EVENTS), max_size=8))
def test_what_was_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, happened: list[Any]) -> None:
    hand, path = Hand(), tmp_path_factory.mktemp("journal") / "journal.jsonl"
    journal = Journal(hand)
    with JournalWriter(path) as writer:
        journal.subscribe(writer.write)
        for pause, event in happened:
            hand.now += pause
            journal.append(event)
    recording = read_journal(path, KINDS)
    assert recording.entries == tuple(journal)
    assert recording.digest() == journal.digest()
    assert not recording.truncated


def test_entries_carry_sequence_and_virtual_time() -> None:
    async def main(world: warp.World) -> list[Entry]:
        journal = Journal()
        journal.append(failed(1))
        await aio.sleep(7)
        journal.append(failed(2))
        return list(journal)

    assert warp.run(main) == [Entry(1, 0.0, failed(1)), Entry(2, 7.0, failed(2))]


def test_a_world_without_a_loop_keeps_a_journal_too() -> None:
    world = warp.World()
    journal = Journal(lambda: world.now)
    world.at(4).callbacks.append(lambda _: journal.append(failed()))
    world.run()
    assert [(entry.sequence, entry.time) for entry in journal] == [(1, 4.0)]


def test_line_is_json_in_a_form_that_does_not_change() -> None:
    # Pinned: old journals must stay readable, and digests comparable.
    assert encode(Entry(3, 2.0, failed(1))) == (
        '{"seq":3,"t":2.0,"kind":"HostFailed","event":{"host":1,"cause":"DISK","place":{"zone":"az1","rack":2},'
        '"lost":["00000000-0000-0000-0000-000000000001"],"until":3.5}}'
    )


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    journal = Journal(lambda: np.float64(2))
    entry = journal.append(HostFailed(np.int64(1), Cause.DISK, Place("az1", 2), (), np.float32(0.5)))  # type: ignore[arg-type]
    assert json.loads(encode(entry))["event"] == {
        "host": 1, "cause": "DISK", "place": {"zone": "az1", "rack": 2}, "lost": [], "until": 0.5,
    }  # fmt: skip


def test_infinity_survives_although_json_has_none(tmp_path: Path) -> None:
    journal = Journal(lambda: 0.0)
    journal.append(HostFailed(1, Cause.POWER, Place("az1", 2), until=float("-inf")))
    write(tmp_path / "j", journal)
    assert read_journal(tmp_path / "j", KINDS).entries == tuple(journal)


def test_digest_differs_with_order_time_and_content() -> None:
    assert journal_of(1, 2).digest() == journal_of(1, 2).digest()
    assert len({journal_of(*hosts).digest() for hosts in ((), (1,), (1, 2), (2, 1), (1, 2, 3))}) == 5
    late = Journal(lambda: 9.0)
    late.append(failed(1))
    assert late.digest() != journal_of(1).digest()


def test_a_journal_that_keeps_nothing_still_counts_digests_and_tells() -> None:
    hand, heard = Hand(), []
    journal = Journal(hand, keep=False)
    journal.subscribe(heard.append)
    hand.now = 1.5
    entry = journal.append(failed(1))
    assert (len(journal), list(journal), heard) == (1, [], [entry])
    assert journal.digest() == journal_of(1).digest()


def test_subscribers_are_told_in_order_until_they_leave() -> None:
    journal, heard = Journal(lambda: 0.0), []
    leave = journal.subscribe(lambda entry: heard.append(("a", entry.sequence)))
    journal.subscribe(lambda entry: heard.append(("b", entry.sequence)), kind=HostFailed)
    journal.subscribe(lambda entry: heard.append(("never", entry.sequence)), kind=Noted)
    journal.append(failed())
    leave()
    leave()
    journal.append(failed())
    assert heard == [("a", 1), ("b", 1), ("b", 2)]


def test_of_gives_the_events_of_one_kind() -> None:
    assert list(journal_of(4, 5).of(HostFailed)) == [(1.5, failed(4)), (3.0, failed(5))]
    assert list(journal_of(4).of(Noted)) == []


def test_a_clock_that_goes_back_is_an_error() -> None:
    hand = Hand()
    hand.now = 5.0
    journal = Journal(hand)
    journal.append(failed())
    hand.now = 4.0
    with pytest.raises(InvariantError, match=r"went back from 5\.0 to 4\.0 s"):
        journal.append(failed())
    assert len(journal) == 1


@dataclass
class Mutable:
    host: int


@dataclass(frozen=True)
class WithSet:
    hosts: frozenset[int]


@dataclass(frozen=True)
class Ambiguous:
    value: int | str


@dataclass(frozen=True)
class Derived:
    value: int
    double: int = field(init=False, default=0)


@dataclass(frozen=True)
class Numbered:
    level: Literal[1, 2]


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        ("text", "instances of frozen dataclasses"),
        (Mutable(1), "Mutable: what happened does not change; make it frozen"),
        (WithSet(frozenset()), r"WithSet.hosts: a journal cannot hold frozenset\[int\]"),
        (Ambiguous(1), "Ambiguous.value: .* nobody could tell which"),
        (Derived(1), "Derived.double: a field that __init__ does not take"),
        (Numbered(1), "Numbered.level: .* use strings"),
        (HostFailed("h1", Cause.DISK, Place("az1", 1)), "HostFailed.host"),  # type: ignore[arg-type]
        (HostFailed(True, Cause.DISK, Place("az1", 1)), "HostFailed.host: True is not of type int"),
        (HostFailed(1, "DISK", Place("az1", 1)), "HostFailed.cause"),  # type: ignore[arg-type]
        (HostFailed(1, Cause.DISK, Place("az1", 1.5)), "HostFailed.place: Place.rack"),  # type: ignore[arg-type]
        (HostFailed(1, Cause.DISK, Place("az1", 1), [UUID(int=1)]), "HostFailed.lost: .* not of type tuple"),  # type: ignore[arg-type]
        (HostFailed(1, Cause.DISK, Place("az1", 1), until="1"), "HostFailed.until: '1' is not of type float"),  # type: ignore[arg-type]
        (Noted("x", datetime(2024, 1, 1), (1, 1.0), {}, "low"), "Noted.at: .* with a time zone"),  # noqa: DTZ001
        (Noted("x", datetime(2024, 1, 1, tzinfo=UTC), (1, 1.0), {}, "huge"), "Noted.level: 'huge' is not one of"),  # type: ignore[arg-type]
    ],
)
def test_what_could_not_be_read_back_is_refused_and_not_appended(event: object, complaint: str) -> None:
    journal = Journal(lambda: 0.0)
    with pytest.raises((TypeError, ValueError), match=complaint):
        journal.append(event)
    assert (len(journal), journal.digest()) == (0, Journal(lambda: 0.0).digest())


def test_a_file_cut_anywhere_gives_the_whole_lines_before_the_cut(tmp_path: Path) -> None:
    journal, path = journal_of(1, 2), tmp_path / "j"
    write(path, journal)
    whole, entries = path.read_bytes(), tuple(journal)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        recording = read_journal(path, KINDS)
        lines = whole[:length].count(b"\n")
        assert recording.entries == entries[: max(0, lines - 1)]
        assert recording.truncated == (not whole[:length].endswith(b"\n"))


def lines_of(path: Path, journal: Journal) -> list[str]:
    write(path, journal)
    return path.read_text().splitlines()


@pytest.mark.parametrize(
    ("damage", "line", "complaint"),
    [
        (lambda lines: [lines[0], lines[1][:-9], lines[2]], 2, "this line is damaged"),
        (lambda lines: [lines[0], "[]", lines[2]], 2, "it holds no object"),
        (lambda lines: [lines[0], lines[2]], 2, "event 2 follows event 0"),
        (lambda lines: [*lines, lines[2]], 4, "event 2 follows event 2"),
        (lambda lines: [lines[0], lines[1].replace("HostFailed", "HostFaild")], 2, "did you mean HostFailed?"),
        (lambda lines: [lines[0], lines[1].replace("HostFailed", "Xyz")], 2, "known are HostFailed, Noted"),
        (lambda lines: [lines[0], lines[1].replace('"host":1', '"host":"1"')], 2, "HostFailed.host"),
        (lambda lines: [lines[0], lines[1].replace('"host":1', '"hst":1')], 2, "has the fields host, cause"),
        (lambda lines: [lines[0], lines[1].replace("DISK", "FIRE")], 2, "'FIRE' is not one of DISK, POWER"),
        (lambda lines: [lines[0], lines[1].replace('"seq"', '"no"')], 2, "an event has seq, t, kind and event"),
        (lambda lines: [lines[0].replace(":1", ":9")], 1, "version 9, and this Sundog reads version 1"),
        (lambda lines: ['{"a":1}', *lines[1:]], 1, "this is not a journal of Sundog"),
        (lambda lines: ["vmid,cpu", *lines[1:]], 1, "this line is damaged"),
    ],
)
def test_a_damaged_file_is_an_error_with_its_line(tmp_path: Path, damage: Any, line: int, complaint: str) -> None:
    path = tmp_path / "j"
    path.write_text("\n".join(damage(lines_of(tmp_path / "good", journal_of(1, 2)))) + "\n")
    with pytest.raises(InputError, match=complaint.replace("?", r"\?")) as caught:
        read_journal(path, KINDS)
    assert (caught.value.path, caught.value.line) == (path, line)


def test_a_file_that_is_none_of_ours_or_missing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "j").write_text("hello")
    with pytest.raises(InputError, match="not a journal of Sundog"):
        read_journal(tmp_path / "j", KINDS)
    with pytest.raises(InputError, match="cannot read the journal: No such file"):
        read_journal(tmp_path / "missing", KINDS)


def test_an_existing_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "j").write_text("precious")
    with pytest.raises(OutputError, match="is not written over"):
        JournalWriter(tmp_path / "j")
    with pytest.raises(OutputError, match="cannot write the journal"):
        JournalWriter(tmp_path / "no" / "such" / "folder")
    assert (tmp_path / "j").read_text() == "precious"


def test_flushed_events_are_on_disk_before_the_file_is_closed(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "j") as writer:
        for entry in journal_of(1, 2):
            writer.write(entry)
        writer.flush()
        assert len(read_journal(tmp_path / "j", KINDS).entries) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to stand for a full disk")
def test_a_full_disk_is_an_error_that_says_so(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "j")
    writer.close()
    with Path("/dev/full").open("w") as full:
        writer._file = full
        writer.write(Entry(1, 0.0, failed()))
        with pytest.raises(OutputError, match="No space left on device"):
            writer.flush()
        with pytest.raises(OutputError, match="No space left on device"):
            writer.close()


def test_two_kinds_of_one_name_cannot_be_read(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Noted:
        text: str

    with pytest.raises(ValueError, match="two kinds of events are called Noted"):
        read_journal(tmp_path / "j", [*KINDS, Noted])
