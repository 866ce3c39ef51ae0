from uuid import RFC_4122

import pytest

from sundog.runtime.ids import Ids, random_secret
from sundog.runtime.seeds import Streams


def test_uuids_have_the_layout_of_version_4() -> None:
    ids = Ids(Streams(1).stream("ids"))
    made = [ids.uuid() for _ in range(1000)]
    assert {(one.version, one.variant) for one in made} == {(4, RFC_4122)}
    assert len(set(made)) == 1000


def test_the_same_stream_gives_the_same_ids() -> None:
    one, other = Ids(Streams(1).stream("ids")), Ids(Streams(1).stream("ids"))
    assert [one.uuid(), one.hex(7), one.hex()] == [other.uuid(), other.hex(7), other.hex()]
    assert Ids(Streams(2).stream("ids")).uuid() != Ids(Streams(1).stream("ids")).uuid()


def test_hex_has_as_many_digits_as_asked_for() -> None:
    ids = Ids(Streams(1).stream("ids"))
    assert [len(ids.hex(digits)) for digits in (1, 2, 7, 32)] == [1, 2, 7, 32]
    assert int(ids.hex(), 16) >= 0
    with pytest.raises(ValueError, match="at least one digit"):
        ids.hex(0)


def test_secrets_differ_and_are_long_enough() -> None:
    assert random_secret() != random_secret()
    assert len(random_secret()) >= 43
    with pytest.raises(ValueError, match="can be guessed"):
        random_secret(8)
