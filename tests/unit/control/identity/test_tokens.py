"""What a token is made of, its keys, its time, and what it costs to be told apart from a wrong one."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.control.identity import Settings
from sundog.control.identity.assignments import Actor, Assignment
from sundog.control.identity.keys import Keys
from sundog.control.identity.passwords import Passwords
from sundog.control.identity.payload import METHODS, Claims, Scope, packed, unpacked
from sundog.control.identity.tokens import Login, Named, Tokens, Wanted
from sundog.control.identity.users import Users
from sundog.control.store.tables import identity as tables
from sundog.errors import InvariantError, Unauthorized
from sundog.runtime import aio, clock, warp
from tests.unit.control.identity.books import (
    CHEAP,
    PASSWORD,
    new_identity,
    role_id_of,
    token_for,
    user_id_of,
)

ids = st.one_of(st.uuids().map(lambda each: each.hex), st.text(max_size=60))
instants = st.timedeltas(timedelta(0), timedelta(days=2_000_000)).map(
    lambda each: datetime(1970, 1, 1, tzinfo=UTC) + each
)
claims = st.builds(
    Claims,
    user_id=ids,
    generation=st.integers(0, 2**32 - 1),
    scope=st.builds(Scope, st.sampled_from(["unscoped", "project", "domain", "system"]), ids),
    methods=st.sets(st.sampled_from(METHODS)).map(lambda each: tuple(sorted(each, key=METHODS.index))),
    audit_ids=st.lists(ids, max_size=2).map(tuple),
    issued_at=instants,
    expires_at=instants,
    application_credential_id=ids,
)


@given(claims)
def test_claims_come_out_as_they_went_in(each):
    assert unpacked(packed(each)) == each


@given(st.one_of(st.binary(max_size=120), claims.map(lambda each: packed(each)[:-1])))
def test_bytes_that_are_no_claims_are_refused_and_nothing_else(data):
    try:
        told = unpacked(data)
    except Unauthorized:
        return
    assert packed(told)[:1] == b"\x01"


def test_a_token_for_a_project_is_short():
    async def main(_world):
        identity = new_identity()
        project = identity.projects.list_all()[0].id
        return await token_for(identity, user_id_of(identity, "admin"), PASSWORD, Wanted("project", Named(id=project)))

    assert len(warp.run(main)) <= 204


def test_a_token_ends_at_its_time_in_the_worlds_own_clock_though_nothing_is_written():
    async def main(_world):
        identity = new_identity(Settings(token_life=100.0, argon2_memory_kib=8, argon2_passes=1))
        token = await token_for(identity, user_id_of(identity, "admin"), PASSWORD, Wanted("system"))
        session = identity.tokens.session(token)
        assert session.claims.issued_at == clock.EPOCH
        assert session.claims.expires_at == clock.EPOCH + timedelta(seconds=100)
        await aio.sleep(99.0)
        assert identity.authenticate(token).is_system
        await aio.sleep(1.0)
        with pytest.raises(Unauthorized):
            identity.authenticate(token)
        with pytest.raises(Unauthorized):
            await identity.tokens.issue(Login(("token",), token=token))

    warp.run(main)


def test_a_credential_that_ends_ends_its_tokens():
    async def main(_world):
        identity = new_identity()
        admin, project = user_id_of(identity, "admin"), identity.projects.list_all()[0].id
        until = clock.utcnow() + timedelta(seconds=50)
        made = await identity.application_credentials.create(admin, project, "ci", expires_at=until)
        login = Login(("application_credential",), credential=Named(id=made.credential.id), secret=made.secret)
        token = (await identity.tokens.issue(login)).token
        assert identity.tokens.session(token).claims.expires_at == until
        await aio.sleep(50.0)
        with pytest.raises(Unauthorized):
            identity.authenticate(token)
        with pytest.raises(Unauthorized):
            await identity.tokens.issue(login)

    warp.run(main)


def test_revocations_are_forgotten_once_the_tokens_would_have_ended():
    async def main(_world):
        identity = new_identity(Settings(token_life=100.0, argon2_memory_kib=8, argon2_passes=1))
        admin = user_id_of(identity, "admin")
        for _ in range(3):
            identity.tokens.revoke(await token_for(identity, admin, PASSWORD))
        with identity.books.reading() as reader:
            assert reader.count(tables.revoked_tokens) == 3
        await aio.sleep(101.0)
        identity.tokens.revoke(await token_for(identity, admin, PASSWORD))
        with identity.books.reading() as reader:
            assert reader.count(tables.revoked_tokens) == 1

    warp.run(main)


def test_the_staged_key_becomes_the_one_that_seals_and_old_ones_are_forgotten():
    async def main(_world):
        identity = new_identity()
        seen = []
        for _ in range(4):
            with identity.books.reading() as reader:
                rows = {row["number"]: row["secret"] for row in reader.find(tables.token_keys)}
            seen.append(rows)
            identity.keys.rotate()
        return seen

    seen = warp.run(main)
    assert [sorted(rows) for rows in seen] == [[0, 1], [0, 1, 2], [0, 2, 3], [0, 3, 4]]
    for before, after in pairwise(seen):
        assert after[max(after)] == before[0]
        assert after[0] not in before.values()


def test_without_keys_there_are_no_tokens():
    async def main(_world):
        identity = new_identity()
        with identity.books.writing() as tx:
            tx.delete(tables.token_keys, tables.token_keys.c.number >= 0)
        with pytest.raises(InvariantError, match="bootstrap"):
            identity.authenticate("gAAAAA")
        with pytest.raises(InvariantError, match="staged"):
            identity.keys.rotate()
        with pytest.raises(ValueError, match="two keys"):
            Keys(identity.books, 1)

    warp.run(main)


def test_a_wrong_password_a_user_without_one_and_no_user_at_all_cost_the_same_comparison():
    compared: list[str | None] = []

    class Counting(Passwords):
        def matches(self, secret, stored):
            compared.append(stored)
            return super().matches(secret, stored)

    passwords = Counting(CHEAP)
    assert passwords.matches("right", passwords.hashed("right"))
    assert not passwords.matches("wrong", passwords.hashed("right"))
    assert not passwords.matches("right", "no hash at all")
    compared.clear()

    async def main(_world):
        identity = new_identity()
        tokens = Tokens(identity.books, passwords, CHEAP)
        identity.users.create("mute", "default")
        for name in ("admin", "mute", "nobody"):
            user = Named(name=name, domain=Named(id="default"))
            with pytest.raises(Unauthorized):
                await tokens.issue(Login(("password",), user=user, password="wrong"))

    warp.run(main)
    assert len(compared) == 3
    assert compared[1:] == [None, None]
    # What is compared with in place of nothing costs what a real one does.
    assert passwords._nobodys.split("$")[:4] == passwords.hashed("x").split("$")[:4]


class Slow(Passwords):
    """While it compares, somebody else changes what is compared."""

    def __init__(self, meanwhile):
        super().__init__(CHEAP)
        self.meanwhile = meanwhile

    def matches(self, secret, stored):
        matched = super().matches(secret, stored)
        self.meanwhile()
        return matched


def test_a_password_that_is_changed_while_it_is_compared_gives_no_token():
    async def main(_world):
        identity = new_identity()
        user = identity.users.create("eve", "default", password="old")
        slow = Slow(lambda: identity.users.update(user.id, {}, password="new"))
        with pytest.raises(Unauthorized):
            await token_for_by(Tokens(identity.books, slow, CHEAP), user.id, "old")
        slow = Slow(lambda: identity.users.update(user.id, {}, password="newer"))
        with pytest.raises(Unauthorized):
            await Users(identity.books, slow).change_password(user.id, "new", "mine")
        assert await token_for(identity, user.id, "newer")

    warp.run(main)


async def token_for_by(tokens, user_id, password):
    login = Login(("password",), user=Named(id=user_id), password=password)
    return (await tokens.issue(login)).token


def test_a_secret_is_in_no_repr():
    async def main(_world):
        identity = new_identity()
        admin, project = user_id_of(identity, "admin"), identity.projects.list_all()[0].id
        wanted = Wanted("project", Named(id=project))
        login = Login(("password", "token"), user=Named(id=admin), password=PASSWORD, token="canary", scope=wanted)
        issued = await identity.tokens.issue(
            Login(("password",), user=Named(id=admin), password=PASSWORD, scope=wanted)
        )
        made = await identity.application_credentials.create(admin, project, "ci")
        kept = identity.credentials.create(admin, "totp", "canary-of-totp")
        with identity.books.reading() as reader:
            keys = [row["secret"] for row in reader.find(tables.token_keys)]
            stored = reader.find(tables.users)[0]["password_hash"]
        shown = repr((login, issued, made, kept, identity.users.list_all(), issued.session))
        for secret in (PASSWORD, "canary", issued.token, made.secret, stored, *keys):
            assert secret not in shown

    warp.run(main)


def test_the_same_seed_gives_the_same_ids():
    async def main(_world):
        identity = new_identity()
        identity.users.create("eve", "default")
        return [each.id for each in identity.users.list_all()], [each.id for each in identity.roles.list_all()]

    assert warp.run(main) == warp.run(main)


def test_on_an_ordinary_loop_a_token_has_the_machines_time():
    async def main():
        identity = new_identity()
        before = clock.utcnow()
        token = await token_for(identity, user_id_of(identity, "admin"), PASSWORD)
        assert before <= identity.tokens.session(token).claims.issued_at <= clock.utcnow()

    asyncio.run(main())


def test_what_is_known_of_tokens_does_not_grow_without_end():
    async def main(_world):
        identity = new_identity(Settings(argon2_memory_kib=8, argon2_passes=1, remembered_tokens=5))
        admin = user_id_of(identity, "admin")
        tokens = [await token_for(identity, admin, PASSWORD) for _ in range(20)]
        assert len(identity.tokens._known) <= 5
        assert all(identity.authenticate(each).user_id == admin for each in tokens)

    warp.run(main)


def test_a_role_given_twice_is_one_role():
    async def main(_world):
        identity = new_identity()
        user = identity.users.create("eve", "default")
        assignment = Assignment(Actor("user", user.id), Scope("system"), role_id_of(identity, "reader"))
        identity.assignments.grant(assignment)
        identity.assignments.grant(assignment)
        given, _ = identity.assignments.every()
        assert given.count(assignment) == 1

    warp.run(main)


def test_while_a_password_is_hashed_or_compared_others_have_their_turn():
    turn = threading.Event()

    class Patient(Passwords):
        """Takes as long as nobody else has had a turn."""

        def matches(self, secret, stored):
            assert turn.wait(30.0)
            return super().matches(secret, stored)

        def hashed(self, secret):
            assert turn.wait(30.0)
            return super().hashed(secret)

    async def main():
        identity = new_identity()
        admin = user_id_of(identity, "admin")
        patient = Patient(CHEAP)
        users, tokens = Users(identity.books, patient), Tokens(identity.books, patient, CHEAP)
        for work in (
            lambda: token_for_by(tokens, admin, PASSWORD),
            lambda: patient.hash("new"),
            lambda: users.change_password(admin, PASSWORD, "new"),
        ):
            turn.clear()
            working = asyncio.ensure_future(work())
            await asyncio.sleep(0)
            assert not working.done()
            turn.set()
            await working
        assert await token_for(identity, admin, "new")

    asyncio.run(main())


def test_of_many_logins_only_so_many_are_compared_at_once():
    at_once, most = 0, 0
    counting, pair = threading.Lock(), threading.Barrier(2, timeout=30.0)

    class Counted(Passwords):
        """Knows how many are at work."""

        def matches(self, secret, stored):
            nonlocal at_once, most
            with counting:
                at_once += 1
                most = max(most, at_once)
            pair.wait()
            try:
                return super().matches(secret, stored)
            finally:
                with counting:
                    at_once -= 1

    async def main():
        counted = Counted(replace(CHEAP, argon2_at_once=2))
        stored = counted.hashed("right")
        return await asyncio.gather(*(counted.compare("right", stored) for _ in range(20)))

    assert all(asyncio.run(main()))
    assert most == 2


def test_a_hash_takes_the_place_of_a_password_and_is_not_shown():
    async def main(_world):
        identity = new_identity()
        hashed = await identity.passwords.hash("canary")
        user = identity.users.create("eve", "default", password=hashed)
        assert await token_for(identity, user.id, "canary")
        assert "argon2" not in repr(hashed)
        with pytest.raises(Unauthorized):
            await token_for(identity, user.id, str(hashed))

    warp.run(main)
