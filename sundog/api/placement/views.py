"""Placement's records as they are sent, by version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final

from sundog.api.kit.context import Context
from sundog.api.kit.service import Reply
from sundog.api.placement import alike
from sundog.control.placement.books import Books
from sundog.control.placement.candidates import Candidate, Found, Plain, Request, Summary, summaries
from sundog.control.placement.records import MOST, Consumer, Held, Provider, TypeUsage
from sundog.core.pool import Inventory

_LINKS: Final = (("inventories", "1.0"), ("usages", "1.0"), ("aggregates", "1.1"), ("traits", "1.6"))


def dated(
    ctx: Context, body: Any, modified: datetime | None = None, *, status: int | None = None, **headers: str
) -> Reply:
    """An answer with the headers that 1.15 brought; ``modified`` None is now."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    if ctx.at_least("1.15"):
        told["last-modified"] = format_datetime(modified or ctx.cloud.placement.now(), usegmt=True)
        told["cache-control"] = "no-cache"
    return Reply(body, status, told)


def latest(times: Iterable[datetime]) -> datetime | None:
    """The last of several times; None if there are none."""
    return max(times, default=None)


def version(newest: str, oldest: str) -> dict[str, Any]:
    """What the root says."""
    links = [{"rel": "self", "href": ""}]
    told = {"id": f"v{oldest}", "max_version": newest, "min_version": oldest, "status": "CURRENT", "links": links}
    return {"versions": [told]}


def provider(ctx: Context, record: Provider) -> dict[str, Any]:
    """One provider."""
    url = f"{ctx.prefix}/resource_providers/{record.uuid}"
    rels = [rel for rel, since in (*_LINKS, ("allocations", "1.11")) if ctx.at_least(since)]
    told: dict[str, Any] = {
        "uuid": record.uuid,
        "name": record.name,
        "generation": record.generation,
        "links": [{"rel": "self", "href": url}, *({"rel": rel, "href": f"{url}/{rel}"} for rel in rels)],
    }
    if ctx.at_least("1.14"):
        told |= {"parent_provider_uuid": record.parent_uuid, "root_provider_uuid": record.root_uuid}
    return told


def inventory(record: Inventory, generation: int | None = None) -> dict[str, Any]:
    """One inventory, with the generation of its provider where it stands alone."""
    told = {
        "total": record.total,
        "reserved": record.reserved,
        "min_unit": record.min_unit or 1,
        "max_unit": MOST if record.max_unit is None else record.max_unit,
        "step_size": record.step_size or 1,
        "allocation_ratio": record.allocation_ratio,
    }
    return told if generation is None else told | {"resource_provider_generation": generation}


def inventories(records: Mapping[str, Inventory], generation: int) -> dict[str, Any]:
    """All inventories of a provider."""
    every = {name: inventory(record) for name, record in records.items()}
    return {"resource_provider_generation": generation, "inventories": every}


def resource_class(ctx: Context, name: str) -> dict[str, Any]:
    """One resource class."""
    return {"name": name, "links": [{"rel": "self", "href": f"{ctx.prefix}/resource_classes/{name}"}]}


def aggregates(ctx: Context, uuids: Iterable[str], generation: int) -> dict[str, Any]:
    """A provider's aggregates."""
    told: dict[str, Any] = {"aggregates": list(uuids)}
    return told | {"resource_provider_generation": generation} if ctx.at_least("1.19") else told


def project_usages(ctx: Context, usages: Mapping[str, TypeUsage]) -> dict[str, Any]:
    """What a project uses: in all, or by the type of its consumers from 1.38 on."""
    if ctx.at_least("1.38"):
        return {
            "usages": {kind: {**usage.resources, "consumer_count": usage.consumers} for kind, usage in usages.items()}
        }
    total: dict[str, int] = {}
    for usage in usages.values():
        for name, amount in usage.resources.items():
            total[name] = total.get(name, 0) + amount
    return {"usages": total}


