"""The command ``tools/libvirt-bed``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from tests.bed.bed import FAULTS, Bed, HostStatus, check_machine
from tests.bed.needs import BUILD, GUEST, MISSING, BedError, NotInstalled, need

NOT_WELL = 3
"""What ``status`` ends with if a host, or the bed, is not up."""


def main(words: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    told = _parser().parse_args(words)
    try:
        return _done(told, Bed(told.bed))
    except NotInstalled as error:
        print(error, file=sys.stderr)
        return MISSING
    except BedError as error:
        print(error, file=sys.stderr)
        return 1


def _done(told: argparse.Namespace, bed: Bed) -> int:
    match told.verb:
        case "up":
            check_machine(install=told.install)
            bed.up(told.hosts)
            return _told_status(bed, as_json=False)
        case "needs":
            check_machine(install=told.install)
            need({**GUEST, **BUILD}, install=told.install)
            return 0
        case "down":
            bed.down()
            return 0
        case "status":
            return _told_status(bed, as_json=told.json)
        case "run":
            return bed.run(told.host, told.command).returncode
        case _:
            befall(bed, told.kind, told.host, told.process)
            return 0


def befall(bed: Bed, kind: str, host: int, process: str) -> None:
    """Let a fault happen. Only processes hang alone."""
    if kind in ("hang", "wake"):
        getattr(bed, kind)(host, process)
    elif process:
        raise BedError(f"--process goes with hang and wake; {kind} befalls the whole host")
    else:
        getattr(bed, kind)(host)


def _told_status(bed: Bed, *, as_json: bool) -> int:
    hosts = bed.status()
    if as_json:
        print(json.dumps([_record(host) for host in hosts], indent=2))
    else:
        for host in hosts:
            print(f"{host.place.name}  {host.words}, {host.guests} guests\n  {host.place.tcp}\n  {host.place.unix}")
        if not hosts:
            print(f"bed {bed.layout.number} is down")
    return 0 if hosts and all(host.well for host in hosts) else NOT_WELL


def _record(host: HostStatus) -> dict[str, object]:
    place = host.place
    return {
        "number": place.number,
        "name": place.name,
        "uuid": place.uuid,
        "address": place.address,
        "tcp": place.tcp,
        "unix": place.unix,
        "on": host.on,
        "partitioned": host.partitioned,
        "stopped": list(host.stopped),
        "guests": host.guests,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/libvirt-bed", description="Several libvirt hosts on one machine, to test with: needs root, no KVM."
    )
    parser.add_argument("--bed", type=int, default=0, metavar="N", help="which bed; several can be up (default: 0)")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="bring up hosts; those that are up stay as they are")
    up.add_argument("--hosts", type=int, default=2, help="how many (default: 2)")
    up.add_argument("--install", action="store_true", help="install Debian's packages that are missing")
    needs = verbs.add_parser("needs", help=f"whether everything is there for the libvirt tests; {MISSING} if not")
    needs.add_argument("--install", action="store_true", help="install Debian's packages that are missing")
    verbs.add_parser("down", help="kill all hosts and remove everything")
    status = verbs.add_parser("status", help=f"say how hosts are; ends with {NOT_WELL} if one is not up")
    status.add_argument("--json", action="store_true", help="for programs")
    fault = verbs.add_parser("fault", help="let something befall a host")
    fault.add_argument("kind", choices=FAULTS)
    fault.add_argument("host", type=int)
    fault.add_argument(
        "--process", default="", help="hang, wake: only processes whose name begins so, such as libvirtd"
    )
    run = verbs.add_parser("run", help="run a command in a host: run HOST COMMAND...")
    run.add_argument("host", type=int)
    run.add_argument("command", nargs=argparse.REMAINDER)
    return parser
