"""Keypairs."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator

from sundog.api.compute.schemas.common import Limit, Name, Part, StrictQuery
from sundog.api.kit.bodies import Body, Query

_NAME: Final = re.compile(r"[_\- a-zA-Z0-9]+")
_NAME_2_92: Final = re.compile(r"[_\-@. a-zA-Z0-9]+")


def _plain(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("Only expected characters: [_\\- a-zA-Z0-9]")
    return value


def _plain_2_92(value: str) -> str:
    if not _NAME_2_92.fullmatch(value):
        raise ValueError("Only expected characters: [_\\-\\@\\. a-zA-Z0-9]")
    return value


KeyName = Annotated[Name, AfterValidator(_plain)]
KeyName_2_92 = Annotated[Name, AfterValidator(_plain_2_92)]
Kind = Literal["ssh", "x509"]


class NewKeypair(Part):
    """A keypair to be: imported with a public key, made up without."""

    name: KeyName
    public_key: str | None = None


class NewKeypair_2_2(NewKeypair):
    """Of a type."""

    type: Kind = "ssh"


class NewKeypair_2_10(NewKeypair_2_2):
    """For another user."""

    user_id: str | None = None


class NewKeypair_2_92(Part):
    """Imported, with more characters in its name."""

    name: KeyName_2_92
    public_key: str
    type: Kind = "ssh"
    user_id: str | None = None


AnyNewKeypair = NewKeypair | NewKeypair_2_92


class CreateKeypair(Body):
    """A new keypair."""

    keypair: NewKeypair


class CreateKeypair_2_2(Body):
    """A new keypair."""

    keypair: NewKeypair_2_2


class CreateKeypair_2_10(Body):
    """A new keypair."""

    keypair: NewKeypair_2_10


class CreateKeypair_2_92(Body):
    """A new keypair."""

    keypair: NewKeypair_2_92


class OfUser(Query):
    """Whose keypair."""

    user_id: str | None = None


class OfUser_2_75(StrictQuery):
    """Whose keypair, and no other keys."""

    user_id: str | None = None


class ListKeypairs_2_35(Query):
    """Whose keypairs, and which page of them."""

    user_id: str | None = None
    limit: Limit | None = None
    marker: str | None = None


class ListKeypairs_2_75(StrictQuery):
    """Whose keypairs, which page of them, and no other keys."""

    user_id: str | None = None
    limit: Limit | None = None
    marker: str | None = None
