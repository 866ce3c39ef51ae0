"""A cloud put together: settings, the state folder, time across restarts."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ruamel.yaml import YAML

from sundog import app
from sundog.api.kit.server import Listen
from sundog.backends.simulated import AddedHosts, identical_hosts
from sundog.control.identity import Settings as IdentitySettings
from sundog.control.store import open_store
from sundog.errors import InputError, OutputError
from sundog.runtime import clock, warp
from sundog.sim.spec import HostType
from tests.unit.api.client import Client

CHEAP = IdentitySettings(argon2_memory_kib=8, argon2_passes=1)
SETTINGS = app.Settings(admin_password="canary-password", identity=CHEAP, seed=1)


def prepared(folder, settings=SETTINGS):
    """A cloud over a store in ``folder``, and the path of its clouds.yaml."""
    store = open_store(folder)
    cloud = app.make_cloud(store, folder, 1, settings.identity)

    async def main(_world):
        return app._prepare(cloud, folder, settings)

    return cloud, warp.run(main, epoch=app._epoch(store))


def log_in(cloud, password):
    client = Client(app.make_app(cloud, 1))
    user = {"name": "admin", "domain": {"id": "default"}, "password": password}
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    auth = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    return client, client.post("/identity/v3/auth/tokens", json=auth)


def test_a_new_cloud_lets_its_administrator_in_and_has_a_catalogue(tmp_path):
    cloud, path = prepared(tmp_path)
    client, answer = log_in(cloud, "canary-password")
    assert answer.status_code == 201
    endpoints = {each["type"]: each["endpoints"][0]["url"] for each in answer.json()["token"]["catalog"]}
    assert endpoints["placement"] == "http://127.0.0.1:5000/placement"
    token = {"x-auth-token": answer.headers["x-subject-token"]}
    assert client.get("/placement/resource_providers", headers=token).json() == {"resource_providers": []}
    assert client.get("/sundog/v1/clock", headers=token).status_code == 200
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_password_is_kept_over_restarts_and_a_given_one_replaces_it(tmp_path):
    cloud, path = prepared(tmp_path, replace(SETTINGS, admin_password=None))
    made_up = YAML(typ="safe").load(path.read_text())["clouds"]["sundog"]["auth"]["password"]
    assert len(made_up) > 20
    cloud.store.close()
    cloud, again = prepared(tmp_path, replace(SETTINGS, admin_password=None, listen=Listen(port=6000)))
    told = YAML(typ="safe").load(again.read_text())["clouds"]["sundog"]["auth"]
    assert (told["password"], told["auth_url"]) == (made_up, "http://127.0.0.1:6000/identity")
    cloud.store.close()
    cloud, _ = prepared(tmp_path)
    assert log_in(cloud, made_up)[1].status_code == 401
    assert log_in(cloud, "canary-password")[1].status_code == 201


def test_without_clouds_yaml_nothing_is_made_up_anew(tmp_path):
    cloud, path = prepared(tmp_path)
    cloud.store.close()
    path.unlink()
    with pytest.raises(InputError, match="SUNDOG_ADMIN_PASSWORD"):
        prepared(tmp_path, replace(SETTINGS, admin_password=None))
    path.write_text("clouds: {}\n")
    with pytest.raises(InputError, match="SUNDOG_ADMIN_PASSWORD"):
        prepared(tmp_path, replace(SETTINGS, admin_password=None))


def test_the_password_is_never_shown(tmp_path):
    assert "canary" not in repr(SETTINGS)


def test_a_state_folder_is_one_processs_and_its_owners_only(tmp_path):
    with app.state_folder(str(tmp_path / "state")) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        # A lock of this process would be its own, so another opening of the file stands for another process.
        with (folder / "lock").open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(OutputError, match="in use by another"), app.state_folder(str(folder)):
            pass
    with app.state_folder(str(tmp_path / "state")):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be used"), app.state_folder(str(tmp_path / "file")):
        pass


def test_a_cloud_in_memory_leaves_nothing_behind():
    with app.state_folder(app.MEMORY) as folder:
        assert folder.is_dir()
    assert not folder.exists()


# ---------------------------------------------------------------- what a state was begun with

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def begun(store, settings=SETTINGS, *, epoch=NOW):
    store.migrate()
    return app._beginning(store, settings, epoch)


def test_a_state_keeps_its_seed_and_its_fleet_and_draws_other_ids_at_each_start(tmp_path):
    store = open_store(tmp_path)
    first = begun(store, replace(SETTINGS, seed=7, fleet=identical_hosts(3)))
    again = begun(store, replace(SETTINGS, seed=None, fleet=None), epoch=NOW + timedelta(hours=1))
    assert (first.seed, first.fleet, first.elapsed) == (7, identical_hosts(3), 0.0)
    assert (again.seed, again.fleet, again.elapsed) == (7, identical_hosts(3), 3600.0)
    assert first.ids_seed != again.ids_seed
    assert begun(open_store(app.MEMORY), replace(SETTINGS, seed=7)).ids_seed == first.ids_seed


def test_a_new_state_that_is_told_nothing_draws_its_seed_and_has_ten_hosts():
    told = [begun(open_store(app.MEMORY), replace(SETTINGS, seed=None)) for _ in range(2)]
    assert told[0].seed != told[1].seed
    assert told[0].fleet == identical_hosts(app.DEFAULT_HOSTS) == identical_hosts(10)


@pytest.mark.parametrize(
    ("other", "said"),
    [({"seed": 8}, "another --seed"), ({"fleet": identical_hosts(4)}, "another --hosts or --scenario")],
)
def test_a_state_refuses_another_seed_or_fleet_and_stays_as_it_is(tmp_path, other, said):
    store = open_store(tmp_path)
    settings = replace(SETTINGS, seed=7, fleet=identical_hosts(3))
    begun(store, settings)
    with pytest.raises(InputError, match=said):
        begun(store, replace(settings, **other))
    assert begun(store, settings).fleet == identical_hosts(3)


def test_hosts_that_were_added_are_kept_in_their_order(tmp_path):
    store = open_store(tmp_path)
    assert begun(store).added == ()
    kind = HostType(name="new", vcpus=8, memory=1024)
    several = tuple(AddedHosts(type=kind, names=(f"new-{number}",), zone=None, rack="r") for number in range(3))
    for each in several:
        app._note_hosts(store, each)
    assert begun(store).added == several


def test_time_never_goes_back_between_two_starts(tmp_path):
    store = open_store(tmp_path)
    store.migrate()
    assert abs(app._epoch(store) - clock.wall_utcnow()) < timedelta(minutes=5)
    ahead = datetime(2999, 1, 1, tzinfo=UTC)

    async def main(_world):
        app._note_time(store)
        app._note_time(store)

    warp.run(main, epoch=ahead)
    assert app._epoch(store) == ahead + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (replace(SETTINGS, listen=Listen("0.0.0.0")), "without TLS"),
        (replace(SETTINGS, listen=Listen("::")), "without TLS"),
        (replace(SETTINGS, listen=Listen("cloud.example.org")), "without TLS"),
        (replace(SETTINGS, listen=Listen(certificate="cert.pem")), "both a certificate and a key"),
        (replace(SETTINGS, speed=0.0), "makes no sense"),
        (replace(SETTINGS, speed=float("nan")), "makes no sense"),
    ],
)
def test_what_is_not_safe_or_makes_no_sense_is_refused(settings, said):
    with pytest.raises(InputError, match=said):
        app.check(settings, insecure=False)


def test_loopback_and_what_is_said_to_be_behind_something_else_are_fine():
    for host in ("127.0.0.1", "::1", "localhost", "127.1.2.3"):
        app.check(replace(SETTINGS, listen=Listen(host)), insecure=False)
    app.check(replace(SETTINGS, listen=Listen("0.0.0.0")), insecure=True)


def test_every_operation_of_every_service_has_a_rule_of_its_own_name():
    for service in app.SERVICES:
        for operation in service.operations:
            assert operation.rule.check, (service.name, operation.path)


def test_openapi_covers_all_services(tmp_path):
    cloud, _ = prepared(tmp_path)
    told = Client(app.make_app(cloud, 1)).get("/openapi.json").json()
    services = {service.prefix.split("/")[1] for service in app.SERVICES}
    assert {path.split("/")[1] for path in told["paths"]} == services
    assert json.dumps(told)
    assert os.environ.get("SUNDOG_ADMIN_PASSWORD") is None


def test_a_cloud_that_is_served_loads_nothing_that_only_studies_need() -> None:
    script = "import sys, sundog.app, sundog.cli.serve; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {"pandas", "pyarrow", "scipy", "numba", "matplotlib"}.isdisjoint(done.stdout.split())
