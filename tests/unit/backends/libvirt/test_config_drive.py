"""A config drive holds what it was given, under the names that guests look for."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from sundog.backends.contract import ServerSpec
from sundog.backends.libvirt.config_drive import LABEL, drive_files, make_drive

pycdlib = pytest.importorskip("pycdlib", reason="pycdlib is not installed: pip install 'sundog[libvirt]'")

SPEC = ServerSpec(
    "s", 1, "web", "p", 1, 64, config_drive=True, user_data=b"#!/bin/sh\n\xff",
    drive={"openstack/latest/meta_data.json": "{}", "openstack/2012-08-10/meta_data.json": "{ }"},
)  # fmt: skip


def test_user_data_lies_beside_each_document_of_metadata() -> None:
    files = drive_files(SPEC)
    assert files["openstack/latest/user_data"] == files["openstack/2012-08-10/user_data"] == SPEC.user_data
    assert "openstack/latest/user_data" not in drive_files(replace(SPEC, user_data=None))


def test_what_was_written_is_found_by_its_name() -> None:
    files = drive_files(SPEC) | {"openstack/content/a name with spaces & <things>": b"x" * 5000}
    image = pycdlib.PyCdlib()
    image.open_fp(io.BytesIO(make_drive(files)))
    assert image.pvd.volume_identifier.decode().strip() == LABEL
    for path, data in files.items():
        for way in ("joliet_path", "rr_path"):
            found = io.BytesIO()
            image.get_file_from_iso_fp(found, **{way: f"/{path}"})
            assert found.getvalue() == data
    image.close()
