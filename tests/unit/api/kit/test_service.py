"""What a service does with a request before and after its handler."""

from __future__ import annotations

import logging

import pytest

from sundog.api.kit.application import application
from sundog.api.kit.bodies import MOST_BYTES
from sundog.api.kit.context import Context
from sundog.api.kit.policy import Policy, Rule, read_policy_file
from sundog.api.kit.service import NO_TOKEN, Desk, Reply, Service
from sundog.errors import InputError
from tests.unit.api.client import Client
from tests.unit.api.kit.sample import Cloud, authenticate, fault, make_app, zoo


def client(token: str = "member-a", cloud: Cloud | None = None, **options) -> Client:
    return Client(make_app(cloud, options.pop("overrides", None)), x_auth_token=token, **options)


def test_discovery_needs_no_token_and_links_to_where_the_client_reached_us():
    answer = Client(make_app(), base="http://cloud.test:5000").get("/zoo/v2.1/")
    assert answer.status_code == 200
    assert answer.json()["version"]["links"] == [{"rel": "self", "href": "http://cloud.test:5000/zoo/v2.1/"}]
    forwarded = {"x-forwarded-proto": "https", "x-forwarded-host": "api.example.org"}
    told = client().get("/zoo/v2.1", headers=forwarded).json()
    assert told["version"]["links"][0]["href"] == "https://api.example.org/zoo/v2.1/"


