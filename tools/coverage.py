"""How much of OpenStack's APIs is there: writes docs/reference/coverage.md.

    python tools/coverage.py [--openapi ../shared/openapi] [--check]

Counts operations (a method on a path) of each service's OpenAPI description, and those of our tables with the same
method and path, whatever the parts of the path are called. An operation that is there may still take fewer attributes
than OpenStack's; the reference page of each service says so.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from sundog.api.kit.service import Service
from sundog.app import SERVICES

HERE = Path(__file__).parent
PAGE = HERE / ".." / "docs" / "reference" / "coverage.md"
DESCRIPTIONS = {
    "identity": "identity-v3",
    "compute": "compute-v2",
    "placement": "placement-v1",
    "image": "image-v2",
    "network": "network-v2",
    "volume": "block-storage-v3",
    "objects": "object-store-v1",
}
NAMES = {
    "identity": "identity (Keystone v3)",
    "compute": "compute (Nova v2.1)",
    "placement": "placement",
    "image": "image (Glance v2)",
    "network": "network (Neutron v2.0)",
    "volume": "volume (Cinder v3)",
    "objects": "objects (Swift v1)",
}
METHODS = ("get", "put", "post", "patch", "delete", "head")

Operations = set[tuple[str, str]]


def described(path: Path) -> Operations:
    """The operations of an OpenAPI file. Its layout is regular, so indentation says all; YAML would take a minute."""
    found, where = set(), ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"  (/\S*|''):", line):
            where = match[1]
        elif re.match(r"\S", line) and not line.startswith("paths:"):
            where = ""
        elif where and (match := re.fullmatch(rf"    ({'|'.join(METHODS)}):", line)):
            found.add((match[1], plain(where)))
    return found


def ours(service: Service, known: Operations) -> Operations:
    """The operations of a service that its description has too, with or without the version before the path."""
    version = next((match[0] for _, path in known if (match := re.match(r"/v[\d.]+", path))), "")
    found = {(each.method.lower(), plain(each.path)) for each in service.operations}
    return {(method, path) for method, path in known if {(method, path), (method, path.removeprefix(version))} & found}


def plain(path: str) -> str:
    """A path whose parts have no names, and no slash at the end."""
    return re.sub(r"{[^}]*}", "{}", path).rstrip("/") or "/"


def page(folder: Path) -> str:
    """The page."""
    lines = [
        "# How much of OpenStack's APIs is there",
        "",
        "Operations (a method on a path) of each service, counted by `tools/coverage.py` from the services' own tables",
        "and OpenStack's published descriptions. An operation that is there may take fewer attributes than",
        "OpenStack's: the page of each service says so.",
        "",
        "| service | operations there | of |",
        "|---|---|---|",
    ]
    services = {service.name: service for service in SERVICES}
    for name, file in DESCRIPTIONS.items():
        known = described(folder / f"{file}.yaml")
        done = ours(services[name], known) if name in services else set()
        lines.append(f"| {NAMES[name]} | {len(done)} | {len(known)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--openapi", type=Path, default=HERE / ".." / ".." / "shared" / "openapi")
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    options = parser.parse_args()
    if not options.openapi.is_dir():
        sys.exit(f"{options.openapi} is missing: OpenStack's descriptions are not part of this repository")
    told = page(options.openapi)
    if options.check:
        sys.exit(0 if PAGE.read_text(encoding="utf-8") == told else f"{PAGE} is out of date; run tools/coverage.py")
    PAGE.write_text(told, encoding="utf-8")
    print(told)


if __name__ == "__main__":
    main()
