"""Secrets are in no log, no fault and no repr; and no operation is left out of the rules."""

from __future__ import annotations

import logging

from sundog.api.identity import SERVICE
from sundog.api.kit.service import NO_TOKEN
from tests.unit.api.identity.cloud import PASSWORD, Cloud

V3 = "/identity/v3"
CANARY = "canary-which-nobody-may-see"


def test_secrets_reach_no_log_and_no_fault(cloud: Cloud, caplog):
    caplog.set_level(logging.DEBUG)
    user = cloud.make("users", "user", name="eve", password=CANARY)
    wrong = {"user": {"name": "x", "password": {"a": CANARY}}}
    token = cloud.login("eve", CANARY).headers["x-subject-token"]
    password_path = f"{V3}/users/{user['id']}/password"
    answers = [
        cloud.admin.post(f"{V3}/users", json=wrong),
        cloud.admin.post(f"{V3}/users", json={"user": {"name": "eve", "password": CANARY}}),
        cloud.admin.patch(f"{V3}/users/{user['id']}", json={"user": {"enabled": "x", "password": CANARY}}),
        cloud.admin.patch(f"{V3}/users/{user['id']}", json={"user": {"password": CANARY}}),
        cloud.login("nobody", CANARY),
        cloud.login("eve", CANARY, project={"id": "0" * 32}),
        cloud.anybody.post(password_path, json={"user": {"original_password": CANARY, "password": 7}}),
        cloud.anybody.post(password_path, json={"user": {"original_password": CANARY + "x", "password": CANARY}}),
        cloud.anybody.post(f"{V3}/auth/tokens", json={"auth": {"identity": {"methods": CANARY}, "x": CANARY}}),
        cloud.admin.get(f"{V3}/auth/tokens", headers={"x-subject-token": token + "x"}),
        cloud.admin.post(f"{V3}/credentials", json={"credential": {"type": "ec2", "blob": CANARY, "project_id": "x"}}),
        cloud.anybody.get(f"{V3}/users", headers={"x-auth-token": token + "x"}),
    ]
    assert [each.status_code for each in answers] == [400, 409, 400, 200, 401, 401, 400, 401, 400, 404, 400, 401]
    for each in answers:
        assert CANARY not in each.text
        assert token not in each.text
    assert CANARY not in caplog.text
    assert token not in caplog.text
    assert PASSWORD not in caplog.text


def test_every_operation_has_a_rule_of_keystones_or_is_one_that_anybody_may_ask_for():
    open_to_all = {(each.method, each.path) for each in SERVICE.operations if each.rule is NO_TOKEN}
    assert open_to_all == {
        ("GET", ""),
        ("GET", "/v3"),
        ("POST", "/v3/auth/tokens"),
        ("POST", "/v3/users/{user_id}/password"),
    }
    assert all(each.rule.name.startswith("identity:") for each in SERVICE.operations if each.rule is not NO_TOKEN)


def test_no_operation_answers_without_a_token(cloud):
    for each in SERVICE.operations:
        if each.rule is NO_TOKEN:
            continue
        path = each.path.replace("{", "").replace("}", "")
        answer = cloud.anybody(each.method, f"/identity{path}", json={})
        assert answer.status_code == 401, (each.method, path)


def test_a_user_without_a_role_changes_nothing(cloud):
    cloud.make("users", "user", name="eve", password="p")
    eve = cloud.as_user("eve", "p")
    for each in SERVICE.operations:
        if each.rule is NO_TOKEN or each.method in ("GET", "HEAD") or "/auth/" in each.path:
            continue
        kind = {"dis": "x"}
        path = each.path.replace("{", "").replace("}", "")
        answer = eve(each.method, f"/identity{path}", json=kind)
        # What is refused before the rule is asked, is refused for the body.
        assert answer.status_code in (400, 403), (each.method, path, answer.text)
