"""Regions, services and endpoints: where a client finds what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sundog.control.identity.books import Books, found_as, missing, taken
from sundog.control.identity.records import CatalogueService, Endpoint, Region, record
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import identity as tables
from sundog.errors import Forbidden, Invalid

_PROJECT: Final = re.compile(r"[$%]\((?:project_id|tenant_id)\)s")
_TEMPLATE: Final = re.compile(r"[$%]\((\w*)\)s")


@dataclass(frozen=True, slots=True)
class Entry:
    """A service as a token's catalogue has it, with the addresses of its endpoints filled in."""

    service: CatalogueService
    endpoints: tuple[Endpoint, ...]


class Catalogue:
    """Regions, services, endpoints."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def regions(self) -> list[Region]:
        """All regions."""
        with self._books.reading() as reader:
            return [record(Region, row) for row in reader.find(tables.regions)]

    def region(self, region_id: str) -> Region:
        """Raises: NotFound."""
        with self._books.reading() as reader:
            return region_of(reader, region_id)

    def create_region(
        self,
        region_id: str | None = None,
        *,
        parent_region_id: str | None = None,
        description: str = "",
        extra: Mapping[str, Any] | None = None,
    ) -> Region:
        """Raises: Conflict for an id that is taken; NotFound for no such parent."""
        with self._books.writing() as tx:
            region_id = region_id or self._books.new_id()
            if tx.get(tables.regions, id=region_id) is not None:
                taken("region", f"Duplicate ID, {region_id}")
            if parent_region_id is not None:
                region_of(tx, parent_region_id)
            tx.insert(
                tables.regions,
                id=region_id,
                parent_region_id=parent_region_id,
                description=description,
                extra=dict(extra or {}),
            )
            return region_of(tx, region_id)

    def update_region(
        self, region_id: str, changes: Mapping[str, Any], *, extra: Mapping[str, Any] | None = None
    ) -> Region:
        """Raises: NotFound; Invalid for a region that would be below itself."""
        with self._books.writing() as tx:
            region = region_of(tx, region_id)
            values = {key: value for key, value in changes.items() if key in ("description", "parent_region_id")}
            parent = values.get("parent_region_id")
            while parent is not None:
                if parent == region_id:
                    raise Invalid("The specified parent region would create a circular region hierarchy.")
                parent = region_of(tx, parent).parent_region_id
            if extra:
                values["extra"] = {**region.extra, **extra}
            if values:
                tx.update(tables.regions, tables.regions.c.id == region_id, **values)
            return region_of(tx, region_id)

    def delete_region(self, region_id: str) -> None:
        """Raises: NotFound; Forbidden while something is in it."""
        with self._books.writing() as tx:
            region_of(tx, region_id)
            if tx.count(tables.regions, tables.regions.c.parent_region_id == region_id) or tx.count(
                tables.endpoints, tables.endpoints.c.region_id == region_id
            ):
                raise Forbidden(
                    f"Unable to delete region {region_id} because it or its child regions have associated endpoints."
                )
            tx.delete(tables.regions, tables.regions.c.id == region_id)

    def services(self) -> list[CatalogueService]:
        """All services."""
        with self._books.reading() as reader:
            return [record(CatalogueService, row) for row in reader.find(tables.services)]

    def service(self, service_id: str) -> CatalogueService:
        """Raises: NotFound."""
        with self._books.reading() as reader:
            return service_of(reader, service_id)

    def create_service(
        self,
        kind: str,
        *,
        name: str | None = None,
        description: str | None = None,
        enabled: bool = True,
        extra: Mapping[str, Any] | None = None,
    ) -> CatalogueService:
        """A new service of the type ``kind``."""
        with self._books.writing() as tx:
            service_id = self._books.new_id()
            tx.insert(
                tables.services,
                id=service_id,
                type=kind,
                name=name,
                description=description,
                enabled=enabled,
                extra=dict(extra or {}),
            )
            return service_of(tx, service_id)

    def update_service(
        self, service_id: str, changes: Mapping[str, Any], *, extra: Mapping[str, Any] | None = None
    ) -> CatalogueService:
        """Raises: NotFound."""
        with self._books.writing() as tx:
            service = service_of(tx, service_id)
            values = {k: v for k, v in changes.items() if k in ("type", "name", "description", "enabled")}
            if extra:
                values["extra"] = {**service.extra, **extra}
            if values:
                tx.update(tables.services, tables.services.c.id == service_id, **values)
            return service_of(tx, service_id)

    def delete_service(self, service_id: str) -> None:
        """Remove a service and its endpoints.

        Raises: NotFound.
        """
        with self._books.writing() as tx:
            service_of(tx, service_id)
            tx.delete(tables.services, tables.services.c.id == service_id)

    def endpoints(self) -> list[Endpoint]:
        """All endpoints."""
        with self._books.reading() as reader:
            return [record(Endpoint, row) for row in reader.find(tables.endpoints)]

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """Raises: NotFound."""
        with self._books.reading() as reader:
            return endpoint_of(reader, endpoint_id)

    def create_endpoint(
        self,
        service_id: str,
        interface: str,
        url: str,
        *,
        region_id: str | None = None,
        new_region: bool = False,
        enabled: bool = True,
        extra: Mapping[str, Any] | None = None,
    ) -> Endpoint:
        """A new endpoint; with ``new_region`` its region is made where it is missing.

        Raises: Invalid for no such service or region, or an address with an unknown part.
        """
        with self._books.writing() as tx:
            _make_region(tx, region_id if new_region else None)
            _check_endpoint(tx, {"service_id": service_id, "region_id": region_id, "url": url})
            endpoint_id = self._books.new_id()
            tx.insert(
                tables.endpoints,
                id=endpoint_id,
                service_id=service_id,
                region_id=region_id,
                interface=interface,
                url=url,
                enabled=enabled,
                extra=dict(extra or {}),
            )
            return endpoint_of(tx, endpoint_id)

    def update_endpoint(
        self,
        endpoint_id: str,
        changes: Mapping[str, Any],
        *,
        new_region: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> Endpoint:
        """Raises: NotFound, Invalid."""
        with self._books.writing() as tx:
            endpoint = endpoint_of(tx, endpoint_id)
            known = ("service_id", "region_id", "interface", "url", "enabled")
            values = {key: value for key, value in changes.items() if key in known}
            _make_region(tx, values.get("region_id") if new_region else None)
            _check_endpoint(tx, values)
            if extra:
                values["extra"] = {**endpoint.extra, **extra}
            if values:
                tx.update(tables.endpoints, tables.endpoints.c.id == endpoint_id, **values)
            return endpoint_of(tx, endpoint_id)

    def delete_endpoint(self, endpoint_id: str) -> None:
        """Raises: NotFound."""
        with self._books.writing() as tx:
            endpoint_of(tx, endpoint_id)
            tx.delete(tables.endpoints, tables.endpoints.c.id == endpoint_id)

    def entries(self, project_id: str | None) -> tuple[Entry, ...]:
        """The catalogue for a project."""
        with self._books.reading() as reader:
            return entries_for(reader, project_id)


def entries_for(reader: Reader, project_id: str | None) -> tuple[Entry, ...]:
    """The enabled services with their enabled endpoints; without a project, those whose address needs none."""
    addresses: dict[str, list[Endpoint]] = {}
    for row in reader.find(tables.endpoints, tables.endpoints.c.enabled.is_(True)):
        if project_id is None and _PROJECT.search(row["url"]):
            continue
        filled = _PROJECT.sub(project_id or "", row["url"])
        addresses.setdefault(row["service_id"], []).append(record(Endpoint, {**row, "url": filled}))
    services = reader.find(tables.services, tables.services.c.enabled.is_(True))
    return tuple(
        Entry(record(CatalogueService, row), tuple(addresses[row["id"]])) for row in services if row["id"] in addresses
    )


def region_of(reader: Reader, region_id: str) -> Region:
    """Raises: NotFound."""
    return found_as(reader, Region, tables.regions, "region", region_id)


def service_of(reader: Reader, service_id: str) -> CatalogueService:
    """Raises: NotFound."""
    return found_as(reader, CatalogueService, tables.services, "service", service_id)


def endpoint_of(reader: Reader, endpoint_id: str) -> Endpoint:
    """Raises: NotFound."""
    return found_as(reader, Endpoint, tables.endpoints, "endpoint", endpoint_id)


def _make_region(tx: Tx, region_id: str | None) -> None:
    if region_id is not None and tx.get(tables.regions, id=region_id) is None:
        tx.insert(tables.regions, id=region_id, parent_region_id=None, description="", extra={})


def _check_endpoint(reader: Reader, values: Mapping[str, Any]) -> None:
    """What an endpoint names must be there. That it is not is the request's fault: 400, not 404."""
    for key, table, what in (("service_id", tables.services, "service"), ("region_id", tables.regions, "region")):
        if values.get(key) is not None and reader.get(table, id=values[key]) is None:
            raise Invalid(missing(what, values[key]).message, **{key: values[key]})
    for name in _TEMPLATE.findall(values.get("url") or ""):
        if name not in ("project_id", "tenant_id"):
            raise Invalid(f"Malformed endpoint URL: it can hold $(project_id)s, not $({name})s")
