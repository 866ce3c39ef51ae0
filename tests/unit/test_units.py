"""Durations and sizes as people write them and as they read them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sundog.units import format_duration, format_mebibytes, parse_duration, parse_gibibytes, parse_mebibytes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30 d", 30 * 86400),
        ("10 min", 600),
        ("1.5h", 5400),
        ("250 ms", 0.25),
        ("2 weeks", 14 * 86400),
        (" 7 ", 7),
        ("1e3 s", 1000),
        (".5 s", 0.5),
        ("-5 min", -300),
        (90, 90),
        (0.25, 0.25),
    ],
)
def test_a_duration_is_seconds_whatever_its_unit(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "mebibytes"),
    [("128 GiB", 131072), ("2 TiB", 2 * 2**20), ("2 TB", 2e12 / 2**20), ("512KiB", 0.5), ("64", 64), (96, 96)],
)
def test_a_size_is_mebibytes_whatever_its_unit(text: str | float, mebibytes: float) -> None:
    assert parse_mebibytes(text) == pytest.approx(mebibytes)


@pytest.mark.parametrize(
    ("text", "gibibytes"), [("2 TiB", 2048), ("500 GB", 500e9 / 2**30), ("40", 40), (40, 40), ("1024 MiB", 1)]
)
def test_a_bare_disk_size_is_gibibytes(text: str | float, gibibytes: float) -> None:
    assert parse_gibibytes(text) == pytest.approx(gibibytes)


@pytest.mark.parametrize(
    ("parse", "bad", "says"),
    [
        (parse_duration, "10 parsecs", "not a unit of time; use one of ms, s, min, h, d, w"),
        (parse_duration, "soon", "not a duration; write a number and a unit, such as '10 min'"),
        (parse_duration, "", "not a duration"),
        (parse_duration, True, "not a duration"),
        (parse_duration, math.inf, "not a finite duration"),
        (parse_duration, math.nan, "not a finite duration"),
        (parse_duration, "1e999 s", "not a finite duration"),
        (parse_mebibytes, "1 gib", "not a unit of size; use one of KiB"),
        (parse_mebibytes, "128 GiB RAM", "not a size"),
        (parse_mebibytes, False, "not a size"),
        (parse_mebibytes, math.inf, "not a finite size"),
        (parse_gibibytes, "large", "not a size; write a number and a unit, such as '128 GiB'"),
        (parse_gibibytes, "", "not a size"),
        (parse_gibibytes, "1 XB", "not a unit of size"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_could_be(parse: Callable[[Any], float], bad: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse(bad)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(90, "90 s"), (120, "2 min"), (7200, "2 h"), (216000, "2.5 d"), (-7200, "-2 h"), (0, "0 s"), (math.inf, "inf")],
)
def test_a_duration_is_shown_in_the_largest_unit_that_fits_twice(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("mebibytes", "text"),
    [(131072, "128 GiB"), (512, "512 MiB"), (2**20, "1 TiB"), (2**30, "1 PiB"), (-2048, "-2 GiB"), (0, "0 MiB")],
)
def test_a_size_is_shown_in_the_largest_unit_that_fits(mebibytes: float, text: str) -> None:
    assert format_mebibytes(mebibytes) == text


@given(st.floats(1e-3, 1e12))
def test_what_is_shown_reads_back_as_the_same_to_four_digits(value: float) -> None:
    assert parse_duration(format_duration(value)) == pytest.approx(value, rel=1e-3)
    assert parse_mebibytes(format_mebibytes(value)) == pytest.approx(value, rel=1e-3)
