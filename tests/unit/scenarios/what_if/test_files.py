"""What may stand in the files, and how what may not is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.errors import InputError
from sundog.scenarios.what_if import read_hosts, read_requests
from sundog.scenarios.what_if.files import json_position
from tests.unit.scenarios.what_if.entries import files, host, server


def error(tmp_path: Path, hosts: Any, requests: Any = ()) -> InputError:
    first, second = files(tmp_path, hosts, list(requests))
    try:
        read_hosts(first)
        read_requests(second)
    except InputError as exc:
        return exc
    raise AssertionError("nothing was refused")


@pytest.mark.parametrize(
    ("hosts", "where", "says"),
    [
        ("[\n {", (2, 3), "not valid JSON: Expecting property name"),
        ("{}", (1, 1), "a list of hosts is expected, in brackets"),
        ('[{"a": NaN}]', (None, None), "not valid JSON: NaN is not a number that JSON knows"),
        ('[{"a": 1, "a": 2}]', (None, None), "'a' is given twice in one object"),
        ("[" * 100_000, (None, None), "nested too deeply"),
        ('[\n 7]', (2, 2), "[0]: 7 is not an object"),
        ([host("a", vcpu_used=1)], (10, 3), "[0].vcpu_used: unknown field; did you mean 'vcpus_used'?"),
        ([host("a", zzz=1)], (10, 3), "[0].zzz: unknown field; there are name, uuid, vcpus"),
        ([host("a"), host("b", vcpus="8")], (13, 12), '[1].vcpus: "8" is not a whole number'),
        ([host("a", vcpus=True)], (4, 12), "[0].vcpus: true is not a whole number"),
        ([host("a", vcpus=1.5)], (4, 12), "[0].vcpus: 1.5 is not a whole number"),
        ([host("a", vcpus=-1)], (4, 12), "[0].vcpus: -1 should be greater than or equal to 0"),
        ([host("a", cpu_allocation_ratio=0)], (7, 27), "[0].cpu_allocation_ratio: 0 should be greater than 0"),
        ([host("a", cpu_allocation_ratio="2")], (7, 27), '[0].cpu_allocation_ratio: "2" is not a number'),
        ([host("a", enabled="yes")], (10, 14), '[0].enabled: "yes" is not true or false'),
        ([host("a", traits="X")], (10, 13), '[0].traits: "X" is not a list'),
        ([host("a", traits=[7])], (11, 4), "[0].traits[0]: 7 is not a text"),
        ([host("a", aggregates=[{"nam": "x"}])], (12, 5), "[0].aggregates[0].nam: unknown field; did you mean 'name'?"),
        ([host("a", aggregates=[{"metadata": {}}])], (11, 4), "[0].aggregates[0].name: is missing"),
        ([host("a", aggregates={"x": 1})], (10, 17), "[0].aggregates: an object is not a list"),
        ([host("a", hypervisor_version="new")], (10, 25), '[0].hypervisor_version: "new" is not a whole number'),
        ([{"name": "a"}], (2, 2), "[0].vcpus: is missing (and 2 more complaints)"),
        ([host("a"), host("a")], (12, 11), '[1].name: "a" is that of entry 0 already'),
        ([host("")], (3, 11), "[0].name: String should have at least 1 character"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_hosts_is_told_with_its_place(
    tmp_path: Path, hosts: Any, where: tuple[int | None, int | None], says: str
) -> None:
    told = error(tmp_path, hosts)
    assert says in told.message
    assert (told.path, told.line, told.column) == (tmp_path / "hosts.json", *where)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (server(1, group={"id": "g", "policy": "near"}), "[0].group.policy: "),
        (server(1, group={"id": "g", "policy": "affinity", "host": []}), "did you mean 'hosts'?"),
        (
            server(1, group={"id": "g", "policy": "affinity", "rules": {"max_server": 1}}),
            "did you mean 'max_serv",
        ),
        (server([1]), "[0].id"),
        (server(1, num_instances=0), "[0].num_instances: 0 should be greater than or equal to 1"),
        (server(1, extra_specs={"a": []}), "[0].extra_specs.a: a list is not a text"),
        (server(1, required_trait=["X"]), "did you mean 'required_traits'?"),
    ],
)
def test_a_mistake_in_the_requests_is_told_with_its_place(tmp_path: Path, request_: Any, says: str) -> None:
    told = error(tmp_path, [], [request_])
    assert says in told.message
    assert told.path == tmp_path / "requests.json"
    assert told.line is not None


def test_ids_are_unique_and_null_is_nothing(tmp_path: Path) -> None:
    assert "is that of entry 0 already" in error(tmp_path, [], [server(1), server("1")]).message
    first, second = files(tmp_path, [host("a", zone=None, aggregates=None)], [server(1, group=None, zone=None)])
    assert read_hosts(first).entries[0].aggregates == ()
    assert read_requests(second).entries[0].group is None


def test_whole_floats_and_metadata_of_any_kind_are_taken(tmp_path: Path) -> None:
    given = host("a", vcpus=8.0, aggregates=[{"name": "x", "metadata": {"n": -1, "t": True, "s": "x"}}])
    first, _ = files(tmp_path, [given], [])
    (entry,) = read_hosts(first).entries
    assert entry.vcpus == 8
    assert entry.aggregates[0].metadata == {"n": "-1", "t": "true", "s": "x"}


def test_yaml_says_the_same_with_places(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text("- {name: a, vcpus: 8, memory_mb: 1024, disk_gb: 10}\n- name: b\n  vcpus: 8\n  memory_mb: x\n")
    with pytest.raises(InputError, match=r"hosts.yaml:4:14: \[1\].memory_mb: \"x\" is not a whole number \(and 1 more"):
        read_hosts(path)
    path.write_text("- {name: a, vcpus: 8, memory_mb: 1024, disk_gb: 10}\n")
    assert [each.name for each in read_hosts(path).entries] == ["a"]
    path.write_text("just words")
    with pytest.raises(InputError, match="a list of hosts is expected"):
        read_hosts(path)
    path.write_text("[")
    with pytest.raises(InputError, match="not valid YAML"):
        read_hosts(path)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_hosts(tmp_path / "none.json")
    (tmp_path / "latin.json").write_bytes(b'["\xe4"]')
    with pytest.raises(InputError, match="not a text in UTF-8"):
        read_hosts(tmp_path / "latin.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.sampled_from([None, 1, 4]), st.data())
def test_a_position_in_json_is_where_the_value_begins(value: Any, indent: int | None, data: st.DataObject) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=data.draw(st.booleans()))
    loc: list[str | int] = []
    here = value
    while isinstance(here, dict | list) and here and data.draw(st.booleans()):
        part = data.draw(st.sampled_from(sorted(here) if isinstance(here, dict) else list(range(len(here)))))
        loc.append(part)
        here = here[part]
    line, column = json_position(text, tuple(loc))
    rest = "\n".join([text.split("\n")[line - 1][column - 1 :], *text.split("\n")[line:]])
    assert json.JSONDecoder().raw_decode(rest)[0] == here
    if loc and isinstance(loc[-1], str):
        line, column = json_position(text, tuple(loc), of_key=True)
        assert json.JSONDecoder().raw_decode(text.split("\n")[line - 1][column - 1 :])[0] == loc[-1]
