"""Validation of a token: ours and OpenStack's Keystone side by side.

    tools/setup-keystone .venv-keystone && .venv/bin/python benchmarks/token_validation.py [--repeats 300]

Asked is ``GET /v3/auth/tokens``: an administrator shows the token of a user for a project, and gets what it means with
a catalogue of six services with three endpoints each. Both keep their books in SQLite in a file, seal with Fernet, and
are asked in their own process without a socket by the same client, which also prepares both through their API. Told
are medians of CPU milliseconds a request, of the same token over and over, and of one that is validated right after a
write to a user. Keystone is measured as it is by default, when its cache lives no longer than a request, and with
``dogpile.cache.memory`` for a backend, which revokes late where there are several processes.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OTHER = ROOT / ".venv-keystone/bin/python"
PASSWORD = "benchmark-password"
TYPES = ("compute", "image", "network", "placement", "volumev3", "object-store")
INTERFACES = ("public", "internal", "admin")
AIM = 5.0

Ask = Callable[..., tuple[int, dict[str, str], bytes]]
"""``(method, path, headers, body) -> (status, headers, body)``; the path begins with ``/v3``."""


class Caller:
    """An administrator, by whatever way there is to ask."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._headers: dict[str, str] = {}
        self._headers["x-auth-token"] = self.token("admin", "admin")

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[dict[str, str], Any]:
        """An answer that is a good one: its headers and what it says."""
        data = b"" if body is None else json.dumps(body).encode()
        status, told, answer = self._ask(method, path, {**self._headers, **headers}, data)
        if status >= 400:
            raise SystemExit(f"{method} {path}: {status} {answer.decode()}")
        return told, json.loads(answer) if answer else None

    def token(self, user: str, project: str) -> str:
        """A token of a user for a project, by their names."""
        domain = {"domain": {"id": "default"}}
        identity = {"methods": ["password"], "password": {"user": {"name": user, "password": PASSWORD, **domain}}}
        body = {"auth": {"identity": identity, "scope": {"project": {"name": project, **domain}}}}
        return self("POST", "/v3/auth/tokens", body)[0]["x-subject-token"]

    def prepare(self) -> str:
        """Make a catalogue, and a user with the role member on a project; the user's id."""
        for each in TYPES:
            made = self("POST", "/v3/services", {"service": {"type": each, "name": each}})[1]["service"]
            for interface in INTERFACES:
                endpoint = {"service_id": made["id"], "interface": interface, "url": f"http://cloud.test/{each}"}
                self("POST", "/v3/endpoints", {"endpoint": endpoint})
        project = self("POST", "/v3/projects", {"project": {"name": "p1", "domain_id": "default"}})[1]["project"]
        user = {"name": "u1", "domain_id": "default", "password": PASSWORD}
        user = self("POST", "/v3/users", {"user": user})[1]["user"]
        role = self("GET", "/v3/roles?name=member")[1]["roles"][0]
        self("PUT", f"/v3/projects/{project['id']}/users/{user['id']}/roles/{role['id']}")
        return str(user["id"])

    def validate(self, token: str) -> float:
        """CPU milliseconds until it is known what a token means."""
        headers = {**self._headers, "x-subject-token": token}
        begun = time.process_time()
        status, _, answer = self._ask("GET", "/v3/auth/tokens", headers, b"")
        taken = 1000 * (time.process_time() - begun)
        told = json.loads(answer)["token"]
        endpoints = sum(len(each["endpoints"]) for each in told["catalog"] if each["type"] in TYPES)
        if status != 200 or told["project"]["name"] != "p1" or endpoints != len(TYPES) * len(INTERFACES):
            raise SystemExit(f"a wrong answer: {status} {answer.decode()}")
        return taken