def consumer_allocations(
    ctx: Context, consumer: Consumer | None, held: Mapping[str, Mapping[str, int]], generations: Mapping[str, int]
) -> dict[str, Any]:
    """What a consumer holds."""
    every = {uuid: {"resources": dict(mine), "generation": generations[uuid]} for uuid, mine in held.items()}
    told: dict[str, Any] = {"allocations": every}
    if consumer is not None and ctx.at_least("1.12"):
        told |= {"project_id": consumer.project_id, "user_id": consumer.user_id}
        if ctx.at_least("1.28"):
            told["consumer_generation"] = consumer.generation
        if ctx.at_least("1.38"):
            told["consumer_type"] = consumer.consumer_type or "unknown"
    return told


def provider_allocations(ctx: Context, every: Iterable[Held], record: Provider) -> dict[str, Any]:
    """What is held on a provider, by consumer."""
    told: dict[str, dict[str, Any]] = {}
    for held in every:
        mine: dict[str, Any] = {"resources": dict(held.allocations[record.uuid])}
        if ctx.at_least("1.28"):
            mine["consumer_generation"] = held.consumer.generation
        told[held.consumer.uuid] = mine
    return {"allocations": told, "resource_provider_generation": record.generation}


def candidates(ctx: Context, request: Request, found: Found) -> dict[str, Any] | bytes:
    """Allocation candidates, and what is to be known of the providers that they are from; bytes are JSON already."""
    books, tell = ctx.cloud.placement.books, _teller(ctx)
    every = (
        None if ctx.at_least("1.27") else sorted({name for each in request.groups.values() for name in each.resources})
    )
    if isinstance(found.candidates, Plain):
        return alike.answer(
            books, found.candidates, tell, classes=every,
            has_traits=ctx.at_least("1.17"), has_trees=ctx.at_least("1.29"),
        )  # fmt: skip
    requests = [tell(books.uuids, each) for each in found.candidates]
    told = _summaries(ctx, books, summaries(books, found.rows, every))
    return {"allocation_requests": requests, "provider_summaries": told}


def _teller(ctx: Context) -> Callable[[Mapping[int, str], Candidate], dict[str, Any]]:
    """How a candidate is told in the version of a request, by the UUIDs of rows."""
    if not ctx.at_least("1.12"):
        return _listed
    return _mapped if ctx.at_least("1.34") else _candidate


def _candidate(uuids: Mapping[int, str], candidate: Candidate) -> dict[str, Any]:
    """What can be sent back as it is to be allocated."""
    allocations = _by_provider(uuids, candidate)
    return {"allocations": {uuid: {"resources": mine} for uuid, mine in allocations.items()}}


def _mapped(uuids: Mapping[int, str], candidate: Candidate) -> dict[str, Any]:
    """As :func:`_candidate`, with the providers of each group."""
    mappings = {suffix: [uuids[row] for row in rows] for suffix, rows in candidate.mappings.items()}
    return {**_candidate(uuids, candidate), "mappings": mappings}


def _listed(uuids: Mapping[int, str], candidate: Candidate) -> dict[str, Any]:
    """A candidate as it was told before 1.12."""
    every = _by_provider(uuids, candidate)
    return {"allocations": [{"resource_provider": {"uuid": uuid}, "resources": mine} for uuid, mine in every.items()]}


def _by_provider(uuids: Mapping[int, str], candidate: Candidate) -> dict[str, dict[str, int]]:
    resources: dict[str, dict[str, int]] = {}
    for (row, name), amount in candidate.amounts.items():
        resources.setdefault(uuids[row], {})[name] = amount
    return resources


def _summaries(ctx: Context, books: Books, every: Iterable[Summary]) -> dict[str, Any]:
    uuids, parents, roots = books.uuids, books.pool.parent.tolist(), books.pool.root.tolist()
    has_traits, has_trees = ctx.at_least("1.17"), ctx.at_least("1.29")
    result = {}
    for each in every:
        told: dict[str, Any] = {
            "resources": {name: {"capacity": cap, "used": used} for name, (cap, used) in each.resources.items()}
        }
        if has_traits:
            told["traits"] = each.traits
        if has_trees:
            above = parents[each.row]
            told["parent_provider_uuid"] = None if above < 0 else uuids[above]
            told["root_provider_uuid"] = uuids[roots[each.row]]
        result[uuids[each.row]] = told
    return result