@pytest.mark.parametrize("token", [None, "", "tampered"])
def test_no_good_token_is_401_in_the_services_own_shape(token):
    headers = {} if token is None else {"x-auth-token": token}
    answer = Client(make_app()).get("/zoo/v2.1/animals", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["zooFault"]["code"] == 401
    assert "Keystone" in answer.headers["www-authenticate"]


def test_identity_headers_of_a_client_mean_nothing():
    spoofed = {"x-roles": "admin", "x-project-id": "x", "x-is-admin-project": "true", "x-identity-status": "Confirmed"}
    assert Client(make_app()).get("/zoo/v2.1/animals", headers=spoofed).status_code == 401
    closing = {**spoofed, "openstack-api-version": "zoo 2.2"}
    assert client("reader-a").post("/zoo/v2.1/close", headers=closing).status_code == 403


def test_a_token_without_a_project_owns_nothing():
    cloud = Cloud()
    cloud.take_in(None, "nobody's")
    assert client("domain-member", cloud).get("/zoo/v2.1/animals").status_code == 403


def test_policy_comes_before_the_body_is_looked_at():
    answer = client("reader-a").post("/zoo/v2.1/animals", content=b"not json")
    assert answer.status_code == 403
    assert answer.json()["zooFault"]["message"] == "Policy doesn't allow zoo:animals:create to be performed."


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not json", "not JSON"),
        (b"[]", "the body"),
        (b"{}", "'animal' is a required property"),
        (b'{"animal": {"name": "x", "owner": "me"}}', "'animal.owner' was unexpected"),
        (b'{"animal": {"name": 7}}', "animal.name"),
        (b'{"animal": {"name": "' + b"x" * 21 + b'"}}', "animal.name"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_malformed_body_is_400_and_says_where_but_not_the_value(content, said):
    answer = client().post("/zoo/v2.1/animals", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert said in answer.json()["zooFault"]["message"]
    assert "xxx" not in answer.text


def test_a_body_of_another_kind_is_415_and_one_that_is_too_long_413():
    assert client().post("/zoo/v2.1/animals", content=b"a=1", headers={"content-type": "text/plain"}).status_code == 415
    assert client().post("/zoo/v2.1/animals", content=b" " * (MOST_BYTES + 1)).status_code == 413

    async def endless():
        for _ in range(1_000_000):
            yield b" " * 1024

    assert client().post("/zoo/v2.1/animals", content=endless()).status_code == 413


def test_an_operation_differs_by_microversion():
    post = client().post
    body = {"animal": {"name": "ant", "legs": 6}}
    assert post("/zoo/v2.1/animals", json=body).status_code == 400
    for headers in ({"openstack-api-version": "zoo 2.10"}, {"x-openstack-zoo-api-version": "latest"}):
        answer = post("/zoo/v2.1/animals", json=body, headers=headers)
        assert (answer.status_code, answer.json()["animal"]["legs"]) == (202, 6)
        assert answer.headers["openstack-api-version"] == "zoo 2.10"
        assert answer.headers["x-openstack-zoo-api-version"] == "2.10"
        assert "OpenStack-API-Version" in answer.headers["vary"]


def test_a_version_that_is_not_there_is_406_and_one_that_is_none_400():
    get = client().get
    too_new = get("/zoo/v2.1/animals", headers={"openstack-api-version": "zoo 2.11"})
    assert too_new.status_code == 406
    assert "Minimum is 2.1 and maximum is 2.10." in too_new.json()["zooFault"]["message"]
    assert get("/zoo/v2.1/animals", headers={"openstack-api-version": "zoo two"}).status_code == 400
    assert get("/zoo/v2.1/animals", headers={"openstack-api-version": "compute 9.9"}).status_code == 200


def test_an_operation_that_no_operation_serves_at_this_version_is_404():
    assert client("admin").post("/zoo/v2.1/close").status_code == 404
    assert client("admin").post("/zoo/v2.1/close", headers={"openstack-api-version": "zoo 2.2"}).status_code == 409


def test_what_belongs_to_others_is_not_found_in_the_words_for_what_is_not_there():
    cloud = Cloud()
    cloud.take_in("b", "bear")
    theirs = client("member-a", cloud).get("/zoo/v2.1/animals/a00")
    nothing = client("member-a", cloud).get("/zoo/v2.1/animals/a99")
    assert theirs.status_code == nothing.status_code == 404
    assert theirs.text.replace("a00", "a99") == nothing.text
    assert client("member-b", cloud).get("/zoo/v2.1/animals/a00").status_code == 200
    assert client("admin", cloud).get("/zoo/v2.1/animals/a00").status_code == 200


def test_a_handler_that_forgets_to_ask_is_never_heard():
    answer = client("admin").get("/zoo/v2.1/forgetful")
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_a_crash_is_a_500_that_tells_nothing_and_a_log_line_that_tells_all(caplog):
    with caplog.at_level(logging.ERROR, "sundog.api"):
        answer = client().get("/zoo/v2.1/broken")
    assert (answer.status_code, answer.json()["zooFault"]["code"]) == (500, 500)
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text
    assert answer.headers["x-openstack-request-id"] in caplog.text


def test_every_answer_has_its_own_request_id():
    send = client()
    first, second = send.get("/zoo/v2.1/animals"), send.get("/zoo/v2.1/nothing")
    assert first.headers["x-openstack-request-id"] == first.headers["x-zoo-request-id"] == "req-1"
    assert second.headers["x-openstack-request-id"] == "req-2"


def test_unknown_paths_and_methods_are_faults_of_the_service_they_are_under():
    send = client()
    assert send.get("/zoo/v2.1/nothing").json()["zooFault"]["code"] == 404
    wrong = send.put("/zoo/v2.1/animals")
    assert (wrong.status_code, wrong.json()["zooFault"]["code"]) == (405, 405)
    assert send.get("/zoo/v2.10").status_code == send.get("/elsewhere").status_code == 404


@pytest.mark.parametrize("prefix", ["", "/zoo"])
def test_the_slash_of_a_root_is_no_empty_id(prefix):
    send = Client(application([small(prefix)], Desk(None, Policy([]), authenticate, lambda: "req-1")))
    wrong = send.delete(f"{prefix}/")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET")
    assert send.delete(f"{prefix}/animals/").status_code == 404


def small(prefix: str) -> Service:
    """A root and a collection."""
    service = Service("zoo", prefix=prefix, fault=fault)

    @service.operation("GET", "", NO_TOKEN)
    async def root(ctx: Context) -> dict:
        return {}

    @service.operation("GET", "/animals", NO_TOKEN)
    async def animals(ctx: Context) -> dict:
        return {}

    return service


def test_slashes_are_taken_as_they_come_without_a_redirect():
    send = client()
    for path in ("/zoo/v2.1/animals", "/zoo/v2.1/animals/", "/zoo///v2.1//animals/"):
        assert send.get(path).status_code == 200


def test_an_empty_answer_has_no_body_and_no_content_type():
    answer = client().delete("/zoo/v2.1/animals/a1")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    teapot = client().put("/zoo/v2.1/teapot")
    assert (teapot.status_code, teapot.json(), teapot.headers["x-tea"]) == (418, {"teapot": True}, "green")


def test_lists_come_in_pages_whose_links_lead_through_all_of_them():
    cloud = Cloud()
    for name in ("cat", "ape", "bee", "dog", "elk"):
        cloud.take_in("a", name)
    cloud.take_in("b", "fox")
    send = client(cloud=cloud)
    seen, path = [], "/zoo/v2.1/animals?sort_key=name&sort_dir=desc&limit=2"
    while path:
        told = send.get(path).json()
        seen += [each["name"] for each in told["animals"]]
        path = told.get("animals_links", [{}])[0].get("href", "").removeprefix("http://cloud.test")
    assert seen == ["elk", "dog", "cat", "bee", "ape"]
    for wrong in ("limit=-1", "limit=x", "marker=nothing", "sort_key=legs", "sort_key=name&sort_dir=up"):
        assert send.get(f"/zoo/v2.1/animals?{wrong}").status_code == 400
    assert len(send.get("/zoo/v2.1/animals?limit=1000000000&unknown=1").json()["animals"]) == 5


def test_half_a_surrogate_pair_goes_back_as_it_came():
    cloud = Cloud()
    cloud.take_in("a", "\ud83d")
    listed = client(cloud=cloud).get("/zoo/v2.1/animals")
    assert (listed.status_code, listed.json()["animals"][0]["name"]) == (200, "\ud83d")


def test_a_policy_file_changes_who_may(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text('"zoo:animals:create": "role:reader"\n')
    overrides = read_policy_file(path)
    answer = client("reader-a", overrides=overrides).post("/zoo/v2.1/animals", json={"animal": {"name": "ant"}})
    assert answer.status_code == 202
    with pytest.raises(InputError, match="no rule 'zoo:animals:creat'"):
        Policy(zoo.rules, {"zoo:animals:creat": "@"})
    with pytest.raises(InputError, match="cannot be read"):
        Policy(zoo.rules, {"zoo:close": "role:admin or or"})
    path.write_text("- a list\n")
    with pytest.raises(InputError, match="mapping"):
        read_policy_file(path)


def test_the_sample_policy_file_has_every_rule_commented_out():
    sample = Policy(zoo.rules).sample()
    assert '# Close the zoo\n#"zoo:close": "role:admin"' in sample
    assert all(line.startswith("#") or not line for line in sample.splitlines())


def test_a_handler_must_take_the_parts_of_its_path():
    service = Service("x", prefix="/x", fault=fault)
    with pytest.raises(ValueError, match=r"takes no \{animal_id\}"):

        @service.operation("GET", "/animals/{animal_id}", Rule("x", "@"))
        async def show(ctx):
            return None


def test_openapi_is_made_from_the_tables():
    told = Client(make_app()).get("/openapi.json").json()
    listing = told["paths"]["/zoo/v2.1/animals"]["get"]
    assert listing["summary"] == "List the animals of the project."
    assert listing["x-openstack-policy"] == "zoo:animals:list"
    assert [each["name"] for each in listing["parameters"]] == ["limit", "marker", "sort_key", "sort_dir", "name"]
    create = told["paths"]["/zoo/v2.1/animals"]["post"]
    assert create["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/CreateLegged"
    }
    assert told["components"]["schemas"]["Legged"]["additionalProperties"] is False
    assert told["paths"]["/zoo/v2.1/animals/{animal_id}"]["get"]["parameters"][0]["name"] == "animal_id"
    assert "security" not in told["paths"]["/zoo/v2.1"]["get"]


def test_a_header_that_names_what_a_client_sent_holds_no_more_than_a_header_can():
    service = Service("x", prefix="/x", fault=fault)

    @service.operation("PUT", "/tags/{tag}", NO_TOKEN, status=201)
    async def tag(ctx: Context, tag: str) -> Reply:
        return Reply(None, headers={"location": ctx.link(f"/tags/{tag}")})

    desk = Desk(None, Policy([]), authenticate, lambda: "req-1")
    client = Client(application([service], desk))
    answer = client.put("/x/tags/%F2%B9%9D%8C%0D%0Aset-cookie:%20a=b")
    assert answer.status_code == 201
    assert answer.headers["location"] == "http://cloud.test/x/tags/%F2%B9%9D%8C%0D%0Aset-cookie: a=b"
    assert "set-cookie" not in answer.headers
