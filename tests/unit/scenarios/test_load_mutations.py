"""Whatever is done to a scenario file, it loads, or an InputError says why not."""

from __future__ import annotations

import copy
import io
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sundog.errors import InputError
from sundog.scenarios.load import load_scenario
from tests.unit.scenarios.files import SMALL, write

FULL = (
    SMALL
    + """\
  racks: {failure: {law: weibull, mean: 90 d, shape: 0.8}, mttr: 2 h}
  outages: [{rack: az1-r0, at: 1 h, duration: 1 h}]
  evacuation: {mode: evacuate, detect: 60 s, retry: 60 s, give_up: 1 h}
""".replace("  racks", "faults_more:\n  racks")
)


def _full() -> dict[str, Any]:
    """A valid scenario that has nearly every key."""
    document: dict[str, Any] = YAML(typ="safe").load(FULL)
    document["faults"] |= document.pop("faults_more")
    document["maintenance"] = [{"zone": "az1", "at": "1 h", "duration": "1 h", "at_once": 2, "on_timeout": "skip"}]
    document["migration"] = {"bandwidth_mib_s": 1000, "rounds": 1.3, "pause": "300 ms"}
    document["boot"] = {"images": {"count": 10, "size": "2 GiB"}, "guest": {"law": "lognormal", "mean": 9, "sigma": 1}}
    document["warmup"] = "1 h"
    document["policy"]["weights"] = {"VCPU": 2.0}
    return document


def _scalars(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _scalars(each, (*way, key))
    else:
        yield way


WAYS = list(_scalars(_full()))
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.text(string.printable, max_size=12),
    st.sampled_from(["0 s", "-1 d", "1e400 GiB", "nan", ".inf", "1 parsec", "infinite", "best-fit", "m:C", "", " "]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text("ab", max_size=2), st.integers(), max_size=2),
    st.dates(),
)


def refused(path: Path, *options: str) -> InputError | None:
    """The InputError that loading ends with, if it does; any other exception fails the test."""
    try:
        load_scenario(path, options)
    except InputError as exc:
        return exc
    return None


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutations") / "s.yaml"


def test_the_scenario_that_is_mutated_is_valid(path: Path) -> None:
    with path.open("w") as file:
        YAML().dump(_full(), file)
    assert load_scenario(path).scenario.boot is not None
    assert len(WAYS) > 45


@settings(max_examples=60, deadline=None)
@given(way=st.sampled_from(WAYS), value=VALUES)
def test_a_scenario_with_one_value_changed_loads_or_raises_input_error(path: Path, way: Any, value: Any) -> None:
    document = copy.deepcopy(_full())
    here = document
    for part in way[:-1]:
        here = here[part]
    here[way[-1]] = value
    text = io.StringIO()
    YAML(typ="safe").dump(document, text)
    path.write_text(text.getvalue(), encoding="utf-8")
    error = refused(path)
    assert error is None or (error.path == path and error.line is not None)


def test_a_key_that_is_nothing_is_refused_as_unknown(tmp_path: Path) -> None:
    error = refused(write(tmp_path / "s.yaml", SMALL + ": {a: 1}\n"))
    assert "unknown key 'None'" in str(error)


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, len(SMALL) - 1), junk=st.text(max_size=3), cut=st.integers(0, 3))
def test_a_scenario_with_some_characters_changed_loads_or_raises_input_error(
    path: Path, at: int, junk: str, cut: int
) -> None:
    path.write_text(SMALL[:at] + junk + SMALL[at + cut :], encoding="utf-8", errors="surrogatepass")
    error = refused(path)
    assert error is None or error.path == path


@settings(max_examples=60, deadline=None)
@given(way=st.sampled_from(WAYS), text=st.text(string.printable, max_size=12))
def test_any_option_is_taken_or_raises_input_error(path: Path, way: Any, text: str) -> None:
    path.write_text(SMALL, encoding="utf-8")
    option = f"{'.'.join(str(part) for part in way)}={text}"
    error = refused(path, option)
    assert error is None or option in str(error)
