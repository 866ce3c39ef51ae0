"""Versions of the service."""

from __future__ import annotations

from typing import Any, Final

from sundog.api.compute.history import HISTORY
from sundog.api.kit.context import Context

VERSIONS: Final[dict[str, dict[str, Any]]] = {
    "v2.0": {
        "status": "DEPRECATED",
        "version": "",
        "min_version": "",
        "updated": "2025-07-04T12:00:00Z",
        "path": "/v2/",
        "media": "application/vnd.openstack.compute+json;version=2",
    },
    "v2.1": {
        "status": "CURRENT",
        "version": str(HISTORY.newest),
        "min_version": str(HISTORY.oldest),
        "updated": "2013-07-23T11:33:21Z",
        "path": "/v2.1/",
        "media": "application/vnd.openstack.compute+json;version=2.1",
    },
}


def listed(ctx: Context, number: str) -> dict[str, Any]:
    """A version in the list of all."""
    told = VERSIONS[number]
    plain = {name: told[name] for name in ("status", "version", "min_version", "updated")}
    return {"id": number, **plain, "links": [{"rel": "self", "href": ctx.link(told["path"])}]}


def shown(ctx: Context, number: str) -> dict[str, Any]:
    """A version by itself."""
    told = listed(ctx, number)
    told["links"].append({"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"})
    return told | {"media-types": [{"base": "application/json", "type": VERSIONS[number]["media"]}]}
