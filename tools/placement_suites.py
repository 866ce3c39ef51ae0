"""OpenStack Placement's own gabbi suites against a server that runs: see tools/placement-gabbi, which calls this.

The package ``openstack-placement`` has the suites, and fixtures that fill Placement's database. Here the fixtures fill
the server instead, over its API: what they call of Placement's internals is put in place of by the functions below.

Usage: placement_suites.py URL POLICY [WORD...], in an environment with gabbi and openstack-placement. POLICY says which
suites go with the server's rules. Only suites with one of the WORDs in their names are run, if any is given. The last
line has the counts; a line a test that failed stands before it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import unittest
import uuid
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from gabbi import driver
from placement.tests.functional.fixtures import gabbits

IDS = [
    "RP_UUID",
    "RP_NAME",
    "RP_UUID1",
    "RP_NAME1",
    "RP_UUID2",
    "RP_NAME2",
    "PROJECT_ID",
    "ADMIN_PROJECT_ID",
    "SERVICE_PROJECT_ID",
    "USER_ID",
    "PROJECT_ID_ALT",
    "USER_ID_ALT",
    "INSTANCE_UUID",
    "MIGRATION_UUID",
    "CONSUMER_UUID",
    "PARENT_PROVIDER_UUID",
    "ALT_PARENT_PROVIDER_UUID",
]
CLASSES = {"CUSTOM_RES_CLASS": "IRON_NFV", "CUSTOM_RES_CLASS1": "IRON_NFV1", "CUSTOM_RES_CLASS2": "IRON_NFV2"}
# Fixtures by the rules that they are about. Suites of all other fixtures go with the deprecated rules, under which
# Placement itself runs them.
RULES = {"SecureRBACPolicyFixture": "defaults", "OpenPolicyFixture": "open", "CORSFixture": "never"}


class Refused(Exception):
    """The server did not do what a fixture needs."""


class Server:
    """Placement's API, by a few verbs."""

    def __init__(self, url: str) -> None:
        self.parts = urlsplit(url)

    def __call__(self, method: str, path: str, body: object = None, *, version: str = "1.39", also: tuple = ()):
        headers = {"X-Auth-Token": "admin", "OpenStack-API-Version": f"placement {version}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = HTTPConnection(self.parts.hostname, self.parts.port)
        connection.request(method, self.parts.path.rstrip("/") + path, body and json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 300 and answer.status not in also:
            raise Refused(f"{method} {path}: {answer.status} {text!r}")
        return json.loads(text) if text else None

    def empty(self) -> None:
        """Delete everything: allocations, then providers from the leaves up, then what is custom."""
        providers = self("GET", "/resource_providers")["resource_providers"]
        for each in providers:
            for consumer in self("GET", f"/resource_providers/{each['uuid']}/allocations")["allocations"]:
                self("DELETE", f"/allocations/{consumer}", also=(404,))
        parents = {each["uuid"]: each["parent_provider_uuid"] for each in providers}
        while parents:
            for leaf in set(parents) - set(parents.values()):
                self("DELETE", f"/resource_providers/{leaf}")
                del parents[leaf]
        for trait in self("GET", "/traits?name=startswith:CUSTOM_")["traits"]:
            self("DELETE", f"/traits/{trait}")
        for each in self("GET", "/resource_classes")["resource_classes"]:
            if each["name"].startswith("CUSTOM_"):
                self("DELETE", f"/resource_classes/{each['name']}")


class Someone:
    """A project or a user: Placement knows of them by what is said with allocations."""

    def __init__(self, _context: object, external_id: str) -> None:
        self.external_id = external_id

    def create(self) -> None:
        """There is nothing to do."""


class Provider:
    """A provider that is there."""

    def __init__(self, server: Server, identity: str) -> None:
        self.server, self.uuid = server, identity

    def generation(self) -> int:
        return self.server("GET", f"/resource_providers/{self.uuid}")["generation"]

    def set_aggregates(self, uuids) -> None:
        body = {"aggregates": list(uuids), "resource_provider_generation": self.generation()}
        self.server("PUT", f"/resource_providers/{self.uuid}/aggregates", body)


class Tally(unittest.TestResult):
    """The results of all suites: a fixture that fails ends its own suite, not the run."""

    passed = 0

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        """One more."""
        super().addSuccess(test)
        self.passed += 1

    def stop(self) -> None:
        """Go on."""


class Maker:
    """What the fixtures call to fill Placement, by the names that they call it by."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def create_provider(self, _context, name, *aggregates, **told) -> Provider:
        identity = told.get("uuid") or getattr(gabbits.uuids, name)
        body = {"name": name, "uuid": identity, "parent_provider_uuid": told.get("parent")}
        self.server("POST", "/resource_providers", body)
        provider = Provider(self.server, identity)
        if aggregates:
            provider.set_aggregates(aggregates)
        return provider

    def add_inventory(self, provider, resource_class, total, **told) -> None:
        if resource_class.startswith("CUSTOM_"):
            self.server("PUT", f"/resource_classes/{resource_class}")
        body = {"resource_class": resource_class, "total": total, "max_unit": total} | told
        self.server("POST", f"/resource_providers/{provider.uuid}/inventories", body)

    def set_traits(self, provider, *traits) -> None:
        for trait in traits:
            if trait.startswith("CUSTOM_"):
                self.server("PUT", f"/traits/{trait}")
        body = {"traits": list(traits), "resource_provider_generation": provider.generation()}
        self.server("PUT", f"/resource_providers/{provider.uuid}/traits", body)

    def ensure_consumer(self, _context, user, project, consumer_id=None):
        identity = consumer_id or str(uuid.uuid4())
        return type("Consumer", (), {"uuid": identity, "user": user, "project": project})()

    def set_allocation(self, _context, provider, consumer, used) -> None:
        path = f"/allocations/{consumer.uuid}"
        body = {
            "allocations": {provider.uuid: {"resources": dict(used)}},
            "project_id": consumer.project.external_id,
            "user_id": consumer.user.external_id,
            "consumer_generation": self.server("GET", path, version="1.28").get("consumer_generation"),
        }
        self.server("PUT", path, body, version="1.28")

    def create_user_and_project(self, _context, prefix="fake"):
        return Someone(None, f"{prefix}-user"), Someone(None, f"{prefix}-project")

    def resource_class(self, context, name):
        server = self.server
        return type(
            "ResourceClass", (), {"name": name, "create": lambda _: server("PUT", f"/resource_classes/{name}")}
        )()


def redirect(server: Server) -> None:
    """Let the package's fixtures fill ``server``."""

    def start(fixture) -> None:
        server.empty()
        fixture.context = None
        os.environ.update({name: str(uuid.uuid4()) for name in IDS})
        os.environ.update({name: f"CUSTOM_{end}" for name, end in CLASSES.items()})

    maker = Maker(server)
    gabbits.APIFixture.start_fixture = start
    gabbits.APIFixture.stop_fixture = lambda _fixture: None
    gabbits.OpenPolicyFixture.start_fixture = start
    gabbits.tb = maker
    gabbits.user_obj = type("", (), {"User": Someone})
    gabbits.project_obj = type("", (), {"Project": Someone})
    gabbits.rc_obj = type("", (), {"ResourceClass": staticmethod(maker.resource_class)})


def chosen(policy: str, words: list[str], folder: Path) -> None:
    """Copy the suites that go with ``policy`` into ``folder``."""
    for path in sorted((Path(gabbits.__file__).parent.parent / "gabbits").glob("*.yaml")):
        fixtures = yaml.safe_load(path.read_text(encoding="utf-8")).get("fixtures", [])
        rules = {RULES[fixture] for fixture in fixtures if fixture in RULES} or {"deprecated"}
        if rules == {policy} and (not words or any(word in path.name for word in words)):
            shutil.copy(path, folder)


def main(url: str, policy: str, words: list[str]) -> None:
    """Run the suites and say how they went."""
    server = Server(url)
    redirect(server)
    with tempfile.TemporaryDirectory() as folder:
        chosen(policy, words, Path(folder))
        suite = driver.build_tests(
            folder,
            unittest.TestLoader(),
            host=server.parts.hostname,
            port=server.parts.port,
            prefix=server.parts.path,
            fixture_module=gabbits,
            test_loader_name="placement",
        )
        result = Tally()
        suite.run(result)
    for test, why in [*result.failures, *result.errors]:
        print(f"FAILED {test.id()}: {why.strip().splitlines()[-1][:300]}")
        if os.environ.get("VERBOSE"):
            print(why)
    print(f"{result.passed} passed, {suite.countTestCases() - result.passed} failed")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
