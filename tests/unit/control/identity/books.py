"""Identity without HTTP, with an administrator, in virtual time or not."""

from __future__ import annotations

from sundog.control.identity import Identity, Settings, bootstrap
from sundog.control.identity.tokens import Login, Named, Wanted
from sundog.control.store import Store, open_store
from sundog.runtime.ids import Ids
from sundog.runtime.seeds import Streams

CHEAP = Settings(argon2_memory_kib=8, argon2_passes=1)
PASSWORD = "canary-of-admin"


def identity_in(store: Store, settings: Settings = CHEAP) -> Identity:
    """Identity over a store, bootstrapped. Needs a running loop."""
    store.migrate()
    identity = Identity(store, Ids(Streams(1).stream("ids")), settings)
    bootstrap(identity, PASSWORD, address="http://cloud.test")
    return identity


def new_identity(settings: Settings = CHEAP) -> Identity:
    """Identity over a store of its own, in memory."""
    return identity_in(open_store(":memory:"), settings)


async def token_for(identity: Identity, user_id: str, password: str, wanted: Wanted | None = None) -> str:
    """A token for a password."""
    login = Login(("password",), user=Named(id=user_id), password=password, scope=wanted)
    return (await identity.tokens.issue(login)).token


def user_id_of(identity: Identity, name: str) -> str:
    """The id of the user with this name."""
    return next(each.id for each in identity.users.list_all() if each.name == name)


def role_id_of(identity: Identity, name: str) -> str:
    """The id of the role with this name."""
    return next(each.id for each in identity.roles.list_all() if each.name == name)
