"""A service of a few operations, as small as one can be that uses all of the kit."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from sundog.api.kit.application import application
from sundog.api.kit.bodies import Body, Query
from sundog.api.kit.context import Context
from sundog.api.kit.paging import next_link, page_of, sorted_by
from sundog.api.kit.policy import ADMIN, ANYBODY, PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN, Policy, Rule
from sundog.api.kit.service import NO_TOKEN, Desk, Reply, Service
from sundog.api.kit.versions import History
from sundog.control.principal import Principal
from sundog.errors import Conflict, NotFound, SundogError, Unauthorized

LIST = Rule("zoo:animals:list", PROJECT_READER_OR_ADMIN, "List the project's animals")
CREATE = Rule("zoo:animals:create", PROJECT_MEMBER_OR_ADMIN, "Take in an animal")
SHOW = Rule("zoo:animals:show", PROJECT_READER_OR_ADMIN, "Show an animal")
CLOSE = Rule("zoo:close", ADMIN, "Close the zoo")
FORGETFUL = Rule("zoo:forgetful", ADMIN)
ANYONE = Rule("zoo:anyone", ANYBODY)


def fault(status: int, message: str, _error: SundogError | None) -> dict[str, Any]:
    return {"zooFault": {"code": status, "message": message}}


zoo = Service(
    "zoo",
    prefix="/zoo/v2.1",
    fault=fault,
    history=History({"2.1": "first", "2.2": "names", "2.10": "legs"}, "zoo", "x-openstack-zoo-api-version"),
    request_id_headers=("x-openstack-request-id", "x-zoo-request-id"),
)


class Animal(Body):
    name: str = Field(max_length=20)


class Create(Body):
    animal: Animal


class Legged(Animal):
    legs: int = Field(4, ge=0)


class CreateLegged(Body):
    animal: Legged


class Listing(Query):
    limit: int | None = None
    marker: str | None = None
    sort_key: list[str] = []
    sort_dir: list[str] = []
    name: str | None = None


@zoo.operation("GET", "", NO_TOKEN)
async def show_version(ctx: Context):
    return {"version": {"id": "v2.1", "links": [{"rel": "self", "href": ctx.link("/")}]}}


@zoo.operation("GET", "/animals", LIST)
async def list_animals(ctx: Context, query: Listing):
    """List the animals of the project."""
    rows = [row for row in ctx.cloud.animals if row["project_id"] == ctx.who.project_id]
    rows = sorted_by(rows, dict.get, query.sort_key, query.sort_dir, ["name", "id"])
    page, more = page_of(rows, lambda row: row["id"], limit=query.limit, marker=query.marker)
    told: dict[str, Any] = {"animals": [{"id": row["id"], "name": row["name"]} for row in page]}
    if more:
        told["animals_links"] = [{"rel": "next", "href": next_link(ctx, page[-1]["id"])}]
    return told


@zoo.operation("POST", "/animals", CREATE, status=202, until="2.9")
async def create_animal(ctx: Context, body: Create):
    return {"animal": {"id": ctx.cloud.take_in(ctx.who.project_id, body.animal.name)}}


@zoo.operation("POST", "/animals", CREATE, status=202, since="2.10")
async def create_legged_animal(ctx: Context, body: CreateLegged):
    return {"animal": {"id": ctx.cloud.take_in(ctx.who.project_id, body.animal.name), "legs": body.animal.legs}}


@zoo.operation("GET", "/animals/{animal_id}", SHOW, own=False)
async def show_animal(ctx: Context, animal_id: str):
    row = next((row for row in ctx.cloud.animals if row["id"] == animal_id), None)
    if row is None or not ctx.may(SHOW, row):
        raise NotFound(f"Animal {animal_id} could not be found.", animal=animal_id)
    return {"animal": {"id": row["id"], "name": row["name"]}}


@zoo.operation("DELETE", "/animals/{animal_id}", CREATE, status=204)
async def delete_animal(ctx: Context, animal_id: str):
    return None


@zoo.operation("POST", "/close", CLOSE, status=202, since="2.2")
async def close(ctx: Context):
    raise Conflict("There are animals in it.")


@zoo.operation("GET", "/forgetful", FORGETFUL, own=False)
async def forgetful(ctx: Context):
    return {"secret": "told without asking"}


@zoo.operation("GET", "/broken", ANYONE)
async def broken(ctx: Context):
    raise ZeroDivisionError("secret detail")


@zoo.operation("PUT", "/teapot", ANYONE)
async def teapot(ctx: Context):
    return Reply({"teapot": True}, 418, {"x-tea": "green"})


class Cloud:
    """The control plane of a zoo."""

    def __init__(self) -> None:
        self.animals: list[dict[str, Any]] = []

    def take_in(self, project_id: str | None, name: str) -> str:
        animal = f"a{len(self.animals):02}"
        self.animals.append({"id": animal, "name": name, "project_id": project_id})
        return animal


BEARERS = {
    "member-a": Principal("u1", project_id="a", roles=("member", "reader")),
    "reader-a": Principal("u2", project_id="a", roles=("reader",)),
    "member-b": Principal("u3", project_id="b", roles=("member", "reader")),
    "domain-member": Principal("u5", domain_id="d", roles=("member", "reader")),
    "admin": Principal("u4", project_id="x", roles=("admin", "manager", "member", "reader")),
}


def authenticate(token: str) -> Principal:
    if token not in BEARERS:
        raise Unauthorized("The request you have made requires authentication.")
    return BEARERS[token]


def make_app(cloud: Cloud | None = None, overrides: dict[str, str] | None = None):
    numbers = iter(range(1, 1_000_000))
    desk = Desk(cloud or Cloud(), Policy(zoo.rules, overrides), authenticate, lambda: f"req-{next(numbers)}")
    return application([zoo], desk, version="1")
