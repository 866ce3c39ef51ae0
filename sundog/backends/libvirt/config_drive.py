"""A config drive: OpenStack's documents and the user data on a small ISO 9660 disk labelled ``config-2``.

Format: https://docs.openstack.org/nova/latest/user/metadata.html#config-drives.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from sundog.backends.contract import ServerSpec
from sundog.errors import InputError

LABEL: Final = "config-2"


def drive_files(spec: ServerSpec) -> dict[str, bytes]:
    """What is on a server's drive, by path: its documents, and its user data beside each ``meta_data.json``."""
    files = {path: text.encode() for path, text in spec.drive.items()}
    if spec.user_data is not None:
        places = [PurePosixPath(path).parent for path in files if path.endswith("/meta_data.json")]
        files |= {str(place / "user_data"): spec.user_data for place in places}
    return files


def make_drive(files: Mapping[str, bytes]) -> bytes:
    """An image with these files, by their paths, with Joliet and Rock Ridge names.

    Raises: InputError where pycdlib is not installed.
    """
    try:
        import pycdlib
    except ImportError as error:
        raise InputError(
            "config drives are written by pycdlib, which is not installed; pip install 'sundog[libvirt]'"
        ) from error
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    folders = {PurePosixPath("/"): ""}  # by their names in full, what ISO 9660 alone calls them
    for number, (path, data) in enumerate(sorted(files.items())):
        whole = PurePosixPath("/") / path
        for folder in reversed(whole.parents[:-1]):
            if folder not in folders:
                folders[folder] = f"{folders[folder.parent]}/D{len(folders)}"
                image.add_directory(folders[folder], rr_name=folder.name, joliet_path=str(folder))
        plain = f"{folders[whole.parent]}/F{number}.;1"
        image.add_fp(io.BytesIO(data), len(data), plain, rr_name=whole.name, joliet_path=str(whole))
    written = io.BytesIO()
    image.write_fp(written)
    image.close()
    return written.getvalue()
