"""A tiny guest for tests, made of Debian's packages: kernel, busybox, dropbear and QEMU's agent, booted by syslinux.

It asks for addresses by DHCP, reads keys, host name and user data from a config drive or the metadata service, lets
root log in with a key, takes a password for root from its host, obeys the power button, and says on its serial console
how far it is. Its root is in memory, so it boots in seconds without KVM. Making it needs no root: packages are
downloaded and unpacked, not installed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bed.needs import GUEST, MISSING, SEARCHED, BedError, NotInstalled, need

HERE = Path(__file__).parent
FILES = HERE / "guest"
CACHE = HERE.parents[1] / ".cache/guest"
KERNEL = "linux-image-cloud-amd64"
PACKAGES = (
    "busybox-static", "dropbear-bin", "libc6", "libcrypt1", "libgmp10", "libtomcrypt1", "libtommath1", "zlib1g",
    "qemu-guest-agent", "libglib2.0-0", "libnuma1", "libpcre2-8-0", "libudev1", "liburing2",
)  # fmt: skip
LOADER = "ld-linux-x86-64.so.2"
LIBRARIES = (
    "libc.so.6", "libcrypt.so.1", "libgmp.so.10", "libtomcrypt.so.1", "libtommath.so.1", "libz.so.1",
    "libglib-2.0.so.0", "libgmodule-2.0.so.0", "libm.so.6", "libnuma.so.1", "libpcre2-8.so.0", "libudev.so.1",
    "liburing.so.2",
)  # fmt: skip
"""What dropbear and QEMU's agent are linked to."""
MODULES = (
    "virtio_pci", "virtio_blk", "virtio_net", "virtio_scsi", "virtio_console", "virtio_balloon", "virtio-rng", "sd_mod",
    "sr_mod", "isofs", "ata_piix", "ahci", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859-1", "nls_utf8", "button",
    "evdev",
)  # fmt: skip
"""Drivers, those that a kernel does not have or has built in left out."""
ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "shadow": "root:*:19000:0:99999:7:::\n",
    "group": "root:x:0:\n",
    "shells": "/bin/sh\n",
    "hosts": "127.0.0.1 localhost\n",
}
DISK_MIB = 48
START_SECTOR = 2048
SECTOR = 512
BOOT_RECORD = Path("/usr/lib/syslinux/mbr/mbr.bin")
ENVIRONMENT = os.environ | {"PATH": SEARCHED, "LC_ALL": "C"}


class AptFailed(BedError):
    """apt does not know a package, or cannot have it."""


@dataclass(frozen=True)
class Package:
    """A package that apt can download: ``file`` is what it calls it."""

    file: str
    checksum: str


@dataclass(frozen=True)
class Image:
    """A guest that was made: a bootable disk in qcow2, and its kernel and memory disk for a boot without one."""

    folder: Path

    @property
    def disk(self) -> Path:
        return self.folder / "guest.qcow2"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd.img"


def main(words: Sequence[str]) -> int:
    """The command ``tools/guest-image``: makes the image unless it is there, prints where; the exit code."""
    parser = argparse.ArgumentParser(prog="tools/guest-image", description="A tiny guest made of Debian's packages.")
    parser.add_argument(
        "--install",
        action="store_true",
        help="install Debian's packages that making it needs, and renew apt's lists if they are too old",
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="where images and packages are kept")
    told = parser.parse_args(words)
    try:
        print(guest_image(told.cache, install=told.install).disk)
    except NotInstalled as error:
        print(error, file=sys.stderr)
        return MISSING
    except BedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def guest_image(cache: Path = CACHE, *, install: bool = False) -> Image:
    """The image for what apt has now and the files beside this module: made unless the cache has it."""
    need(GUEST, install=install)
    try:
        return _image(cache)
    except AptFailed:
        if not install:
            raise
        # A new machine has no lists of packages, an old one lists of packages that are gone.
        apt("apt-get", "update", "-qq")
        return _image(cache)


def _image(cache: Path) -> Image:
    names = sorted([kernel_package(), *PACKAGES])
    packages = available(names)
    image = Image(cache / f"image-{key(packages)}")
    if not image.disk.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="making-") as name:
            work = Path(name)
            made = work / "made"
            made.mkdir()
            make(downloaded(packages, names, cache / "packages"), work, Image(made))
            # Another one may have made the same meanwhile; either will do.
            if not image.disk.exists():
                shutil.rmtree(image.folder, ignore_errors=True)
                made.rename(image.folder)
    return image


def key(packages: Sequence[Package]) -> str:
    """What an image is called for its inputs: packages, files, and this module."""
    digest = hashlib.sha256()
    for package in packages:
        digest.update(f"{package.file} {package.checksum}\n".encode())
    for path in [Path(__file__), *sorted(FILES.iterdir())]:
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def kernel_package() -> str:
    """The package of the newest kernel, which the one called ``KERNEL`` only points to."""
    found = re.search(r"Depends: (linux-image-\S+)", apt("apt-cache", "depends", KERNEL))
    if found is None:
        raise AptFailed(f"apt knows no kernel that {KERNEL} points to; --install asks it for newer lists")
    return found[1]


def available(names: Sequence[str]) -> list[Package]:
    """What apt would download for these names."""
    lines = apt("apt-get", "download", "--print-uris", *names).splitlines()
    found = [Package(words[1], words[3]) for words in map(str.split, lines) if len(words) == 4]
    if len(found) != len(names):
        raise AptFailed(
            f"of {', '.join(names)} apt knows only {', '.join(package.file for package in found) or 'none'}"
        )
    return sorted(found, key=lambda package: package.file)


