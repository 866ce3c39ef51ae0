"""Names as bits, also beyond one word."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from sundog.core.pool import BitColumns

vocabulary = [f"N{i}" for i in range(150)]  # three words of 64 bits
name_lists = st.lists(st.sampled_from(vocabulary), max_size=12)


@given(st.lists(name_lists, min_size=1, max_size=6), name_lists, st.booleans())
def test_bits_tell_what_sets_tell(rows: list[list[str]], asked: list[str], warm: bool) -> None:
    bits = BitColumns(len(rows))
    if warm:  # names known in another order, so that each word is in use
        bits.assign(0, reversed(vocabulary))
    for row, names in enumerate(rows):
        bits.assign(row, names)
    assert [set(bits.of(row)) for row in range(len(rows))] == [set(names) for names in rows]
    assert bits.having_all(asked).tolist() == [set(asked) <= set(names) for names in rows]
    assert bits.having_any(asked).tolist() == [bool(set(asked) & set(names)) for names in rows]


def test_a_name_never_used_is_had_by_no_row() -> None:
    bits = BitColumns(2)
    bits.assign(0, ["A"])
    assert not bits.having_all(["A", "B"]).any()
    assert bits.having_any(["A", "B"]).tolist() == [True, False]
    assert bits.names == ("A",)


def test_all_of_nothing_is_everybody_and_any_of_nothing_nobody() -> None:
    bits = BitColumns(2)
    assert bits.having_all([]).all()
    assert not bits.having_any([]).any()


def test_assigning_replaces_on_every_row_given() -> None:
    bits = BitColumns(3)
    bits.assign(np.arange(3), ["A", "B"])
    bits.assign(np.asarray([0, 2]), ["C"])
    assert [bits.of(row) for row in range(3)] == [("C",), ("A", "B"), ("C",)]


def test_new_rows_have_no_names_and_old_ones_keep_theirs() -> None:
    bits = BitColumns(1)
    bits.assign(0, [f"N{i}" for i in range(70)])
    bits.resize(3)
    assert len(bits.of(0)) == 70
    assert bits.of(1) == bits.of(2) == ()
    assert bits.nbytes == 2 * 3 * 8
