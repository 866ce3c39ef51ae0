"""Commands on a machine: what libvirt has no call for (links and namespaces), and nothing else.

A host is reached by a prefix: nothing for this machine itself, ``ssh`` for one that is reached by ``qemu+ssh``. Words
are never put together to a line here; over ssh every one is quoted, since a shell reads them there.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

from sundog.backends.libvirt.network_links import batch
from sundog.errors import BackendFailed, OutcomeUnknown
from sundog.runtime import aio
from sundog.units import Seconds

LIMIT_S: Final = 30.0


class Commands(Protocol):
    """What runs commands on one machine."""

    async def run(self, *words: str, stdin: str = "", limit: Seconds = LIMIT_S) -> str:
        """What a command wrote. Raises: BackendFailed if it failed; OutcomeUnknown after ``limit`` seconds."""
        ...

    async def ip(self, lines: list[str], *, namespace: str = "") -> None:
        """Run a batch of ip(8), which ends at the first line that fails. Raises: BackendFailed, OutcomeUnknown."""
        ...


@dataclass(frozen=True, slots=True)
class Machine:
    """Where commands run. ``quoted``: what the prefix starts is a shell that reads its words again."""

    name: str
    prefix: tuple[str, ...] = ()
    quoted: bool = False

    async def run(self, *words: str, stdin: str = "", limit: Seconds = LIMIT_S) -> str:
        """As ``Commands`` says."""
        said = [shlex.quote(word) for word in words] if self.quoted else words
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(*self.prefix, *said, stdin=pipe, stdout=pipe, stderr=pipe)
        except OSError as error:
            raise BackendFailed(f"{words[0]} cannot be run on {self.name}: {error}; install it there") from error
        try:
            async with aio.timeout(limit):
                out, err = await process.communicate(stdin.encode())
        except TimeoutError:
            raise OutcomeUnknown(f"{' '.join(words)} on {self.name} took more than {limit:.0f} s") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        if process.returncode:
            reason = err.decode(errors="replace").strip() or f"exit code {process.returncode}"
            raise BackendFailed(f"{' '.join(words)} on {self.name}: {reason}")
        return out.decode(errors="replace")

    async def ip(self, lines: list[str], *, namespace: str = "") -> None:
        """As ``Commands`` says."""
        if lines:
            where = ("-n", namespace) if namespace else ()
            await self.run("ip", *where, "-batch", "-", stdin=batch(lines))


def is_here(uri: str) -> bool:
    """Whether libvirt's URI is that of the machine on which this runs."""
    parts = urlsplit(uri)
    return parts.scheme in ("qemu", "qemu+unix") and not parts.hostname and not parts.query


def machine_of(name: str, uri: str, shell: tuple[str, ...] = ()) -> Machine | None:
    """How commands are run on the host that libvirt reaches by this URI; None where there is no way.

    ``shell`` is the beginning of a command that runs another one there, if there is one.
    """
    if shell:
        return Machine(name, shell)
    parts = urlsplit(uri)
    if parts.scheme.endswith("+ssh"):
        port = ("-p", str(parts.port)) if parts.port else ()
        user = f"{parts.username}@" if parts.username else ""
        return Machine(name, ("ssh", "-o", "BatchMode=yes", *port, "--", f"{user}{parts.hostname}"), quoted=True)
    return Machine(name) if is_here(uri) else None
