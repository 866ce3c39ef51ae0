"""The values of an ``in:`` filter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.control.image.listing import split
from sundog.errors import Invalid


@pytest.mark.parametrize(
    ("text", "values"),
    [("", []), ("a", ["a"]), ("a,b", ["a", "b"]), ('"a,b",c', ["a,b", "c"]), ("a,,b", ["a", "", "b"]), ('""', [""])],
)
def test_values_are_parted_by_commas(text: str, values: list[str]) -> None:
    assert split(text) == values


@pytest.mark.parametrize("text", ['"', 'a"b"', '"a"b', '"a,b', 'a,"b'])
def test_a_quote_that_is_misplaced_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        split(text)


@given(st.lists(st.text(st.characters(blacklist_characters='"\\', codec="utf-8"), min_size=1), min_size=1))
def test_quoted_values_come_back_as_they_were(values: list[str]) -> None:
    assert split(",".join(f'"{value}"' for value in values)) == values


@given(st.text(st.sampled_from('a,"\\ '), max_size=40))
def test_any_text_has_values_or_is_refused(text: str) -> None:
    try:
        values = split(text)
    except Invalid:
        return
    assert len(values) <= text.count(",") + 1
