"""A BMC that speaks Redfish: sushy-tools' emulator in a process, over TLS, with machines that are made up."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import loads
from pathlib import Path

import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.unit.api.kit.test_server import free_port

USERNAME = "owner"
PASSWORD = 'canary: it\'s "quoted"'


@dataclass(frozen=True)
class Bmc:
    """Where it is, which certificate it shows, and the files with the right password and a wrong one."""

    address: str
    ca: Path
    password: Path
    wrong: Path


@contextmanager
def bmc(folder: Path, machines: Mapping[str, str], cut: Callable[[str], object] | None = None) -> Iterator[Bmc]:
    """The BMC of ``machines``, which are on: uuids by name. One that is told to go off is off within eleven seconds.

    ``cut`` is called with its uuid just before the BMC says that it is.
    """
    with ExitStack() as stack:
        port = free_port()
        told = stack.enter_context(_told(cut)) if cut is not None else ""
        made = Bmc(f"https://127.0.0.1:{port}", folder / "bmc.pem", folder / "password", folder / "wrong")
        _certify(made.ca, folder / "bmc.key")
        made.password.write_text(f"{PASSWORD}\n", encoding="utf-8")
        made.wrong.write_text("canary\n", encoding="utf-8")
        users, states, config = folder / "users", folder / "states", folder / "emulator.conf"
        states.mkdir()
        users.write_bytes(USERNAME.encode() + b":" + bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)) + b"\n")
        systems = [
            {"uuid": uuid, "name": name, "power_state": "On", "external_notifier": bool(told), "nics": []}
            for name, uuid in machines.items()
        ]
        settings = {
            "LISTEN_IP": "127.0.0.1", "LISTEN_PORT": port, "SSL_CERT": str(made.ca), "SSL_KEY": str(folder / "bmc.key"),
            "AUTH_FILE": str(users), "STATE_DIR": str(states), "FAKE_DRIVER": True, "FAKE_SYSTEMS": systems,
        }  # fmt: skip
        lines = [f"SUSHY_EMULATOR_{name} = {value!r}\n" for name, value in settings.items()]
        config.write_text("".join([*lines, f"EXTERNAL_NOTIFICATION_URL = {told!r}\n"]), encoding="utf-8")
        with (folder / "emulator.log").open("wb") as log:
            program = [str(Path(sys.executable).parent / "sushy-emulator"), "--config", str(config)]
            process = subprocess.Popen(program, stdout=log, stderr=log)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        due = time.monotonic() + 60
        while not _listens(port):
            assert process.poll() is None, (folder / "emulator.log").read_text()
            assert time.monotonic() < due
            time.sleep(0.1)
        yield made


@contextmanager
def _told(cut: Callable[[str], object]) -> Iterator[str]:
    """Where the emulator says that the power of a machine is another one."""

    class Told(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            machine = loads(self.rfile.read(int(self.headers["Content-Length"])))
            if machine["power_state"] == "Off":
                cut(machine["uuid"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Told) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _certify(certificate: Path, key_file: Path) -> None:
    """A certificate for 127.0.0.1 that vouches for itself, as BMCs have them."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a BMC")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    no_password = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password))