def measured(ask: Ask, repeats: int) -> dict[str, float]:
    """Medians in CPU milliseconds: the same token ``again``, and one ``after_write``."""
    caller = Caller(ask)
    user_id = caller.prepare()
    token = caller.token("u1", "p1")
    again = [caller.validate(token) for _ in range(repeats + 10)][10:]
    after = []
    for number in range(repeats // 3):
        caller("PATCH", f"/v3/users/{user_id}", {"user": {"description": f"the {number}th"}})
        after.append(caller.validate(token))
    return {"again": statistics.median(again), "after_write": statistics.median(after)}


def ours(repeats: int) -> dict[str, float]:
    """Sundog's."""
    with our_identity() as ask:
        return measured(ask, repeats)


@contextmanager
def our_identity() -> Iterator[Ask]:
    """A way to ask Sundog's identity service, which has nobody but ``admin`` yet."""
    from types import SimpleNamespace

    sys.path.insert(0, str(ROOT))
    from sundog.api.identity import SERVICE
    from sundog.api.kit.application import application
    from sundog.api.kit.policy import Policy
    from sundog.api.kit.service import Desk
    from sundog.control.identity import Identity, bootstrap
    from sundog.control.store import open_store
    from sundog.runtime.ids import Ids
    from sundog.runtime.seeds import Streams

    async def begin(identity: Identity) -> None:
        bootstrap(identity, PASSWORD, address="http://cloud.test", catalogue=[])

    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        store = open_store(Path(folder))
        store.migrate()
        streams = Streams(1)
        ids = Ids(streams.stream("requests"))
        identity = Identity(store, Ids(streams.stream("ids")))
        runner.run(begin(identity))
        cloud = SimpleNamespace(identity=identity)
        desk = Desk(cloud, Policy(SERVICE.rules), identity.authenticate, lambda: f"req-{ids.uuid()}")
        yield by_asgi(application([SERVICE], desk), runner, "/identity")
        store.close()


def by_asgi(app: Any, runner: asyncio.Runner, prefix: str) -> Ask:
    """A way to ask an ASGI application."""

    def ask(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        path, _, query = path.partition("?")
        fields = {"host": "cloud.test", "content-type": "application/json", "content-length": str(len(body)), **headers}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": prefix + path, "raw_path": (prefix + path).encode(), "query_string": query.encode(),
            "root_path": "", "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "client": ("127.0.0.1", 1), "server": ("cloud.test", 80), "state": {},
        }  # fmt: skip
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        async def main() -> None:
            await app(scope, receive, send)

        runner.run(main())
        told = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], told, b"".join(each.get("body", b"") for each in sent[1:])

    return ask


def theirs(repeats: int, cache: str | None) -> dict[str, float]:
    """OpenStack's; runs in the other environment."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keystone.conf"
        lines = ["[database]", f"connection = sqlite:///{folder}/keystone.db"]
        for section in ("fernet_tokens", "credential"):
            lines += [f"[{section}]", f"key_repository = {folder}/{section}"]
            (Path(folder) / section).mkdir(mode=0o700)
        if cache is not None:
            lines += ["[cache]", f"backend = {cache}"]
        path.write_text("\n".join(lines), encoding="utf-8")
        manage = [str(Path(sys.executable).parent / "keystone-manage"), "--config-file", str(path)]
        owner = ["--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid())]
        for command in (
            ["db_sync"], ["fernet_setup", *owner], ["credential_setup", *owner],
            ["bootstrap", "--bootstrap-password", PASSWORD],
        ):  # fmt: skip
            done = subprocess.run([*manage, *command], check=False, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"keystone-manage {command[0]}: {done.stderr[-2000:]}")
        os.environ["OS_KEYSTONE_CONFIG_FILES"] = str(path)
        sys.argv[1:] = []  # Keystone would take our options for its own
        from keystone.server.wsgi import initialize_public_application

        return measured(by_wsgi(initialize_public_application()), repeats)


def by_wsgi(app: Any) -> Ask:
    """A way to ask a WSGI application."""

    def ask(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        path, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query,
            "SERVER_NAME": "cloud.test", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "cloud.test",
            "REMOTE_ADDR": "127.0.0.1", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False,
        }  # fmt: skip
        environ |= {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
        began: list[Any] = []
        answer = app(environ, lambda status, told, _exc=None: began.extend([status, told]))
        try:
            data = b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        return int(began[0].split()[0]), {name.lower(): value for name, value in began[1]}, data

    return ask


SIDES: dict[str, tuple[Path, Callable[[int], dict[str, float]]]] = {
    "ours": (Path(sys.executable), ours),
    "keystone": (OTHER, lambda repeats: theirs(repeats, None)),
    "cached": (OTHER, lambda repeats: theirs(repeats, "dogpile.cache.memory")),
}


def main() -> int:
    """Measure all, and say how many times faster ours is; the exit code is 1 under the aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--side", choices=sorted(SIDES), help="measure one side and print its milliseconds")
    told = parser.parse_args()
    if told.side:
        print(json.dumps(SIDES[told.side][1](told.repeats)))
        return 0
    quiet = os.environ | {"PYTHONWARNINGS": "ignore"}
    taken: dict[str, dict[str, float]] = {}
    for side, (python, _) in SIDES.items():
        command = [str(python), __file__, "--side", side, "--repeats", str(told.repeats)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=quiet, text=True).stdout
        taken[side] = json.loads(output.splitlines()[-1])
    for side, name in (("keystone", "Keystone"), ("cached", "Keystone with dogpile.cache.memory")):
        for case, words in (("again", "the same token"), ("after_write", "after a write")):
            other, own = taken[side][case], taken["ours"][case]
            print(f"{words}: {name} {other:.2f} ms, Sundog {own:.2f} ms, {other / own:.1f} times")
    return 0 if taken["keystone"]["again"] >= AIM * taken["ours"]["again"] else 1


if __name__ == "__main__":
    sys.exit(main())
