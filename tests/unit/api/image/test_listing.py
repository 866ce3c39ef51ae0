"""Lists: filters, order, pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.unit.api.client import Client
from tests.unit.api.image.cloud import Cloud, message
from tests.unit.control.image.hostile import qcow2

IMAGES = "/image/v2/images"


def names(client: Client, params: Any) -> list[str]:
    answer = client.get(IMAGES, params=params)
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json()["images"]]


@pytest.fixture
def images(cloud: Cloud) -> Cloud:
    cloud.make(name="a", data=b"1", tags=["x", "y"], color="red", visibility="private")
    cloud.make(name="b", data=b"22", tags=["x"], color="red, dark", min_ram=512)
    cloud.make(name="c,d", data=b"333", disk_format="ami", container_format="ami", color="blue", protected=True)
    cloud.make(name="e", disk_format="qcow2", data=qcow2())
    cloud.make(name="f", disk_format="iso")
    cloud.make(name="hidden", os_hidden=True)
    cloud.make(cloud.bob, name="bobs")
    cloud.make(cloud.bob, name="theirs", visibility="community")
    cloud.make(cloud.admin, name="public", visibility="public")
    return cloud


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "a b c,d e f public"),
        ({"name": "a"}, "a"),
        ({"name": "eq:a"}, "a"),
        ({"name": "in:a,b,zz"}, "a b"),
        ({"name": 'in:"c,d",e'}, "c,d e"),
        ({"status": "active"}, "a b c,d e"),
        ({"status": "in:queued,saving"}, "f public"),
        ({"disk_format": "raw"}, "a b public"),
        ({"container_format": "in:ami"}, "c,d"),
        ({"visibility": "private"}, "a"),
        ({"visibility": "shared"}, "b c,d e f"),
        ({"visibility": "public"}, "public"),
        ({"visibility": "community"}, "theirs"),
        ({"visibility": "all"}, "a b c,d e f public theirs"),
        ({"owner": "a"}, "a b c,d e f"),
        ({"owner": "b"}, ""),
        ({"owner": "b", "visibility": "all"}, "theirs"),
        ({"tag": "x"}, "a b"),
        ([("tag", "x"), ("tag", "y")], "a"),
        ({"size": "2"}, "b"),
        ({"size": "two"}, ""),
        ({"size_min": "2"}, "b c,d e"),
        ({"size_max": "2"}, "a b"),
        ({"size_min": "2", "size_max": "100"}, "b c,d"),
        ({"min_ram": "512"}, "b"),
        ({"min_ram_min": "1"}, "b"),
        ({"protected": "true"}, "c,d"),
        ({"os_hidden": "true"}, "hidden"),
        ({"color": "red"}, "a"),
        ({"color": "green"}, ""),
        ({"created_at": "gt:2020-01-01T00:00:00Z", "name": "a"}, "a"),
        ({"updated_at": "lt:2020-01-01T00:00:00Z"}, ""),
        ({"size_min": str(-(10**40))}, "a b c,d e"),
    ],
)
def test_a_filter_leaves_what_it_says(images: Cloud, params: Any, expected: str) -> None:
    assert sorted(names(images.alice, params)) == expected.split()


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "x"}, {"limit": "-1"}, {"marker": "nobody"}, {"sort_key": "color"}, {"sort_dir": "up"},
        {"sort": "name:up"}, {"sort": "color"}, {"sort": "name", "sort_key": "name"}, {"visibility": "secret"},
        {"member_status": "maybe"}, {"changes-since": "2020-01-01"}, {"size_min": "x"}, {"os_hidden": "maybe"},
        {"protected": "1"}, {"name": "near:a"}, {"name": 'in:"a'}, {"name": 'in:a"b",c'}, {"created_at": "gt:noon"},
        {"created_at": "around:2020-01-01T00:00:00Z"}, {"name": "\0"}, {"owner": "\0"}, {"p": "\0"},
    ],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused(cloud: Cloud, params: Any) -> None:
    refused = cloud.alice.get(IMAGES, params=params)
    assert refused.status_code == 400
    assert message(refused)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"sort": "name:asc"}, ["a", "b", "c,d", "e", "f", "public"]),
        ({"sort": "name"}, ["public", "f", "e", "c,d", "b", "a"]),
        ({"sort_key": "size", "sort_dir": "asc"}, ["f", "public", "a", "b", "c,d", "e"]),
        ({"sort": "status:desc,name:asc"}, ["f", "public", "a", "b", "c,d", "e"]),
    ],
)
def test_an_order_is_kept_over_pages(images: Cloud, params: Any, expected: list[str]) -> None:
    whole = names(images.alice, params)
    assert whole == expected
    for limit in (1, 2, 4):
        seen, path = [], f"{IMAGES}?" + "&".join(f"{k}={v}" for k, v in {**params, "limit": limit}.items())
        while path:
            page = images.alice.get(path).json()
            assert len(page["images"]) <= limit
            seen += [each["name"] for each in page["images"]]
            path = "/image" + page["next"] if "next" in page else ""
        assert seen == whole


def test_the_newest_comes_first_unless_it_is_asked(images: Cloud) -> None:
    assert names(images.alice, {}) == ["public", "f", "e", "c,d", "b", "a"]


def test_next_and_first_repeat_the_query(images: Cloud) -> None:
    page = images.alice.get(IMAGES, params={"limit": 1, "sort": "name:asc", "disk_format": "raw"}).json()
    assert page["schema"] == "/v2/schemas/images"
    following = urlsplit(page["next"])
    assert following.path == "/v2/images"
    query = parse_qs(following.query)
    assert query == {"limit": ["1"], "sort": ["name:asc"], "disk_format": ["raw"], "marker": [page["images"][0]["id"]]}
    assert "marker" not in page["first"]
    assert "next" not in images.alice.get(IMAGES).json()
    assert images.alice.get(IMAGES, params={"limit": 0}).json()["images"] == []


def test_a_marker_that_one_may_not_see_is_none(images: Cloud) -> None:
    private = images.bob.get(IMAGES, params={"name": "bobs"}).json()["images"][0]["id"]
    assert images.alice.get(IMAGES, params={"marker": private}).status_code == 400
