"""What a cloud begins with, and that beginning again repairs and harms nothing."""

from __future__ import annotations

from sundog.control.identity import CatalogueItem, bootstrap
from sundog.control.identity.assignments import Actor, Assignment
from sundog.control.identity.payload import Scope
from sundog.control.identity.tokens import Wanted
from sundog.runtime import warp
from tests.unit.control.identity.books import PASSWORD, new_identity, role_id_of, token_for, user_id_of

ITEMS = [CatalogueItem("identity", "keystone", "/identity"), CatalogueItem("compute", "nova", "/compute/v2.1")]


def everything(identity):
    given, _ = identity.assignments.every()
    return (
        sorted(each.id for each in identity.projects.list_all(is_domain=True)),
        sorted(each.id for each in identity.projects.list_all()),
        sorted(each.id for each in identity.users.list_all()),
        sorted(each.id for each in identity.roles.list_all()),
        sorted(map(repr, given)),
        sorted((each.id, each.url) for each in identity.catalogue.endpoints()),
        [(prior.name, [each.name for each in implied]) for prior, implied in identity.roles.implications()],
    )


def test_beginning_again_changes_nothing():
    async def main(_world):
        identity = new_identity()
        bootstrap(identity, "x", address="http://cloud.test/", catalogue=ITEMS)
        before = everything(identity)
        again = bootstrap(identity, "another password", address="http://cloud.test", catalogue=ITEMS)
        assert not again.admin_is_new
        assert everything(identity) == before
        assert await token_for(identity, again.user_id, PASSWORD)

    warp.run(main)


def test_what_is_missing_is_made_again():
    async def main(_world):
        identity = new_identity()
        bootstrap(identity, "x", address="http://cloud.test", catalogue=ITEMS)
        admin, role = user_id_of(identity, "admin"), role_id_of(identity, "admin")
        identity.roles.unimply(role, role_id_of(identity, "manager"))
        identity.assignments.revoke(Assignment(Actor("user", admin), Scope("system"), role))
        identity.catalogue.delete_service(identity.catalogue.services()[0].id)
        identity.roles.delete(_deletable(identity))
        told = bootstrap(identity, "x", address="http://cloud.test", catalogue=ITEMS)
        assert set(told.role_ids) == {"admin", "manager", "member", "reader", "service", "ResellerAdmin"}
        assert await token_for(identity, admin, PASSWORD, Wanted("system"))
        names = {prior.name: [each.name for each in implied] for prior, implied in identity.roles.implications()}
        assert names == {"admin": ["manager"], "manager": ["member"], "member": ["reader"]}
        assert len(identity.catalogue.endpoints()) == 6

    warp.run(main)


def _deletable(identity):
    """The id of a first role whose mark was taken away."""
    role = role_id_of(identity, "ResellerAdmin")
    identity.roles.update(role, {"options": {"immutable": False}})
    return role


def test_addresses_follow_the_one_that_is_told():
    async def main(_world):
        identity = new_identity()
        bootstrap(identity, "x", address="http://old.test", catalogue=ITEMS)
        bootstrap(identity, "x", address="https://new.test:5000", catalogue=ITEMS)
        urls = {each.url for each in identity.catalogue.endpoints()}
        assert urls == {"https://new.test:5000/identity", "https://new.test:5000/compute/v2.1"}

    warp.run(main)
