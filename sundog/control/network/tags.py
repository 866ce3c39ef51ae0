"""Tags: short words on things, for clients to find them by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from sqlalchemy import Table

from sundog.control.network.books import Books
from sundog.control.network.refusals import invalid_input
from sundog.control.store.tables import network as tables
from sundog.errors import NotFound

TABLES: Final = {
    "networks": tables.networks,
    "subnets": tables.subnets,
    "ports": tables.ports,
    "security-groups": tables.security_groups,
    "routers": tables.routers,
    "floatingips": tables.floating_ips,
    "subnetpools": tables.subnet_pools,
}
"""What may have tags, by the names in paths."""

MOST: Final = 50


class Tags:
    """The tags of things. Who asks has looked the thing up: here is nothing about who may see it."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def replace(self, collection: str, identifier: str, tags: Iterable[str]) -> list[str]:
        """Give a thing these tags and no others.

        Raises: NotFound; Invalid for too many.
        """
        return self._change(collection, identifier, lambda _: sorted(set(tags)))

    def add(self, collection: str, identifier: str, tags: Iterable[str]) -> list[str]:
        """Give a thing further tags.

        Raises: NotFound; Invalid for too many.
        """
        return self._change(collection, identifier, lambda old: sorted({*old, *tags}))

    def remove(self, collection: str, identifier: str, tag: str) -> None:
        """Take a tag away.

        Raises: NotFound, also for a tag that is not there.
        """

        def without(old: list[str]) -> list[str]:
            if tag not in old:
                raise missing_tag(tag)
            return [each for each in old if each != tag]

        self._change(collection, identifier, without)

    def _change(self, collection: str, identifier: str, changed: Callable[[list[str]], list[str]]) -> list[str]:
        table: Table = TABLES[collection]
        with self._books.writing() as tx:
            row = tx.get(table, id=identifier)
            if row is None:
                raise NotFound(f"Resource {collection} {identifier} could not be found.", type="TagResourceNotFound")
            tags = changed(list(row["tags"]))
            if len(tags) > MOST:
                raise invalid_input(f"The number of tags exceeds the per-resource limit of {MOST}")
            self._books.change(tx, table, identifier, {"tags": tags})
            return tags


def missing_tag(tag: str) -> NotFound:
    """The error for a tag that is not there."""
    return NotFound(f"Tag {tag} could not be found.", type="TagNotFound")
