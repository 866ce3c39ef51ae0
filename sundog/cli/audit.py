"""``sundog audit``: whether a cloud is as it should be."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sundog.cli.state import DEFAULT_STATE, api_packages
from sundog.errors import OutputError

if TYPE_CHECKING:
    from sundog.control.audit import Finding

FOUND: Final = 3
HEALED: Final = 4


def audit(
    *,
    state: Annotated[
        str, typer.Option(metavar="DIR", help="The folder that holds all the cloud knows.")
    ] = DEFAULT_STATE,
    heal: Annotated[bool, typer.Option("--heal", help="Put right what can be.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whether the cloud of a state folder is as it should be; exit 3 if it is not, 4 if that was put right."""
    with api_packages():
        from sundog import app
    try:
        told = app.audit_cloud(state, heal=heal)
    except OutputError as error:  # its own code says here that something was healed
        print(f"sundog: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    wrong, left = _wrong(told.found), _wrong(told.left)
    if as_json:
        print(json.dumps({"found": _plain(told.found), "left": _plain(told.left), "healed": told.healed}, indent=2))
    else:
        for finding in told.found:
            print(finding)
        if heal:
            for finding in left:
                print(f"left: {finding}")
        print(f"{len(wrong)} found" + (f", {len(left)} left" if heal else ""))
    if left:
        raise typer.Exit(FOUND)
    if wrong:
        raise typer.Exit(HEALED)


def _wrong(findings: tuple[Finding, ...]) -> list[Finding]:
    return [each for each in findings if not each.note]


def _plain(findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
    return [asdict(each) for each in findings]