def downloaded(packages: Sequence[Package], names: Sequence[str], folder: Path) -> list[Path]:
    """The packages' files, downloaded unless they are there; those of other versions go."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {package.file for package in packages}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()
    if wanted != {path.name for path in folder.iterdir()}:
        # apt checks what it downloads; as root it would take another user for it, who may not write here.
        apt("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *names, folder=folder)
    return [folder / name for name in sorted(wanted)]


def make(packages: Sequence[Path], work: Path, image: Image) -> None:
    """Make the image of these packages, in an empty folder."""
    unpacked, root = work / "unpacked", work / "root"
    for package in packages:
        run("dpkg-deb", "-x", package, unpacked)
    kernel = next((unpacked / "boot").glob("vmlinuz-*"))
    lay_out(unpacked, root)
    lay_out_modules(unpacked, kernel.name.removeprefix("vmlinuz-"), root / "lib/modules")
    shutil.copy(kernel, image.kernel)
    pack(root, image.initrd)
    make_disk(image, work / "disk.raw")


def lay_out(unpacked: Path, root: Path) -> None:
    """The guest's files, but for modules."""
    for folder in (
        "bin",
        "sbin",
        "dev",
        "proc",
        "sys",
        "run",
        "tmp",
        "mnt",
        "root/.ssh",
        "etc/dropbear",
        "lib",
        "lib64",
        "usr/bin",
    ):
        (root / folder).mkdir(parents=True)
    for program in ("busybox", "dropbear", "dropbearkey", "qemu-ga"):
        shutil.copy(one(unpacked, program), root / "bin" / program)
    shutil.copy(one(unpacked, LOADER), root / "lib64" / LOADER)
    for name in LIBRARIES:
        shutil.copy(one(unpacked, name), root / "lib" / name)
    for name, text in ETC.items():
        (root / "etc" / name).write_text(text)
    (root / "root/.ssh/authorized_keys").touch()
    programs = {
        "init": "init", "lease": "etc/lease", "power-button": "etc/acpi/PWRF/00000080", "sudo": "bin/sudo",
        "chpasswd": "bin/chpasswd",
    }  # fmt: skip
    for name, path in programs.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FILES / name, root / path)
        (root / path).chmod(0o755)


def lay_out_modules(unpacked: Path, version: str, folder: Path) -> None:
    """The drivers, and a file ``order`` that has them in the order of their dependencies."""
    run("depmod", "-b", unpacked, version)
    order: dict[str, Path] = {}
    for name in MODULES:
        asked: list[str | Path] = ["modprobe", "-d", unpacked, "-S", version, "--show-depends", name]
        told = subprocess.run(asked, env=ENVIRONMENT, capture_output=True, text=True, check=False).stdout
        for path in re.findall(r"^insmod (\S+)", told, re.MULTILINE):
            order.setdefault(Path(path).name, Path(path))
    folder.mkdir(parents=True)
    for name, path in order.items():
        shutil.copy(path, folder / name)
    (folder / "order").write_text("".join(f"{name}\n" for name in order))


def one(unpacked: Path, name: str) -> Path:
    """The file of a name, wherever the packages have it."""
    found = sorted(path for path in unpacked.rglob(name) if path.is_file())
    if not found:
        raise BedError(f"none of the packages has {name}")
    return found[0].resolve()


def pack(root: Path, initrd: Path) -> None:
    """The initial memory disk: an archive, compressed."""
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*"))).encode()
    archive = ["cpio", "--create", "--format=newc", "--owner=0:0", "--quiet"]
    packed = subprocess.run(archive, cwd=root, env=ENVIRONMENT, input=names, stdout=subprocess.PIPE, check=True).stdout
    with initrd.open("wb") as out:
        subprocess.run(["zstd", "-q", "-19"], env=ENVIRONMENT, input=packed, stdout=out, check=True)


def make_disk(image: Image, raw: Path) -> None:
    """A disk of one FAT partition that syslinux boots, without mounting anything."""
    offset = START_SECTOR * SECTOR
    with raw.open("wb") as out:
        out.truncate(DISK_MIB << 20)
    table = f"label: dos\nstart={START_SECTOR}, type=6, bootable\n"
    subprocess.run(["sfdisk", "-q", raw], env=ENVIRONMENT, input=table, text=True, check=True)
    blocks = (DISK_MIB << 10) - offset // 1024
    run("mkfs.vfat", "-F", "16", "-n", "GUEST", "--offset", str(START_SECTOR), raw, str(blocks))
    run("mcopy", "-i", f"{raw}@@{offset}", image.kernel, image.initrd, FILES / "syslinux.cfg", "::")
    run("syslinux", "--install", "-t", str(offset), raw)
    with raw.open("r+b") as disk:
        disk.write(BOOT_RECORD.read_bytes()[:440])
    # It appears under its name when it is whole.
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", raw, image.disk.with_suffix(".part"))
    image.disk.with_suffix(".part").rename(image.disk)


def apt(*command: str, folder: Path | None = None) -> str:
    """What a command of apt prints."""
    try:
        return run(*command, folder=folder)
    except BedError as error:
        raise AptFailed(f"{error}; --install asks for newer lists of packages") from None


def run(*command: str | Path, folder: Path | None = None) -> str:
    """What a command prints. BedError with what it said if it fails."""
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BedError(f"{' '.join(map(str, command))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
