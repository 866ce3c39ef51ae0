"""I12: every request that may have changed something leaves one event, made from the tables of operations."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import stat
from types import SimpleNamespace

import httpx2 as httpx
import pytest

from sundog import app
from sundog.api.kit.application import application
from sundog.api.kit.audit import AuditFile, Event, made_by
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import NO_TOKEN, Desk, Service
from sundog.control.identity import Settings as IdentitySettings
from sundog.control.identity import bootstrap
from sundog.control.store import open_store
from sundog.runtime import warp
from sundog.runtime.clock import EPOCH
from tests.unit.api.client import Client

NOTHING = "0123456789abcdef0123456789abcdef"
CANARY = "canary-which-nobody-may-see"
EVERY = [(service, operation) for service in app.SERVICES for operation in service.operations]
MUTATING = [case for case in EVERY if case[1].method not in ("GET", "HEAD", "OPTIONS")]
READING = [case for case in EVERY if case not in MUTATING]


def named(case):
    service, operation = case
    return f"{operation.method} {service.prefix}{operation.path} {operation.action or ''} {operation.since or ''}"


class Cloud:
    """A cloud of all services, without hosts; ``events`` are those since :meth:`events_of` was asked last."""

    def __init__(self, folder):
        cheap = IdentitySettings(argon2_memory_kib=8, argon2_passes=1)
        self.cloud = app.make_cloud(open_store(app.MEMORY), folder, 1, cheap)
        self.events: list[Event] = []

        async def main(_world):
            made = bootstrap(self.cloud.identity, CANARY, address="http://cloud.test", catalogue=app.CATALOGUE)
            return made.user_id, self.cloud.identity.users.create("nobody", "default", password=CANARY).id

        self.admin_id, self.nobody_id = warp.run(main)
        self.client = Client(app.make_app(self.cloud, 1, audit=self.events.append))
        self.admin = {"x-auth-token": self.login(CANARY).headers["x-subject-token"]}
        self.events.clear()

    def login(self, password, name="admin"):
        user = {"name": name, "domain": {"id": "default"}, "password": password}
        scope = {"scope": {"project": {"name": "admin", "domain": {"id": "default"}}}} if name == "admin" else {}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}} | scope
        return self.client.post("/identity/v3/auth/tokens", json={"auth": auth})

    def ask(self, service: Service, operation, headers):
        """A request about things that are not there."""
        told = dict(headers)
        if operation.since is not None:
            told["openstack-api-version"] = f"{service.history.service_type} {operation.since}"
        path = service.prefix + re.sub(r"{[^}]*}", NOTHING, operation.path)
        body = {} if operation.action is None else {"json": {operation.action: None}}
        return self.client(operation.method, path or "/", headers=told, **body)

    def events_of(self, answer):
        """What the audit was told meanwhile, with the request's own id in the answer."""
        told = [json.loads(event.line()) for event in self.events]
        self.events.clear()
        assert all(each["request_id"] == answer.headers["x-openstack-request-id"] for each in told)
        return told


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    made = Cloud(tmp_path_factory.mktemp("state"))
    yield made
    made.cloud.store.close()


@pytest.mark.parametrize("case", MUTATING, ids=named)
def test_every_operation_that_may_change_something_leaves_one_event(cloud, case):
    service, operation = case
    answer = cloud.ask(service, operation, cloud.admin)
    (told,) = cloud.events_of(answer)
    assert told["service"] == service.name
    assert told["operation"].split(" ")[:2] == [operation.method, service.prefix + operation.path]
    assert told["status"] == answer.status_code
    assert told["outcome"] == ("success" if answer.status_code < 400 else "failure")
    assert told["time"].startswith("20")
    names = re.findall(r"{(\w+)[^}]*}", operation.path)
    assert told["target"] == dict.fromkeys(names, NOTHING)
    if operation.rule is not NO_TOKEN:
        assert told["who"]["user_id"] == cloud.admin_id
        assert "admin" in told["who"]["roles"]


@pytest.mark.parametrize("case", MUTATING, ids=named)
def test_who_has_no_good_token_leaves_no_event_and_fills_no_disk(cloud, case):
    service, operation = case
    if operation.rule is not NO_TOKEN:
        answer = cloud.ask(service, operation, {"x-auth-token": CANARY})
        assert answer.status_code == 401
        assert cloud.events_of(answer) == []


@pytest.mark.parametrize("case", READING, ids=named)
def test_who_reads_leaves_no_event(cloud, case):
    service, operation = case
    if service.name != "sundog" or "events" not in operation.path:  # whose answer has no end
        answer = cloud.ask(service, operation, cloud.admin)
        assert cloud.events_of(answer) == []


