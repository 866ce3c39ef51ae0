"""Whatever is written to identity in whatever order, a token means what a small model says, from the next moment on."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from sundog.control.identity import Identity, Settings, bootstrap
from sundog.control.identity.assignments import Actor, Assignment
from sundog.control.identity.payload import Scope
from sundog.control.identity.tokens import Login, Named, Wanted
from sundog.control.store import open_store
from sundog.errors import NotFound, Unauthorized
from sundog.runtime.clock import VirtualClock
from sundog.runtime.ids import Ids
from sundog.runtime.seeds import Streams

LIFE = 1000.0
KEPT = 3
MOST = 10  # tokens, each of which is looked at after every step
CHEAP = Settings(token_life=LIFE, argon2_memory_kib=8, argon2_passes=1, kept_keys=KEPT)
SYSTEM = Scope("system")


class HandLoop(asyncio.SelectorEventLoop, VirtualClock):
    """A loop whose time is moved by hand."""

    hand = 0.0

    def time(self) -> float:
        return self.hand


@dataclass
class Person:
    domain: str
    password: str
    enabled: bool = True
    generation: int = 0
    groups: set[str] = field(default_factory=set)


@dataclass
class Place:
    domain: str
    parent: str | None
    enabled: bool = True


@dataclass
class Kept:
    """What the model knows of a token."""

    text: str
    user: str
    generation: int
    scope: Scope
    expires: float
    rotation: int
    revoked: bool = False


class IdentityMachine(RuleBasedStateMachine):
    users = Bundle("users")
    groups = Bundle("groups")
    scopes = Bundle("scopes")
    roles = Bundle("roles")
    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.loop = HandLoop()
        self.store = open_store(":memory:")
        self.store.migrate()
        self.people: dict[str, Person] = {}
        self.places: dict[str, Place] = {}
        self.domains: dict[str, bool] = {"default": True}
        self.names: dict[str, str] = {}
        self.implied: set[tuple[str, str]] = set()
        self.given: set[Assignment] = set()
        self.kept: list[Kept] = []
        self.rotation = 0
        self.count = 0
        self.identity = Identity(self.store, Ids(Streams(1).stream("ids")), CHEAP)
        made = self.does(bootstrap, self.identity, "p", address="http://cloud.test")
        self.names = {role_id: name for name, role_id in made.role_ids.items()}
        self.ids = ids = made.role_ids
        self.implied = {(ids["admin"], ids["manager"]), (ids["manager"], ids["member"]), (ids["member"], ids["reader"])}
        self.administrator = made.user_id
        self.people[made.user_id] = Person("default", "p")
        self.places[made.project_id] = Place("default", "default")
        for scope in (Scope("project", made.project_id), Scope("domain", "default"), SYSTEM):
            self.given.add(Assignment(Actor("user", made.user_id), scope, ids["admin"]))

    def teardown(self) -> None:
        self.store.close()
        self.loop.close()

    def does(self, call, *args, **options):
        """The call, inside of the loop; the error if it was refused."""

        async def main():
            try:
                done = call(*args, **options)
                return await done if inspect.isawaitable(done) else done
            except (NotFound, Unauthorized) as exc:
                return exc

        return self.loop.run_until_complete(main())

    def name(self) -> str:
        self.count += 1
        return f"n{self.count}"

    # ---- things

    @initialize(target=roles)
    def first_roles(self):
        return multiple(*(self.ids[name] for name in ("admin", "manager", "member", "service")))

    @initialize(target=users)
    def first_user(self):
        return self.new_user("default")

    @initialize(target=scopes)
    def first_scopes(self):
        return multiple(self.new_place("default"), Scope("domain", "default"), SYSTEM)

    def new_user(self, domain: str) -> str:
        user = self.does(self.identity.users.create, self.name(), domain, password="p")
        self.people[user.id] = Person(domain, "p")
        return user.id

    def new_place(self, parent: str) -> Scope:
        project = self.does(self.identity.projects.create, self.name(), parent_id=parent)
        self.places[project.id] = Place(project.domain_id, parent)
        return Scope("project", project.id)

    @rule(target=users, scope=scopes)
    def user(self, scope):
        return self.new_user(scope.id if self.domains.get(scope.id) else "default")

    @rule(target=users)
    def user_elsewhere(self):
        return self.new_user(self.domain().id)

    @rule(target=groups)
    def group(self):
        return self.does(self.identity.groups.create, self.name(), "default").id

    @rule(target=scopes, scope=scopes)
    def project(self, scope):
        parent = scope.id if self.usable(scope) and scope != SYSTEM and self.depth(scope.id) < 4 else "default"
        return self.new_place(parent)

    @rule(target=scopes)
    def new_domain(self):
        return self.domain()

    def domain(self) -> Scope:
        made = self.does(self.identity.projects.create, self.name(), is_domain=True)
        self.domains[made.id] = True
        return Scope("domain", made.id)

    @rule(target=roles)
    def role(self):
        made = self.does(self.identity.roles.create, self.name())
        self.names[made.id] = made.name
        return made.id

    # ---- what ends things

    @rule(user=consumes(users))
    def delete_user(self, user):
        self.does(self.identity.users.delete, user)
        self.people.pop(user, None)
        self.given = {each for each in self.given if each.actor != Actor("user", user)}

    @rule(group=consumes(groups))
    def delete_group(self, group):
        self.does(self.identity.groups.delete, group)
        for person in self.people.values():
            person.groups.discard(group)
        self.given = {each for each in self.given if each.actor != Actor("group", group)}

    @rule(scope=scopes)
    def delete_project(self, scope):
        if scope.id not in self.places or any(place.parent == scope.id for place in self.places.values()):
            return
        self.does(self.identity.projects.delete, scope.id)
        del self.places[scope.id]
        self.given = {each for each in self.given if each.target != scope}

    @rule(scope=scopes)
    def delete_domain(self, scope):
        if scope.id == "default" or self.domains.get(scope.id) is not False:
            return
        self.does(self.identity.projects.delete_domain, scope.id)
        del self.domains[scope.id]
        gone = {each for each, place in self.places.items() if place.domain == scope.id} | {scope.id}
        self.places = {each: place for each, place in self.places.items() if each not in gone}
        left = {each for each, person in self.people.items() if person.domain == scope.id}
        self.people = {each: person for each, person in self.people.items() if each not in left}
        self.given = {each for each in self.given if each.target.id not in gone and each.actor.id not in left}

    @rule(role=roles)
    def delete_role(self, role):
        if self.names.get(role, "n").startswith("n") and role in self.names:
            self.does(self.identity.roles.delete, role)
            del self.names[role]
            self.given = {each for each in self.given if each.role_id != role}
            self.implied = {pair for pair in self.implied if role not in pair}

    # ---- what changes things

    @rule(user=users, enabled=st.booleans())
    def enable_user(self, user, enabled):
        self.does(self.identity.users.update, user, {"enabled": enabled})
        if person := self.people.get(user):
            person.generation += person.enabled and not enabled
            person.enabled = enabled

    @rule(user=users, own=st.booleans())
    def change_password(self, user, own):
        new, person = self.name(), self.people.get(user)
        if own:
            old = person.password if person else "x"
            done = self.does(self.identity.users.change_password, user, old, new)
            assert isinstance(done, Unauthorized) is (person is None or not person.enabled)
            changed = not isinstance(done, Unauthorized)
        else:
            changed = not isinstance(self.does(self.identity.users.update, user, {}, password=new), NotFound)
            assert changed is (person is not None)
        if person and changed:
            person.password = new
            person.generation += 1

    @rule(scope=scopes, enabled=st.booleans())
    def enable_scope(self, scope, enabled):
        if scope.id in self.places:
            self.does(self.identity.projects.update, scope.id, {"enabled": enabled})
            self.places[scope.id].enabled = enabled
        elif scope.id in self.domains and scope.id != "default":
            self.does(self.identity.projects.update, scope.id, {"enabled": enabled})
            self.domains[scope.id] = enabled

    @rule(user=users, group=groups, joins=st.booleans())
    def membership(self, user, group, joins):
        self.does(self.identity.groups.add if joins else self.identity.groups.remove, group, user)
        if person := self.people.get(user):
            (person.groups.add if joins else person.groups.discard)(group)

    @rule(
        who=st.one_of(users.map(lambda each: Actor("user", each)), groups.map(lambda each: Actor("group", each))),
        scope=scopes,
        role=roles,
        inherited=st.booleans(),
        gives=st.sampled_from([True, True, False]),
    )
    def grant(self, who, scope, role, inherited, gives):
        assignment = Assignment(who, scope, role, inherited and scope != SYSTEM)
        done = self.does(self.identity.assignments.grant if gives else self.identity.assignments.revoke, assignment)
        if isinstance(done, NotFound):
            assert assignment not in self.given
            return
        (self.given.add if gives else self.given.remove)(assignment)

    @rule(index=tokens, enabled=st.booleans())
    def enable_domain_of_the_user_of(self, index, enabled):
        user = self.kept[index].user
        if user in self.people:
            self.enable_scope(Scope("domain", self.people[user].domain), enabled)

    @rule(data=st.data())
    def revoke_one(self, data):
        order = sorted((each for each in self.given if each.actor.id != self.administrator), key=repr)
        if order:
            assignment = data.draw(st.sampled_from(order))
            assert self.does(self.identity.assignments.revoke, assignment) is None
            self.given.remove(assignment)

    @rule(prior=roles, implied=roles, gives=st.booleans())
    def imply(self, prior, implied, gives):
        if prior == implied or self.names.get(implied) == "admin":
            return
        done = self.does(self.identity.roles.imply if gives else self.identity.roles.unimply, prior, implied)
        if not isinstance(done, NotFound):
            (self.implied.add if gives else self.implied.discard)((prior, implied))

    @rule()
    def rotate_keys(self):
        self.does(self.identity.keys.rotate)
        self.rotation += 1

    @rule(seconds=st.sampled_from([LIFE / 2, LIFE]))
    def wait(self, seconds):
        self.loop.hand += seconds

    # ---- tokens

    @rule(target=tokens, user=users, scope=scopes, right=st.booleans())
    def try_to_log_in(self, user, scope, right):
        return self.log_in(user, scope, right=right)

    def log_in(self, user, scope, *, right):
        person = self.people.get(user)
        password = person.password if person and right else "wrong"
        wanted = Wanted(scope.kind, None if scope == SYSTEM else Named(id=scope.id))
        login = Login(("password",), user=Named(id=user), password=password, scope=wanted)
        return self.issued(login, user, scope, self.loop.hand + LIFE, right and self.may(user, scope))

    @rule(target=tokens, user=users, scope=scopes, role=roles)
    def give_and_log_in(self, user, scope, role):
        return self.grant_and_log_in(user, scope, role)

    def grant_and_log_in(self, user, scope, role):
        assignment = Assignment(Actor("user", user), scope, role)
        if not isinstance(self.does(self.identity.assignments.grant, assignment), NotFound):
            self.given.add(assignment)
        return self.log_in(user, scope, right=True)

    @rule(target=tokens, role=roles)
    def outsider_logs_in(self, role):
        return self.grant_and_log_in(self.new_user(self.domain().id), SYSTEM, role)

    @rule(target=tokens, scope=st.sampled_from([SYSTEM, Scope("domain", "default")]))
    def log_in_as_administrator(self, scope):
        return self.log_in(self.administrator, scope, right=True)

    @rule(target=tokens, index=tokens, scope=scopes)
    def rescope(self, index, scope):
        kept = self.kept[index]
        wanted = Wanted(scope.kind, None if scope == SYSTEM else Named(id=scope.id))
        login = Login(("token",), token=kept.text, scope=wanted)
        may = self.good(kept) and self.may(kept.user, scope)
        return self.issued(login, kept.user, scope, kept.expires, may)

    def issued(self, login, user, scope, expires, may):
        done = self.does(self.identity.tokens.issue, login)
        assert isinstance(done, Unauthorized) is not may
        if not may:
            return multiple()
        if len(self.kept) == MOST:
            return multiple()
        generation = self.people[user].generation
        self.kept.append(Kept(done.token, user, generation, scope, expires, self.rotation))
        return len(self.kept) - 1

    @rule(index=tokens)
    def revoke(self, index):
        kept = self.kept[index]
        done = self.does(self.identity.tokens.revoke, kept.text)
        assert isinstance(done, NotFound) is not self.good(kept)
        kept.revoked = True

    # ---- the model

    def depth(self, project: str) -> int:
        place = self.places.get(project)
        return 0 if place is None or place.parent is None else 1 + self.depth(place.parent)

    def above(self, scope: Scope) -> list[str]:
        place = self.places.get(scope.id)
        if scope.kind != "project" or place is None or place.parent is None:
            return []
        return [place.parent, *self.above(Scope("project", place.parent))]

    def usable(self, scope: Scope) -> bool:
        """Whether the thing is there and enabled, and all above it as far as creating below it goes."""
        if scope == SYSTEM:
            return True
        if scope.kind == "domain":
            return self.domains.get(scope.id, False)
        place = self.places.get(scope.id)
        if place is None or not place.enabled or not self.domains.get(place.domain, False):
            return False
        return all(self.places[each].enabled for each in self.above(scope) if each in self.places)

    def reachable(self, scope: Scope) -> bool:
        """Whether a token can be for it."""
        if scope.kind != "project":
            return self.usable(scope)
        place = self.places.get(scope.id)
        return place is not None and place.enabled and self.domains.get(place.domain, False)

    def roles_of(self, user: str, scope: Scope) -> set[str]:
        actors = {Actor("user", user)} | {Actor("group", each) for each in self.people[user].groups}
        above = self.above(scope)
        met = {
            each.role_id
            for each in self.given
            if each.actor in actors
            and ((each.target == scope and not each.inherited) or (each.inherited and each.target.id in above))
        }
        while more := {implied for prior, implied in self.implied if prior in met} - met:
            met |= more
        return {self.names[each] for each in met}

    def may(self, user: str, scope: Scope) -> bool:
        person = self.people.get(user)
        if person is None or not person.enabled or not self.domains.get(person.domain, False):
            return False
        return self.reachable(scope) and bool(self.roles_of(user, scope))

    def good(self, kept: Kept) -> bool:
        return (
            self.may(kept.user, kept.scope)
            and self.people[kept.user].generation == kept.generation
            and not kept.revoked
            and kept.expires > self.loop.hand
            and self.rotation - kept.rotation <= KEPT - 2
        )

    @invariant()
    def tokens_mean_what_the_model_says(self):
        for kept in self.kept:
            told = self.does(self.identity.authenticate, kept.text)
            if not self.good(kept):
                assert isinstance(told, Unauthorized), kept
                continue
            assert not isinstance(told, Unauthorized), kept
            assert told.user_id == kept.user
            assert set(told.roles) == self.roles_of(kept.user, kept.scope)
            assert told.scope == kept.scope.kind
            assert kept.scope.id in (told.project_id, told.domain_id, "")


TestIdentity = IdentityMachine.TestCase
TestIdentity.settings = settings(max_examples=60, stateful_step_count=40)
