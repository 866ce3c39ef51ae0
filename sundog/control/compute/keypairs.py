"""Keypairs: public keys that users log in with, and where need be a private key, which is told once and never kept."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from sundog.control.compute.books import Books
from sundog.control.compute.quotas import check_key_pairs
from sundog.control.compute.records import record
from sundog.control.store import Row
from sundog.control.store.tables import compute as tables
from sundog.errors import Conflict, Invalid, NotFound

SSH: Final = "ssh"
X509: Final = "x509"

_BITS: Final = 2048
_CERTIFIED: Final = timedelta(days=3650)
_PRINCIPAL_NAME: Final = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
"""The kind of name by which Windows knows a user."""


@dataclass(frozen=True, slots=True)
class Keypair:
    """A public key of a user. ``type`` is ``ssh`` or ``x509``, ``public_key`` OpenSSH's line or a PEM certificate."""

    number: int
    user_id: str
    name: str
    type: str
    public_key: str
    fingerprint: str
    created_at: datetime


class Keypairs:
    """The keypairs of users."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def list_all(self, user_id: str, *, marker: str | None = None, limit: int | None = None) -> list[Keypair]:
        """A page of a user's keypairs, by name. ``marker`` is the last name of the page before.

        Raises: Invalid for a marker that there is not.
        """
        table = tables.keypairs
        where = [table.c.user_id == user_id]
        with self._books.reading() as tx:
            if marker is not None:
                if tx.get(table, user_id=user_id, name=marker) is None:
                    raise Invalid(f"Marker {marker} could not be found.", marker=marker)
                where.append(table.c.name > marker)
            return [_keypair(row) for row in tx.find(table, *where, order_by=table.c.name, limit=limit)]

    def show(self, user_id: str, name: str) -> Keypair:
        """A keypair of a user by its name.

        Raises: NotFound.
        """
        with self._books.reading() as tx:
            row = tx.get(tables.keypairs, user_id=user_id, name=name)
        if row is None:
            raise _missing(user_id, name)
        return _keypair(row)

    def add(self, user_id: str, name: str, public_key: str, *, kind: str = SSH, project_id: str) -> Keypair:
        """Keep a public key. The quota is that of ``project_id``.

        Raises: Invalid for what is no key of this type; QuotaExceeded; Conflict for a name that the user has already.
        """
        values = {
            "user_id": user_id,
            "name": name,
            "type": kind,
            "public_key": public_key,
            "fingerprint": fingerprint(public_key, kind),
            "created_at": self._books.now(),
        }
        with self._books.writing() as tx:
            check_key_pairs(tx, project_id, user_id)
            if tx.get(tables.keypairs, user_id=user_id, name=name) is not None:
                raise Conflict(f"Key pair '{name}' already exists.", name=name)
            tx.insert(tables.keypairs, **values)
            row = tx.get(tables.keypairs, user_id=user_id, name=name)
        assert row is not None
        return _keypair(row)

    def generate(self, user_id: str, name: str, *, kind: str = SSH, project_id: str) -> tuple[Keypair, str]:
        """Make up a key and keep its public half; the other half is told, and kept nowhere.

        Raises: QuotaExceeded; Conflict for a name that the user has already.
        """
        with self._books.reading() as tx:  # a key takes long to make
            check_key_pairs(tx, project_id, user_id)
        public_key, private_key = _ssh_key() if kind == SSH else _certificate(user_id, self._books.now())
        return self.add(user_id, name, public_key, kind=kind, project_id=project_id), private_key

    def delete(self, user_id: str, name: str) -> None:
        """Delete a keypair. Servers keep the key that they have.

        Raises: NotFound.
        """
        table = tables.keypairs
        with self._books.writing() as tx:
            if not tx.delete(table, table.c.user_id == user_id, table.c.name == name):
                raise _missing(user_id, name)


def fingerprint(public_key: str, kind: str) -> str:
    """The digest of a public key, as Nova tells it: MD5 of an SSH key, SHA-1 of a certificate.

    Raises: Invalid for what is no public key of this type.
    """
    try:
        digest = _ssh_digest(public_key) if kind == SSH else _certificate_digest(public_key)
    except (ValueError, TypeError, IndexError, UnsupportedAlgorithm, binascii.Error):
        what = "fingerprint" if kind == SSH else "X509 fingerprint"
        raise Invalid(f"Keypair data is invalid: failed to generate {what}") from None
    return ":".join(f"{byte:02x}" for byte in digest)


def _ssh_digest(public_key: str) -> bytes:
    serialization.load_ssh_public_key(public_key.encode())
    return hashlib.md5(base64.b64decode(public_key.split()[1]), usedforsecurity=False).digest()


def _certificate_digest(pem: str) -> bytes:
    return x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA1())  # noqa: S303 - a name, no proof


def _ssh_key() -> tuple[str, str]:
    """``(public, private)``, as OpenSSH and PEM have them."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return f"{public.decode()} Generated-by-Sundog", private.decode()


def _certificate(user_id: str, now: datetime) -> tuple[str, str]:
    """``(certificate in PEM, private key in PKCS #12 in base 64)``, by which a user is let into Windows."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, user_id[:64])])
    principal = f"{user_id[:64]}@localhost".encode()
    principal_der = bytes((0x0C, len(principal))) + principal  # a UTF8String of fewer than 128 bytes
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + _CERTIFIED)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.OtherName(_PRINCIPAL_NAME, principal_der)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = pkcs12.serialize_key_and_certificates(None, key, certificate, None, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), base64.b64encode(private).decode()


def _keypair(row: Row) -> Keypair:
    return record(Keypair, row)


def _missing(user_id: str, name: str) -> NotFound:
    return NotFound(f"Keypair {name} not found for user {user_id}", name=name)