def test_what_is_forbidden_leaves_an_event_with_the_rule_that_forbids_it(cloud):
    answer = cloud.login(CANARY, "nobody")
    (told,) = cloud.events_of(answer)
    assert told["who"]["user_id"] == cloud.nobody_id
    headers = {"x-auth-token": answer.headers["x-subject-token"]}
    answer = cloud.client.delete(f"/identity/v3/users/{cloud.admin_id}", headers=headers)
    (told,) = cloud.events_of(answer)
    assert (told["outcome"], told["status"], told["rule"]) == ("failure", 403, "identity:delete_user")
    assert told["target"] == {"user_id": cloud.admin_id}
    assert told["who"]["user_id"] == cloud.nobody_id


def test_a_login_tells_who_it_was_and_one_that_fails_that_it_did(cloud):
    answer = cloud.login(CANARY)
    (told,) = cloud.events_of(answer)
    assert (told["outcome"], told["who"]["user_id"], told["client"]) == ("success", cloud.admin_id, "127.0.0.1")
    assert answer.json()["token"]["audit_ids"][0] == told["who"]["token_id"]
    (told,) = cloud.events_of(cloud.login("wrong"))
    assert (told["outcome"], told["status"], told["who"]) == ("failure", 401, None)


def test_what_is_made_is_named_and_what_is_secret_is_not(cloud):
    lines = []
    for path, body, name in (
        ("identity/v3/users", {"user": {"name": "eve", "password": CANARY}}, "id"),
        ("identity/v3/credentials", {"credential": {"type": "x", "blob": CANARY, "user_id": cloud.admin_id}}, "id"),
        (f"identity/v3/users/{cloud.admin_id}/application_credentials",
         {"application_credential": {"name": "a", "secret": CANARY}}, "id"),
        ("compute/v2.1/os-keypairs", {"keypair": {"name": "k"}}, "name"),
        ("network/v2.0/networks", {"network": {"name": "n"}}, "id"),
    ):  # fmt: skip
        answer = cloud.client.post(f"/{path}", json=body, headers=cloud.admin)
        assert answer.status_code in (200, 201), answer.text
        (inner,) = answer.json().values()
        lines += [event.line() for event in cloud.events]
        (told,) = cloud.events_of(answer)
        assert told["made"] == [inner[name]]
        assert "PRIVATE KEY" not in lines[-1]
    cloud.login(CANARY)
    lines += [event.line() for event in cloud.events]
    cloud.events.clear()
    for line in lines:
        assert CANARY not in line
        assert cloud.admin["x-auth-token"] not in line


@pytest.mark.parametrize(
    ("told", "made"),
    [
        ({"server": {"id": "1", "adminPass": "p"}}, ("1",)),
        ({"id": "1", "name": "n", "owner": "o"}, ("1",)),
        ({"uuid": "1", "name": "n"}, ("1",)),
        ({"ports": [{"id": "1"}, {"id": "2"}]}, ("1", "2")),
        ({"image_id": "1"}, ("1",)),
        ({"adminPass": "p"}, ()),
        ({"keypair": {"name": "k", "private_key": "p"}}, ("k",)),
        ({"quota_set": {"cores": 7}}, ()),
        ({"ids": [1, {"id": 7}]}, ()),
        ({}, ()),
        (None, ()),
        (b"id", ()),
    ],
)
def test_of_an_answer_the_ids_of_what_was_made_are_kept(told, made):
    assert made_by(told) == made


EVENT = Event(EPOCH, "req-1", "compute", "DELETE /x/{id}", "x:delete", None, "127.0.0.1", {"id": "a\nb"}, status=204)


def test_the_file_has_a_line_an_event_and_is_its_owners(tmp_path):
    path = tmp_path / "audit.jsonl"
    write = AuditFile(path)
    write(EVENT)
    path.rename(tmp_path / "audit.1.jsonl")
    write(EVENT)
    write(EVENT)
    told = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(told) == 2
    assert told[0]["target"] == {"id": "a\nb"}
    assert told[0]["who"] is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_cannot_be_written_to_the_file_goes_to_the_log(tmp_path, caplog):
    AuditFile(tmp_path / "no folder" / "audit.jsonl")(EVENT)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert EVENT.line() in record.getMessage()


def test_of_a_request_that_is_cut_short_nobody_knows_what_came():
    events: list[Event] = []
    begun = asyncio.Event()
    slow = Service("slow", prefix="/slow", fault=lambda *_: {})

    @slow.operation("POST", "/{thing}", NO_TOKEN)
    async def never(ctx, thing: str):
        """Wait for nothing."""
        begun.set()
        await asyncio.Event().wait()

    desk = Desk(SimpleNamespace(), Policy([]), None, lambda: "req-1", audit=events.append)

    async def main():
        transport = httpx.ASGITransport(app=application([slow], desk))
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud.test") as sender:
            request = asyncio.ensure_future(sender.post("/slow/1"))
            await begun.wait()
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request

    asyncio.run(main())
    (event,) = events
    assert (event.status, event.outcome, event.target) == (None, "unknown", {"thing": "1"})
